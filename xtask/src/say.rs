//! What a task tells its reader, on stderr: stdout is for results that are read by programs.
//! A closed stderr is no reason to fail.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use owo_colors::OwoColorize;

/// One line about what is being done or was found.
pub(crate) fn line(subject: &str, text: impl Display) {
    let _ = writeln!(
        anstream::stderr(),
        "{} {text}",
        format_args!("{subject:>9}").bold()
    );
}

/// A line as it is.
pub(crate) fn text(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// The one line that says why the task ends.
pub(crate) fn error(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{} {text}", "error:".red().bold());
}

/// Whether nobody watches: in CI, or when stderr is not a terminal. Then no progress bars.
pub(crate) fn plain() -> bool {
    in_ci(std::env::var("CI").ok().as_deref()) || !std::io::stderr().is_terminal()
}

fn in_ci(ci: Option<&str>) -> bool {
    !matches!(ci, None | Some("" | "0" | "false"))
}

/// A duration for people: `0.4 s`, `12 s`, `2 min 05 s`.
pub(crate) fn duration(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    let seconds = (time.as_millis() + 500) / 1000;
    match seconds {
        _ if tenths < 100 => format!("{}.{} s", tenths / 10, tenths % 10),
        0..60 => format!("{seconds} s"),
        _ => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_and_never_show_sixty_seconds() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!(shown(0), "0.0 s");
        assert_eq!(shown(349), "0.3 s");
        assert_eq!(shown(9_940), "9.9 s");
        assert_eq!(shown(9_960), "10 s");
        assert_eq!(shown(12_400), "12 s");
        assert_eq!(shown(59_700), "1 min 00 s");
        assert_eq!(shown(125_000), "2 min 05 s");
    }

    #[test]
    fn ci_is_on_unless_the_variable_says_no() {
        assert!(in_ci(Some("true")));
        assert!(in_ci(Some("1")));
        assert!(!in_ci(Some("false")));
        assert!(!in_ci(Some("")));
        assert!(!in_ci(None));
    }
}
