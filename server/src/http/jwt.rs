//! Tokens that another program signed: JWT (RFC 7519), with HS256 or RS256.
//!
//! Invariant: each key is for one algorithm, so a token cannot choose how it is checked. What a token
//! does not say it does not have: without `tenants` it shows nothing. A key that is taken out of the
//! key set opens nothing from then on.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, EncodingKey, Validation, decode, decode_header,
};
use omnitrace::policy::Policy;
use omnitrace_store::AccessScope;
use ring::hmac;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;

use super::access::Caller;
use super::keys::{Key, KeySet, SECRET_BYTES, read, unusable};
use crate::cli::JwtArgs;
use crate::error::CliError;
use crate::tokens::{self, Rights};

/// Checks tokens.
pub(super) struct Jwt {
    keys: Vec<Key>,
    set: Option<KeySet>,
    issuer: Option<String>,
    audience: Option<String>,
    policy: Policy,
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// What a token says of whom it is for.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    #[serde(default)]
    rights: Vec<String>,
    #[serde(default)]
    tenants: Vec<String>,
    #[serde(default)]
    namespaces: Vec<String>,
}

impl Jwt {
    /// `None` if no key is named.
    ///
    /// # Errors
    /// When a file cannot be read or holds no key that can be used.
    pub(super) fn new(args: JwtArgs, policy: Policy) -> Result<Option<Self>, CliError> {
        let mut keys = Vec::new();
        if let Some(file) = &args.jwt_secret_file {
            let bytes = read(file)?;
            let secret = bytes.trim_ascii();
            if secret.len() < SECRET_BYTES {
                return Err(unusable(file, "a secret has at least 32 bytes"));
            }
            keys.push(Key {
                id: None,
                algorithm: Algorithm::HS256,
                key: DecodingKey::from_secret(secret),
            });
        }
        if let Some(file) = &args.jwt_public_key_file {
            let key = DecodingKey::from_rsa_pem(&read(file)?)
                .map_err(|_| unusable(file, "it must be an RSA public key, PEM"))?;
            keys.push(Key {
                id: None,
                algorithm: Algorithm::RS256,
                key,
            });
        }
        let set = args.jwt_jwks_file.map(KeySet::read).transpose()?;
        if keys.is_empty() && set.is_none() {
            return Ok(None);
        }
        // Another one of this process may have been first: it is the same.
        let _ = PROVIDER.install_default();
        Ok(Some(Self {
            keys,
            set,
            issuer: args.jwt_issuer,
            audience: args.jwt_audience,
            policy,
        }))
    }

    /// Whose token it is, if one of the keys signed it and it is good now.
    pub(super) async fn caller(&self, token: &str) -> Option<(String, Caller)> {
        let of_set = match &self.set {
            Some(set) => set.keys().await,
            None => Arc::default(),
        };
        let header = decode_header(token).ok()?;
        let fits = |key: &&Key| {
            key.algorithm == header.alg
                && (key.id.is_none() || header.kid.is_none() || key.id == header.kid)
        };
        let keys = self.keys.iter().chain(&*of_set);
        let claims = keys.filter(fits).find_map(|key| {
            let validation = self.validation(key.algorithm);
            decode::<Claims>(token, &key.key, &validation).ok()
        })?;
        let claims = claims.claims;
        let scope = AccessScope {
            namespaces: tokens::all_or(claims.namespaces),
            tenants: tokens::tenants(claims.tenants, &self.policy),
        };
        let rights = Rights::read(&claims.rights);
        let caller = Caller::new(Some(claims.sub.clone()), rights, scope);
        Some((format!("jwt {}", claims.sub), caller))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_nbf = true;
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

/// The library brings no cryptography of its own that this program does not have twice then; this is
/// the one that its TLS has.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

fn no_signer(_: &Algorithm, _: &EncodingKey) -> JwtResult<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    match (algorithm, key.kind()) {
        (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
            Ok(Box::new(Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret))))
        }
        (Algorithm::RS256, kind) => Ok(Box::new(Rs256(kind.clone()))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

struct Hs256(hmac::Key);

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.0, message, tag).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

struct Rs256(DecodingKeyKind);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        let how = &RSA_PKCS1_2048_8192_SHA256;
        let verified = match &self.0 {
            DecodingKeyKind::SecretOrDer(der) => {
                UnparsedPublicKey::new(how, der).verify(message, tag)
            }
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(how, message, tag)
            }
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
