//! Tokens that another program signed.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Answer, Server};
use crate::Database;

const SECRET: &[u8] = b"a secret of at least 32 bytes, made for this test";
/// 2100-01-01.
const LATE: i64 = 4_102_444_800;

/// Signed with a key that is kept nowhere, to be good until 2100; its public part lies beside it.
fn signed_elsewhere() -> String {
    let token = std::fs::read_to_string(key("rs256.jwt")).unwrap();
    token.trim().to_owned()
}

fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cli/http/keys")
        .join(name)
}

fn signed(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    let tag = mac.finalize().into_bytes();
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

fn claims() -> Value {
    json!({
        "sub": "bob", "exp": LATE, "rights": ["read", "content"], "tenants": ["*"], "namespaces": ["*"],
    })
}

fn hs256(claims: &Value) -> String {
    signed(&json!({ "alg": "HS256", "typ": "JWT" }), claims, SECRET)
}

fn ask(server: &Server, token: &str) -> Answer {
    server.get_with("/me", &[("Authorization", &format!("Bearer {token}"))])
}

async fn server(options: &[(&str, &Path)], more: &[&str]) -> Server {
    let mut args = vec!["--require-token"];
    for (option, path) in options {
        args.extend([*option, path.to_str().unwrap()]);
    }
    Server::of(Database::full().await, &[&args[..], more].concat())
}

#[tokio::test]
async fn a_shared_secret_opens() {
    let folder = tempfile::TempDir::new().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, [SECRET, b"\n"].concat()).unwrap();
    let server = server(&[("--jwt-secret-file", &*secret)], &[]).await;
    let me = ask(&server, &hs256(&claims())).json();
    assert_eq!(me["rights"], json!(["read", "content"]));
    assert_eq!(me["tenants"], Value::Null);

    // What it does not say it does not allow.
    let nothing = hs256(&json!({ "exp": LATE, "rights": ["read"] }));
    let me = ask(&server, &nothing).json();
    assert_eq!(
        (&me["tenants"], &me["namespaces"]),
        (&json!([]), &json!([]))
    );
    let header = format!("Bearer {nothing}");
    let runs = server
        .get_with("/executions", &[("Authorization", &header)])
        .json();
    assert_eq!(runs["executions"], json!([]));
    assert_eq!(
        ask(&server, &hs256(&json!({ "exp": LATE }))).problem().0,
        403
    );

    let change = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        hs256(&claims)
    };
    for (token, why) in [
        (change("exp", json!(1_700_000_000)), "ended"),
        (change("exp", json!("4102444800")), "no number"),
        (change("exp", Value::Null), "never ends"),
        (change("nbf", json!(LATE - 1)), "not yet"),
        (
            signed(
                &json!({ "alg": "HS256" }),
                &claims(),
                b"another secret of at least 32 bytes!",
            ),
            "key",
        ),
        (signed(&json!({ "alg": "none" }), &claims(), SECRET), "none"),
        (
            signed(&json!({ "alg": "HS512" }), &claims(), SECRET),
            "HS512",
        ),
        (
            format!("{}.", hs256(&claims()).rsplit_once('.').unwrap().0),
            "no signature",
        ),
        (signed_elsewhere(), "another algorithm"),
        ("a.b.c".to_owned(), "no token"),
    ] {
        assert_eq!(ask(&server, &token).problem().0, 401, "{why}");
    }
}

