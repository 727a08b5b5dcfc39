//! `protoc`, which the Temporal SDK's build runs. Found in `PROTOC`, on `PATH`, or taken from the
//! crate that carries one for every common platform.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Host, cache};
use crate::error::Error;
use crate::{process, say};

/// Where `protoc` comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Protoc {
    /// The user's own: builds find it by themselves, and nothing is set, so that a plain
    /// `cargo build` and the tasks share what they built.
    Own(PathBuf),
    /// A copy in the tool cache: builds need `PROTOC`.
    Cached(PathBuf),
}

impl Protoc {
    /// The value of `PROTOC` that builds need, if they need one.
    pub(crate) fn to_set(&self) -> Option<&Path> {
        match self {
            Self::Own(_) => None,
            Self::Cached(path) => Some(path),
        }
    }

    /// The program.
    pub(crate) fn path(&self) -> &Path {
        let (Self::Own(path) | Self::Cached(path)) = self;
        path
    }
}

/// Finds or obtains `protoc`.
pub(crate) fn resolve(host: &Host) -> Result<Protoc, Error> {
    if let Some(given) = host.variable("PROTOC").map(PathBuf::from) {
        if process::works(&given, &["--version"])? {
            return Ok(Protoc::Own(given));
        }
        say::line(
            "protoc",
            format_args!("PROTOC={} does not run; looking further", given.display()),
        );
    } else if let Some(found) = host.find("protoc")
        && process::works(&found, &["--version"])?
    {
        return Ok(Protoc::Own(found));
    }
    vendored(host)?.ok_or_else(|| {
        Error::Advice(
            "protoc is missing: install it (Debian: apt-get install protobuf-compiler; macOS: \
             brew install protobuf) or set PROTOC to its path"
                .to_owned(),
        )
    })
}

/// The crate's copy; none if there is none for this platform or it does not run.
fn vendored(host: &Host) -> Result<Option<Protoc>, Error> {
    let (Ok(program), Ok(include)) = (
        protoc_bin_vendored::protoc_bin_path(),
        protoc_bin_vendored::include_path(),
    ) else {
        return Ok(None);
    };
    // `<crate>-<version>/bin/protoc`: the crate's folder names version and platform.
    let Some(name) = program.ancestors().nth(2).and_then(Path::file_name) else {
        return Ok(None);
    };
    // A copy, because where it lies it may be read-only without the executable bit.
    let place = cache::get_or_make(host, &name.to_string_lossy(), |folder| {
        let whole = folder.join("protoc");
        let target = whole.join("bin/protoc");
        copy_tree(&include, &whole.join("include"))?;
        create(&whole.join("bin"))?;
        std::fs::copy(&program, &target).map_err(Error::file("copy", &program))?;
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755))
            .map_err(Error::file("make executable", &target))?;
        Ok(whole)
    })?;
    let program = place.join("bin/protoc");
    let works = process::works(&program, &["--version"])?;
    Ok(works.then_some(Protoc::Cached(program)))
}

fn create(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file("create", folder))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    create(to)?;
    for entry in std::fs::read_dir(from).map_err(Error::file("read", from))? {
        let source = entry.map_err(Error::file("read", from))?.path();
        let Some(name) = source.file_name() else {
            continue;
        };
        if source.is_dir() {
            copy_tree(&source, &to.join(name))?;
        } else {
            std::fs::copy(&source, to.join(name)).map_err(Error::file("copy", &source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_working_protoc_variable_goes_before_the_path() {
        let mut fake = FakeHost::new();
        fake.script("bin/protoc", "exit 0");
        let own = fake.script("own", "exit 0");
        fake.set("PROTOC", &own);
        assert_eq!(resolve(&fake.host).unwrap(), Protoc::Own(own));
    }

    #[test]
    fn a_protoc_on_the_path_is_used_without_setting_anything() {
        let fake = FakeHost::new();
        let found = fake.script("bin/protoc", "exit 0");
        let protoc = resolve(&fake.host).unwrap();
        assert_eq!(protoc, Protoc::Own(found));
        assert_eq!(protoc.to_set(), None);
    }

    #[test]
    fn a_broken_variable_is_overridden_because_builds_would_use_it() {
        let mut fake = FakeHost::new();
        fake.script("bin/protoc", "exit 0");
        fake.set("PROTOC", "/nowhere/protoc");
        let protoc = resolve(&fake.host).unwrap();
        assert!(
            protoc
                .to_set()
                .is_some_and(|path| path.starts_with(fake.path("tools")))
        );
    }

    #[test]
    fn the_carried_copy_compiles_a_file_that_imports_the_well_known_types() {
        let fake = FakeHost::new();
        fake.script("bin/protoc", "exit 1");
        let protoc = resolve(&fake.host).unwrap();
        let source = "syntax = \"proto3\"; import \"google/protobuf/duration.proto\";
                      message M { google.protobuf.Duration d = 1; }";
        std::fs::write(fake.path("m.proto"), source).unwrap();
        let mut command = std::process::Command::new(protoc.to_set().unwrap());
        command
            .current_dir(fake.directory.path())
            .args(["--descriptor_set_out=m.bin", "m.proto"]);
        let captured = process::capture(&mut command, true).unwrap();
        assert!(captured.status.success(), "{}", captured.stderr);
    }
}
