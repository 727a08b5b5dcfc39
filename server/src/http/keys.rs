//! Keys that check tokens, and the file with a set of them.
//!
//! Invariant: the set is that of the file as it was when the last token came; a file that cannot be used
//! leaves the keys as they were, and is one warning.

use std::fs::Metadata;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};

use crate::error::CliError;

/// Bytes of a secret: as many as the hash has (RFC 7518, section 3.2).
pub(super) const SECRET_BYTES: usize = 32;

/// A key, and what it is for.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The keys of a file. It is looked at with each token, and read when it changed.
pub(super) struct KeySet {
    file: PathBuf,
    seen: Mutex<(Stamp, Arc<[Key]>)>,
}

/// Another one means another content: the time, size and number of a file.
type Stamp = Option<(i64, i64, u64, u64)>;

fn stamp(of: &Metadata) -> Stamp {
    Some((of.mtime(), of.mtime_nsec(), of.size(), of.ino()))
}

impl KeySet {
    /// # Errors
    /// When the file cannot be read, or holds no key that can be used.
    pub(super) fn read(file: PathBuf) -> Result<Self, CliError> {
        // Before it is read: what is written meanwhile is then read again.
        let stamp = std::fs::metadata(&file).ok().as_ref().and_then(stamp);
        let keys = usable(&file)?;
        Ok(Self {
            file,
            seen: Mutex::new((stamp, keys)),
        })
    }

    /// As the file is now.
    pub(super) async fn keys(&self) -> Arc<[Key]> {
        let now = tokio::fs::metadata(&self.file).await;
        let now = now.ok().as_ref().and_then(stamp);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is gone may be on its way back: files are changed by taking another's place.
        if now.is_some() && now != seen.0 {
            seen.0 = now;
            match usable(&self.file) {
                Ok(keys) => seen.1 = keys,
                Err(error) => {
                    // `Err` means: nobody reads it.
                    let _ = writeln!(
                        anstream::stderr(),
                        "warning: the keys stay as they were: {error}"
                    );
                }
            }
        }
        Arc::clone(&seen.1)
    }
}

fn usable(file: &Path) -> Result<Arc<[Key]>, CliError> {
    let keys = key_set(&read(file)?).map_err(|why| unusable(file, &why))?;
    Ok(keys.into())
}

/// The keys of a set that can be used; those for other things and of other kinds are left out.
fn key_set(json: &[u8]) -> Result<Vec<Key>, String> {
    let set: JwkSet = serde_json::from_slice(json).map_err(|e| {
        format!(
            "it must be a JSON Web Key Set: line {}, column {}",
            e.line(),
            e.column()
        )
    })?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        let common = &jwk.common;
        let algorithm = match (&jwk.algorithm, common.key_algorithm) {
            (AlgorithmParameters::RSA(_), None) => Algorithm::RS256,
            (AlgorithmParameters::OctetKey(_), None) => Algorithm::HS256,
            (_, named) => match named.and_then(|named| named.try_into().ok()) {
                Some(named @ (Algorithm::RS256 | Algorithm::HS256)) => named,
                _ => continue,
            },
        };
        if (common.public_key_use.as_ref()).is_some_and(|of| *of != PublicKeyUse::Signature) {
            continue;
        }
        let key =
            DecodingKey::from_jwk(jwk).map_err(|_| "a key of it cannot be read".to_owned())?;
        let short = matches!(key.kind(), DecodingKeyKind::SecretOrDer(secret) if secret.len() < SECRET_BYTES);
        if algorithm == Algorithm::HS256 && short {
            return Err("a secret of it has less than 32 bytes".to_owned());
        }
        keys.push(Key {
            id: common.key_id.clone(),
            algorithm,
            key,
        });
    }
    match keys.is_empty() {
        true => Err("it has no key for RS256 or HS256".to_owned()),
        false => Ok(keys),
    }
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(file).map_err(|error| CliError::File {
        file: file.display().to_string(),
        error,
    })
}

pub(super) fn unusable(file: &Path, why: &str) -> CliError {
    CliError::Usage(format!(
        "cannot use {} to check tokens: {why}",
        file.display()
    ))
}
