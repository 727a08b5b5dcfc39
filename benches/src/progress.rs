//! What a long run tells on stderr while it goes on. A closed stderr is no reason to fail.

use std::io::Write;

pub(crate) fn measure(name: &str) {
    line(&format!("{name} …"));
}

pub(crate) fn round(round: u32, rounds: u32) {
    match round {
        0 => line("  warming up"),
        _ => line(&format!("  round {round} of {rounds}")),
    }
}

/// Of a measure that is made of steps.
pub(crate) fn step(name: &str) {
    line(&format!("  {name}"));
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
