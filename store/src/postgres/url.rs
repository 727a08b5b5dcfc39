//! URLs of PostgreSQL servers, as libpq reads them.
//!
//! Invariant: the password is in no text that is made here: not in `Debug`, `Display` or an error.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::store::UrlError;

/// How long a connection may take to be made, unless `connect_timeout` in the URL says otherwise.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server works on one statement, unless `options=-c statement_timeout=…` in the URL
/// says otherwise.
pub const DEFAULT_STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The name by which the server knows its connections, unless `application_name` in the URL, or
/// `PGAPPNAME`, says otherwise.
pub const DEFAULT_APPLICATION_NAME: &str = "omnitrace";

/// Parameters that a URL may have after its `?`.
const PARAMETERS: [&str; 14] = [
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Where a PostgreSQL database is, and how it is reached. Never shows its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Url);

impl PostgresUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let wrong = |what: &str| UrlError::Postgres(what.to_owned());
        // What the parser says could repeat a part of the URL.
        let url = Url::parse(text).map_err(|_| wrong("host or port cannot be read"))?;
        if url.fragment().is_some() {
            return Err(wrong("write # as %23"));
        }
        for (name, value) in url.query_pairs() {
            if !PARAMETERS.contains(&name.as_ref()) {
                let plain =
                    name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                let name = if plain { name.as_ref() } else { "…" };
                return Err(wrong(&format!(
                    "the parameter {name} is not known; known are {}",
                    PARAMETERS.join(", ")
                )));
            }
            let valid = match name.as_ref() {
                "connect_timeout" => value.parse::<u32>().is_ok(),
                "port" => value.parse::<u16>().is_ok(),
                "statement-cache-capacity" => value.parse::<usize>().is_ok(),
                "sslmode" => value.parse::<PgSslMode>().is_ok(),
                _ => true,
            };
            if !valid {
                return Err(wrong(&format!("the value of {name} is not valid")));
            }
        }
        let parsed = Self(url);
        // Whatever else the driver does not take, such as text that is not UTF-8.
        (parsed.driver_options(false)).map_err(|_| wrong("a part of it cannot be read"))?;
        Ok(parsed)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let last = self.0.query_pairs().filter(|(n, _)| n == name).last();
        last.map(|(_, value)| value.into_owned())
    }

    /// How long a connection may take to be made; libpq's 0 is without end.
    pub(super) fn connect_timeout(&self) -> Duration {
        match self
            .parameter("connect_timeout")
            .and_then(|t| t.parse().ok())
        {
            Some(0) => Duration::from_secs(u32::MAX.into()),
            Some(seconds) => Duration::from_secs(seconds),
            None => DEFAULT_CONNECT_TIMEOUT,
        }
    }

    pub(super) fn driver_options(&self, read_only: bool) -> Result<PgConnectOptions, sqlx::Error> {
        let mut url = self.0.clone();
        let mut settings = format!(
            "-c statement_timeout={}",
            DEFAULT_STATEMENT_TIMEOUT.as_millis()
        );
        if read_only {
            settings.push_str(" -c default_transaction_read_only=on");
        }
        // Last, so that the user's go before ours.
        if let Some(own) = self.parameter("options") {
            settings.push_str(&format!(" {own}"));
        }
        let system_roots = self.parameter("sslrootcert").as_deref() == Some("system");
        let others: Vec<(String, String)> = (self.0.query_pairs())
            .filter(|(name, value)| match name.as_ref() {
                "options" | "connect_timeout" => false,
                // The system's certificates are those that are used without it.
                "sslrootcert" => value != "system",
                _ => true,
            })
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut()
            .clear()
            .extend_pairs(others)
            .append_pair("options", &settings);
        let mut options = PgConnectOptions::from_str(url.as_str())?;
        if options.get_application_name().is_none() {
            options = options.application_name(DEFAULT_APPLICATION_NAME);
        }
        // As libpq: who names certificates wants the server checked against them.
        let checked = self.parameter("sslrootcert").is_some();
        Ok(match options.get_ssl_mode() {
            _ if system_roots => options.ssl_mode(PgSslMode::VerifyFull),
            PgSslMode::Require if checked => options.ssl_mode(PgSslMode::VerifyCa),
            _ => options,
        })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            // Fails only for URLs without a host, which have no password.
            let _ = shown.set_password(Some("***"));
        }
        let query: Vec<(String, String)> = (self.0.query_pairs())
            .map(|(name, value)| {
                let value = if name == "password" {
                    "***".into()
                } else {
                    value
                };
                (name.into_owned(), value.into_owned())
            })
            .collect();
        if !query.is_empty() {
            shown.query_pairs_mut().clear().extend_pairs(query);
        }
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_url_or_of_its_errors_holds_the_password() {
        for url in [
            "postgres://me:hunter2@host:5432/db?sslmode=require",
            "postgresql://me:hunter2@host",
            "postgres:///db?host=/run/postgresql&password=hunter2",
            "postgres://me:hunter2@host/db?sslpassword=hunter2",
            "postgres://me:hunter2@host/db?hunter2=1",
            "postgres://me:hunter2",
            "postgres://me@host:hunter2/db",
            "postgres://me:hunter2@host/db#hunter2",
            "postgres://me:hunter2@host/db?port=hunter2",
            "postgres://me:hunter2@host/db?sslmode=hunter2",
        ] {
            let parsed = PostgresUrl::parse(url);
            let all = match &parsed {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!all.contains("hunter2") && !all.contains('\n'), "{all}");
        }
    }

    #[test]
    fn what_is_shown_says_where_it_is() {
        for (url, shown) in [
            (
                "postgres://me:word@host:5433/db?sslmode=require",
                "postgres://me:***@host:5433/db?sslmode=require",
            ),
            ("postgresql://host/db", "postgresql://host/db"),
            ("postgres:///db", "postgres:///db"),
        ] {
            assert_eq!(PostgresUrl::parse(url).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_parameter_that_is_not_known_is_named() {
        let error = PostgresUrl::parse("postgres://host/db?sslmoed=require").unwrap_err();
        assert!(error.to_string().contains("parameter sslmoed"), "{error}");
    }

    #[test]
    fn options_are_read_as_libpq_reads_them() {
        let options = |url: &str| {
            PostgresUrl::parse(url)
                .unwrap()
                .driver_options(false)
                .unwrap()
        };
        let url = "postgres://me:p%40ss@host:5433/db?options=-c%20statement_timeout%3D5&application_name=a";
        let own = options(url);
        let settings = own.get_options().unwrap();
        assert!(settings.ends_with("-c statement_timeout=5"), "{settings}");
        assert_eq!((own.get_host(), own.get_port()), ("host", 5433));
        assert_eq!(own.get_application_name(), Some("a"));
        assert_eq!(
            options("postgres://host").get_application_name(),
            Some("omnitrace")
        );
        for (query, mode) in [
            ("sslmode=require", PgSslMode::Require),
            ("sslmode=require&sslrootcert=/ca.pem", PgSslMode::VerifyCa),
            (
                "sslmode=verify-full&sslrootcert=/ca.pem",
                PgSslMode::VerifyFull,
            ),
            ("sslrootcert=system", PgSslMode::VerifyFull),
        ] {
            let found = options(&format!("postgres://host/db?{query}")).get_ssl_mode();
            assert_eq!(format!("{found:?}"), format!("{mode:?}"), "{query}");
        }
        let url = PostgresUrl::parse("postgres://host?connect_timeout=3").unwrap();
        assert_eq!(url.connect_timeout(), Duration::from_secs(3));
    }
}
