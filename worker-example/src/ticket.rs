//! A customer mail as it enters the desk, and how its handling ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One customer mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Unique within one batch; here the name of the file, without its extension.
    pub id: String,
    /// The sender as written in the mail, or empty.
    pub from: String,
    /// The subject line, or empty.
    pub subject: String,
    /// The text of the mail, as it came.
    pub body: String,
}

impl Ticket {
    /// Reads a mail: optional `From:` and `Subject:` lines, an empty line, the text. A text
    /// without such lines is all body. Bytes that are not UTF-8 become U+FFFD.
    pub fn parse(id: impl Into<String>, bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut ticket = Self {
            id: id.into(),
            from: String::new(),
            subject: String::new(),
            body: String::new(),
        };
        let mut rest = text.trim_start_matches('\u{feff}');
        while let Some((line, after)) = rest.split_once('\n') {
            match line.split_once(':') {
                Some(("From", value)) => value.trim().clone_into(&mut ticket.from),
                Some(("Subject", value)) => value.trim().clone_into(&mut ticket.subject),
                _ => break,
            }
            rest = after;
        }
        rest.trim().clone_into(&mut ticket.body);
        ticket
    }

    /// Subject and body, as the agent reads them.
    pub fn text(&self) -> String {
        format!("{}\n\n{}", self.subject, self.body)
    }
}

/// How a ticket ended. Any other end of its run is a failure of that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// A reply was sent; no money moved.
    Answered,
    /// The money was paid back.
    Refunded,
    /// A person refused the refund.
    Refused,
    /// Nobody decided on the refund in time; the ticket was passed on.
    Escalated,
    /// The refund was due but could not be paid; what had been done for it was undone.
    PaymentFailed,
}

impl Resolution {
    /// The name as it is in payloads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refunded => "refunded",
            Self::Refused => "refused",
            Self::Escalated => "escalated",
            Self::PaymentFailed => "payment_failed",
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_taken_off_and_the_rest_is_the_body() {
        let ticket = Ticket::parse(
            "a",
            b"From: x <x@example.com>\r\nSubject: Hi\r\n\r\nFrom: me\r\n",
        );
        assert_eq!(ticket.from, "x <x@example.com>");
        assert_eq!(ticket.subject, "Hi");
        assert_eq!(ticket.body, "From: me");
    }

    #[test]
    fn a_text_without_headers_is_all_body_and_bad_bytes_are_replaced() {
        let ticket = Ticket::parse("a", b"caf\xe9: closed\nbye");
        assert_eq!(ticket.body, "caf\u{fffd}: closed\nbye");
        assert_eq!(ticket.from, "");
    }

    #[test]
    fn a_resolution_is_written_as_in_payloads() {
        for resolution in [
            Resolution::Answered,
            Resolution::Refunded,
            Resolution::Refused,
            Resolution::Escalated,
            Resolution::PaymentFailed,
        ] {
            let json = serde_json::to_string(&resolution).unwrap();
            assert_eq!(json, format!("\"{resolution}\""));
        }
    }
}
