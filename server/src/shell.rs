//! `omnitrace completions` and `omnitrace man`: made of the declared arguments, so they never lag behind.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::CliError;

/// What a shell reads to complete commands.
pub(crate) fn completions(shell: Shell) -> String {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "omnitrace", &mut out);
    // It is made of the arguments' names and help, which are text.
    String::from_utf8_lossy(&out).into_owned()
}

/// The first page, or every page into a folder; says where.
pub(crate) fn man(folder: Option<&Path>) -> Result<String, CliError> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
        rendered.map_err(CliError::Output)?;
        return Ok(String::from_utf8_lossy(&page).into_owned());
    };
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.map_err(|error| CliError::Unwritable {
        file: folder.display().to_string(),
        error,
    })?;
    Ok(format!("the manual is in {}\n", folder.display()))
}
