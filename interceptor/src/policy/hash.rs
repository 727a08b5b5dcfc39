//! Hashes in the place of values.
//!
//! Invariant: equal values have equal hashes. What is hashed is the scalar's JSON text as
//! `serde_json` writes it (`"text"`, `1`, `1.0`, `true`), so `1`, `1.0` and `"1"` differ.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A secret key for hashes. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(String);

impl HashKey {
    /// Takes a key. An empty one is none: it would protect no better than a plain hash.
    pub fn new(key: impl Into<String>) -> Option<Self> {
        let key = key.into();
        (!key.is_empty()).then_some(Self(key))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// Makes hashes, with or without a key.
#[derive(Clone)]
pub(super) struct Hasher {
    keyed: Option<Hmac<Sha256>>,
}

/// Bytes of a hash as it is stored, quotes included, at most: `"sha256:<16 hex>"`.
pub(super) const HASH_JSON_BYTES: usize = 25;

impl Hasher {
    pub(super) fn new(key: Option<&HashKey>) -> Self {
        // HMAC takes keys of any length, so no key is lost here.
        let keyed = key.and_then(|key| Hmac::new_from_slice(key.0.as_bytes()).ok());
        Self { keyed }
    }

    /// `sha256` or `hmac`.
    pub(super) fn name(&self) -> &'static str {
        match self.keyed {
            Some(_) => "hmac",
            None => "sha256",
        }
    }

    /// The hash of a text that is a value or a field name.
    pub(super) fn text(&self, text: &str) -> String {
        // A string is always representable as JSON.
        self.scalar(&serde_json::to_string(text).unwrap_or_default())
    }

    /// The hash of a scalar, given its JSON text: `sha256:` or `hmac:`, and 16 hex digits.
    pub(super) fn scalar(&self, json: &str) -> String {
        let digest = self.digest(json.as_bytes());
        format!("{}:{}", self.name(), hex::encode(&digest[..8]))
    }

    /// All 32 bytes.
    pub(super) fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        match &self.keyed {
            Some(keyed) => {
                let mut mac = keyed.clone();
                mac.update(bytes);
                mac.finalize().into_bytes().into()
            }
            None => Sha256::digest(bytes).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // printf '"alice"' | sha256sum; printf '"alice"' | openssl dgst -sha256 -hmac pepper
    #[test]
    fn a_hash_is_that_of_the_json_text() {
        assert_eq!(Hasher::new(None).text("alice"), "sha256:0a50500b2a3435fe");
        let key = HashKey::new("pepper");
        assert_eq!(
            Hasher::new(key.as_ref()).text("alice"),
            "hmac:77bd4fc2ac51fb48"
        );
    }

    #[test]
    fn an_empty_key_is_no_key_and_no_key_is_shown() {
        assert_eq!(HashKey::new(""), None);
        let shown = format!("{:?}", HashKey::new("pepper"));
        assert!(!shown.contains("pepper"), "{shown}");
    }
}
