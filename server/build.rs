//! Builds anew when the bundle of the web UI, which is built in, has other files; and tells the program which
//! commit it is made of.
//!
//! Invariant: the same sources give the same program: no time and no name of a machine goes into it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
    println!("cargo::rerun-if-env-changed=OMNITRACE_COMMIT");
    let told = std::env::var("OMNITRACE_COMMIT").ok();
    // While one develops, a new commit alone is no reason to build anew.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = told.or_else(|| is_release.then(commit).flatten());
    println!(
        "cargo::rustc-env=OMNITRACE_BUILT_FROM={}",
        commit.unwrap_or_default()
    );
}

/// The commit that is checked out, where these are sources of a repository.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        println!("cargo::rerun-if-changed={path}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}
