//! The web UI.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Server;
use crate::Database;

const PAGE: [(&str, &str); 1] = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")];

#[tokio::test]
async fn a_route_is_the_app_and_a_missing_file_is_not_found() {
    let server = Server::full().await;
    let app = server.get_with("/", &PAGE);
    assert_eq!(app.status, 200);
    assert_eq!(app.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(app.header("cache-control"), "private, no-cache");
    assert_ne!(app.header("etag"), "");
    for route in ["/trace?id=a%2Fb", "/nothing", "/some/file.js"] {
        let page = server.get_with(route, &PAGE);
        assert!(page.status == 200 && page.body == app.body, "{route}");
    }
    for missing in [
        "/assets/gone.js",
        "/assets/",
        "/executions/gone",
        "/assets/../Cargo.toml",
    ] {
        assert_eq!(
            server.get_with(missing, &PAGE).problem().0,
            404,
            "{missing}"
        );
    }
    // A script that loads what is not there gets no page.
    assert_eq!(server.problem("/some/file.js").0, 404);
}

#[tokio::test]
async fn every_file_that_the_app_names_is_there_and_kept_for_good() {
    let server = Server::full().await;
    let app = server.get_with("/", &PAGE).text();
    let mut found = BTreeSet::new();
    for part in app.split('"').filter(|part| part.starts_with("/assets/")) {
        let file = server.get_with(part, &[("Accept-Encoding", "br")]);
        assert_eq!(file.status, 200, "{part}");
        assert!(file.header("cache-control").contains("immutable"), "{part}");
        found.insert(file.header("content-type").to_owned());
    }
    let kinds = [
        "image/svg+xml",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    ];
    assert_eq!(found, kinds.map(str::to_owned).into());
    // What the content security policy would refuse.
    assert!(
        !app.contains("<style") && !app.contains("<script>"),
        "{app}"
    );
}

#[tokio::test]
async fn without_it_the_api_is_alone() {
    let mut database = Database::full().await;
    for args in [&["--ui=false"][..], &[]] {
        let server = match args {
            [] => Server::with(database, args, &[("OMNITRACE_UI", "false")]),
            _ => Server::of(database, args),
        };
        assert_eq!(server.get_with("/", &PAGE).problem().0, 404);
        assert_eq!(server.get("/executions").status, 200);
        database = Database::full().await;
    }
    let (code, line) = database.failure(&["serve", "--ui=perhaps"]);
    assert_eq!(code, 2);
    assert!(line.contains("'perhaps'"), "{line}");
}

/// Files below a folder of `web/`, by their path in it.
fn files(web: &Path, folder: &str, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(web.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files(web, &path, into);
        } else {
            into.insert(path);
        }
    }
}

#[test]
fn the_bundle_is_made_of_the_sources_that_are_there() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
    let sealed = std::fs::read_to_string(web.join("bundle.sha256")).unwrap();
    let sealed: Vec<_> = sealed
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .collect();
    let mut there: BTreeSet<String> = (sealed.iter())
        .map(|(_, file)| *file)
        .filter(|file| !file.contains('/') || file.starts_with("../"))
        .map(str::to_owned)
        .collect();
    for folder in ["dist", "scripts", "src"] {
        files(&web, folder, &mut there);
    }
    let listed = sealed.iter().map(|(_, file)| (*file).to_owned()).collect();
    let stale = "the web UI is not built of what is in web/: run `cargo xtask web`";
    assert_eq!(there, listed, "{stale}");
    for (hash, file) in sealed {
        let bytes = std::fs::read(web.join(file)).unwrap();
        assert_eq!(hex::encode(Sha256::digest(bytes)), hash, "{file}: {stale}");
    }
}
