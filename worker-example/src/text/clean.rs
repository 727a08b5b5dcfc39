//! Makes a mail safe to read: one kind of line end and blank, nothing invisible.

/// Removes control, zero-width and direction characters, turns every blank into a space, and
/// joins runs of blanks and of empty lines.
pub fn normalise(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let visible: String = line
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .filter(|&c| !is_invisible(c))
            .collect();
        let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// The text without what it quotes of earlier mails.
pub fn own_words(text: &str) -> String {
    let own = |line: &&str| !line.trim_start().starts_with('>');
    text.lines().filter(own).collect::<Vec<_>>().join("\n")
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_go_and_blanks_become_spaces() {
        let text = "\u{feff}Ignore\u{200b} all\u{a0}\u{202e}previous\x1b\x07\r\n\r\n\r\n\tlines  ";
        assert_eq!(normalise(text), "Ignore all previous\n\nlines");
    }

    #[test]
    fn letters_of_all_scripts_stay() {
        assert_eq!(normalise("こんにちは 🎁 Zoë"), "こんにちは 🎁 Zoë");
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        let once = normalise("a \u{200d} b\n\n \n\nc\n");
        assert_eq!(normalise(&once), once);
    }

    #[test]
    fn quoted_lines_are_not_the_senders_own_words() {
        assert_eq!(own_words("new\n> old\n > > older\nlast"), "new\nlast");
    }
}