#[tokio::test]
async fn a_public_key_opens_and_is_no_secret() {
    let (pem, set) = (key("rs256.pem"), key("rs256.jwks.json"));
    for option in [("--jwt-public-key-file", &*pem), ("--jwt-jwks-file", &*set)] {
        let expected = [
            "--jwt-issuer",
            "https://login.example",
            "--jwt-audience",
            "omnitrace",
        ];
        let server = server(&[option], &expected).await;
        let token = signed_elsewhere();
        let me = ask(&server, &token).json();
        assert_eq!(me["rights"], json!(["read"]));
        assert_eq!(me["namespaces"], json!(["default"]));
        let tenants = me["tenants"].as_array().unwrap();
        assert!(tenants[0].as_str().unwrap().starts_with("sha256:"), "{me}");

        // Whoever knows the public key must not be able to sign with it.
        let public = std::fs::read(&pem).unwrap();
        let mut claims = claims();
        claims["iss"] = json!("https://login.example");
        claims["aud"] = json!("omnitrace");
        for secret in [&public[..], public.trim_ascii()] {
            for alg in ["HS256", "RS256"] {
                let forged = signed(&json!({ "alg": alg, "kid": "k1" }), &claims, secret);
                assert_eq!(ask(&server, &forged).problem().0, 401, "{alg}");
            }
        }
        let (head, tail) = token.split_once('.').unwrap();
        let (_, tag) = tail.split_once('.').unwrap();
        let other = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        assert_eq!(
            ask(&server, &format!("{head}.{other}.{tag}")).problem().0,
            401
        );
    }
    // For somebody else, or from somebody else.
    for expected in [
        [
            "--jwt-issuer",
            "https://else.example",
            "--jwt-audience",
            "omnitrace",
        ],
        [
            "--jwt-issuer",
            "https://login.example",
            "--jwt-audience",
            "else",
        ],
    ] {
        let server = server(&[("--jwt-jwks-file", &*set)], &expected).await;
        assert_eq!(ask(&server, &signed_elsewhere()).problem().0, 401);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_one_line() {
    let database = Database::full().await;
    let file = |name: &str, text: &str| {
        let path = database.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (option, path, said) in [
        (
            "--jwt-secret-file",
            file("short", "hunter2"),
            "at least 32 bytes",
        ),
        (
            "--jwt-public-key-file",
            file("pem", "no key"),
            "an RSA public key, PEM",
        ),
        ("--jwt-jwks-file", file("set", "{}"), "a JSON Web Key Set"),
        (
            "--jwt-jwks-file",
            file("empty", "{\"keys\":[]}"),
            "no key for RS256 or HS256",
        ),
        ("--jwt-jwks-file", "gone.json".to_owned(), "cannot read"),
    ] {
        let (_, line) = database.failure(&["serve", "--require-token", option, &path]);
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains(said), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

/// Keys are changed while the server runs: those of the file open, and no others.
#[tokio::test]
async fn a_key_set_is_followed() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("keys.json");
    let secret = |id: &str| format!("the secret of {id}, of at least 32 bytes");
    let write = |text: &str| {
        // As they are changed in practice: whole, by taking the other's place.
        let new = folder.path().join("new.json");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &file).unwrap();
    };
    let keys = |ids: &[&str]| {
        let key = |id: &&str| json!({ "kty": "oct", "kid": id, "alg": "HS256", "k": BASE64_URL_SAFE_NO_PAD.encode(secret(id)) });
        json!({ "keys": ids.iter().map(key).collect::<Vec<_>>() }).to_string()
    };
    let token = |id: &str| {
        let header = json!({ "alg": "HS256", "kid": id });
        signed(&header, &claims(), secret(id).as_bytes())
    };
    write(&keys(&["a"]));
    let server = server(&[("--jwt-jwks-file", &*file)], &[]).await;
    let opens = |id: &str| ask(&server, &token(id)).status == 200;
    assert!(opens("a") && !opens("b"));
    write(&keys(&["a", "b"]));
    assert!(opens("a") && opens("b"));
    write(&keys(&["b"]));
    assert!(!opens("a") && opens("b"));
    // What cannot be used changes nothing.
    write("{ half");
    assert!(!opens("a") && opens("b"));
    std::fs::remove_file(&file).unwrap();
    assert!(opens("b"));
    write(&keys(&["c"]));
    assert!(!opens("b") && opens("c"));
}
