//! Cuts a text into words, and counts tokens.

/// Words that say nothing about the subject of a text.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "do", "for", "from",
    "has", "have", "i", "if", "in", "is", "it", "its", "me", "my", "not", "of", "on", "or", "our",
    "that", "the", "there", "this", "to", "was", "we", "were", "with", "you", "your",
];

/// Characters that one token stands for, as a rule, in English text.
const CHARS_PER_TOKEN: usize = 4;

/// The words of a text in lower case, without stop words and common endings.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .map(|word| stem(&word).to_owned())
        .collect()
}

/// The number of tokens in a text: one for each begun four letters of a word, one for each
/// other visible character.
pub fn count_tokens(text: &str) -> u32 {
    let mut tokens = 0_u32;
    let mut word = 0_usize;
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() {
            word += 1;
            continue;
        }
        let pieces = u32::try_from(word.div_ceil(CHARS_PER_TOKEN)).unwrap_or(u32::MAX);
        tokens = tokens.saturating_add(pieces);
        word = 0;
        if !c.is_whitespace() {
            tokens = tokens.saturating_add(1);
        }
    }
    tokens
}

/// Takes off the endings that English verbs and plurals have, if enough of the word is left.
fn stem(word: &str) -> &str {
    ["ing", "ed", "s"]
        .iter()
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.chars().count() >= 4)
        .unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_lower_case_stems_without_stop_words() {
        assert_eq!(
            words("The REFUNDS were delayed, Zoë!"),
            ["refund", "delay", "zoë"]
        );
    }

    #[test]
    fn tokens_are_counted_by_letters_and_signs() {
        for (text, tokens) in [
            ("", 0),
            ("a", 1),
            ("four", 1),
            ("fives", 2),
            ("it's 5 €!", 6),
        ] {
            assert_eq!(count_tokens(text), tokens, "{text:?}");
        }
    }

    #[test]
    fn tokens_of_parts_add_up() {
        let (a, b) = ("I ordered a lamp", "and it is broken.");
        assert_eq!(
            count_tokens(&format!("{a} {b}")),
            count_tokens(a) + count_tokens(b)
        );
    }
}
