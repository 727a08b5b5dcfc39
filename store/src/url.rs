//! Database URLs.
//!
//! Invariant: a parsed URL of a file holds an absolute path, so that what is printed says where the
//! file is whatever the working directory. A server's is printed without its password.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::postgres::PostgresUrl;
use crate::store::{DatabaseUrl, UrlError};

impl DatabaseUrl {
    /// Reads `sqlite://name.db`, `sqlite:name.db` (both against `cwd`), `sqlite:///absolute.db`, or a
    /// `postgres://` or `postgresql://` URL as libpq knows it.
    ///
    /// # Errors
    /// When the scheme is another one, or the URL names no file or no server.
    pub fn parse(url: &str, cwd: &Path) -> Result<Self, UrlError> {
        let url = url.trim();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return PostgresUrl::parse(url).map(Self::Postgres);
        }
        let rest = url.strip_prefix("sqlite:").ok_or(UrlError::Scheme)?;
        let path = rest.strip_prefix("//").unwrap_or(rest);
        // They would be ignored silently.
        if path.contains('?') {
            return Err(UrlError::Parameters);
        }
        // A memory database would be lost at the end, and a folder is no file.
        if path.is_empty() || path.ends_with(['/', ':']) {
            return Err(UrlError::NoPath);
        }
        let path = normal(&cwd.join(path));
        if path.file_name().is_none() {
            return Err(UrlError::NoPath);
        }
        Ok(Self::Sqlite(path))
    }
}

/// Without `.`, as it is only noise in what is printed. `..` stays: links make it mean more.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .collect()
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_against_the_working_directory_and_printed_absolute() {
        for (url, printed) in [
            ("sqlite://omnitrace.db", "sqlite:///srv/app/omnitrace.db"),
            ("sqlite:omnitrace.db", "sqlite:///srv/app/omnitrace.db"),
            ("sqlite://./data/o.db", "sqlite:///srv/app/data/o.db"),
            ("sqlite:///var/lib/o.db", "sqlite:///var/lib/o.db"),
            (" sqlite:/var/lib/o.db\n", "sqlite:///var/lib/o.db"),
        ] {
            let parsed = DatabaseUrl::parse(url, Path::new("/srv/app")).unwrap();
            assert_eq!(parsed.to_string(), printed, "{url}");
            assert_eq!(
                DatabaseUrl::parse(printed, Path::new("/")),
                Ok(parsed),
                "{url}"
            );
        }
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for (url, error) in [
            ("postgres:user:password@host/db", UrlError::Scheme),
            ("mysql://user:password@host/db", UrlError::Scheme),
            ("omnitrace.db", UrlError::Scheme),
            ("", UrlError::Scheme),
            ("sqlite:", UrlError::NoPath),
            ("sqlite://", UrlError::NoPath),
            ("sqlite:///", UrlError::NoPath),
            ("sqlite://data/", UrlError::NoPath),
            ("sqlite://..", UrlError::NoPath),
            ("sqlite::memory:", UrlError::NoPath),
            ("sqlite://o.db?mode=ro", UrlError::Parameters),
        ] {
            assert_eq!(
                DatabaseUrl::parse(url, Path::new("/srv")),
                Err(error),
                "{url}"
            );
        }
    }
}
