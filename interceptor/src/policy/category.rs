//! What an activity, a child, a signal or an update is: rules on its type or name, as in `model=*::chat,Llm*;tool=*Search*`.
//!
//! Invariant: the first rule that matches wins, in the order they were written.

use super::glob;

/// Rules that give an activity type its category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CategoryRules {
    rules: Vec<(String, String)>,
}

/// Why a text is no set of category rules. Rules are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CategoryError {
    /// A rule has no `=`.
    #[error("category rule {rule} ({text:?}) has no '=': write <category>=<pattern>,<pattern>")]
    NoEquals {
        /// Which rule.
        rule: usize,
        /// Its text.
        text: String,
    },
    /// The category is empty, too long or has other characters than `a-z` and `_`.
    #[error("category rule {rule} names the category {category:?}: use 1 to 32 of a-z and _")]
    Name {
        /// Which rule.
        rule: usize,
        /// What stands before the `=`.
        category: String,
    },
    /// There is nothing between two commas.
    #[error("category rule {rule} ({category}) has an empty pattern: remove the comma or use *")]
    EmptyPattern {
        /// Which rule.
        rule: usize,
        /// Its category.
        category: String,
    },
}

impl CategoryRules {
    /// The rules in their order, for the policy's id.
    pub(super) fn canonical(&self) -> &[(String, String)] {
        &self.rules
    }

    /// Reads rules: `<category>=<pattern>,<pattern>;<category>=…`. `*` in a pattern stands for any
    /// text. Blanks around the parts and a last `;` are ignored; an empty text has no rules.
    ///
    /// ```
    /// use omnitrace::policy::CategoryRules;
    /// let rules = CategoryRules::parse("model=*::chat,Llm*;tool=*Search*")?;
    /// assert_eq!(rules.category("Tools::WebSearch"), Some("tool"));
    /// # Ok::<(), omnitrace::policy::CategoryError>(())
    /// ```
    ///
    /// # Errors
    /// When a rule cannot be read; the error names the rule.
    pub fn parse(text: &str) -> Result<Self, CategoryError> {
        let mut rules = Vec::new();
        for (rule, part) in (1..).zip(text.split(';')) {
            let part = part.trim();
            if part.is_empty() {
                continue;
            }
            let (category, patterns) = part.split_once('=').ok_or_else(|| {
                let text = part.to_owned();
                CategoryError::NoEquals { rule, text }
            })?;
            let category = category.trim().to_owned();
            let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
            if category.is_empty() || category.len() > 32 || !category.bytes().all(plain) {
                return Err(CategoryError::Name { rule, category });
            }
            for pattern in patterns.split(',').map(str::trim) {
                if pattern.is_empty() {
                    return Err(CategoryError::EmptyPattern { rule, category });
                }
                rules.push((category.clone(), pattern.to_owned()));
            }
        }
        Ok(Self { rules })
    }

    /// The category of an activity type, if a rule matches it.
    pub fn category(&self, activity_type: &str) -> Option<&str> {
        let (category, _) = self
            .rules
            .iter()
            .find(|(_, pattern)| glob::matches(pattern, activity_type))?;
        Some(category)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules =
            CategoryRules::parse(" model = *::chat , Llm*; tool=*Search*;model=*;").unwrap();
        for (activity_type, category) in [
            ("Agent::chat", "model"),
            ("LlmSearch", "model"),
            ("WebSearch", "tool"),
            ("other", "model"),
        ] {
            assert_eq!(
                rules.category(activity_type),
                Some(category),
                "{activity_type}"
            );
        }
        assert_eq!(CategoryRules::parse("").unwrap().category("x"), None);
    }

    #[test]
    fn an_error_names_the_rule_and_what_to_write() {
        for (text, message) in [
            ("model=a;tool", "category rule 2 (\"tool\") has no '='"),
            ("Model=a", "names the category \"Model\""),
            ("=a", "names the category \"\""),
            ("model=a,,b", "category rule 1 (model) has an empty pattern"),
            ("model=", "category rule 1 (model) has an empty pattern"),
        ] {
            let error = CategoryRules::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
