//! What tokens cost.
//!
//! Invariant: a cost is either computed from a price that was found for the model, or absent;
//! never guessed. The default prices, with their date, are in `prices.json`.

use serde::Deserialize;

use super::glob;
use super::usage::Usage;

/// Prices by model name.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceTable {
    as_of: String,
    prices: Vec<Price>,
}

#[derive(Clone, Debug, PartialEq)]
struct Price {
    pattern: String,
    /// US dollars per million tokens.
    input: f64,
    /// US dollars per million tokens.
    output: f64,
}

/// Why a text is no price table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// It is no JSON of the right form.
    #[error(
        "the price table cannot be read ({0}): write {{\"as_of\": \"<date>\", \"models\": \
         [{{\"names\": [\"<model>\"], \"input\": <USD per million tokens>, \"output\": <the same>}}]}}"
    )]
    Json(#[from] serde_json::Error),
    /// A price is negative or no finite number.
    #[error("the price of {model:?} is {price}: write US dollars per million tokens, 0 or more")]
    Price {
        /// First name of the model.
        model: String,
        /// What was written.
        price: f64,
    },
    /// A model has no name, or an empty one.
    #[error("entry {entry} of the price table has no name or an empty one: write the model's name")]
    Name {
        /// Which entry, counted from 1.
        entry: usize,
    },
}

#[derive(Deserialize)]
struct File {
    as_of: String,
    models: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    names: Vec<String>,
    input: f64,
    output: f64,
}

impl PriceTable {
    /// Reads a table as `prices.json` is one: entries with `names`, in which `*` stands for any
    /// text, and `input` and `output` in US dollars per million tokens.
    ///
    /// # Errors
    /// When the text has another form, or a price or name is impossible.
    pub fn from_json(text: &str) -> Result<Self, PriceError> {
        let file: File = serde_json::from_str(text)?;
        let mut prices = Vec::new();
        for (entry, model) in (1..).zip(file.models) {
            if model.names.is_empty() || model.names.iter().any(String::is_empty) {
                return Err(PriceError::Name { entry });
            }
            for price in [model.input, model.output] {
                if !price.is_finite() || price < 0.0 {
                    let model = model.names[0].clone();
                    return Err(PriceError::Price { model, price });
                }
            }
            prices.extend(model.names.into_iter().map(|pattern| Price {
                pattern,
                input: model.input,
                output: model.output,
            }));
        }
        Ok(Self {
            as_of: file.as_of,
            prices,
        })
    }

    /// The date of the prices, as the table gives it.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// US dollars for a model call; `None` where the model is not in the table. The longest
    /// pattern that matches wins. A prefix up to the last `/`, as in `openai/gpt-4o`, may be there.
    pub fn cost(&self, usage: &Usage) -> Option<f64> {
        let model = usage.model.as_deref()?;
        let name = model.rsplit('/').next().unwrap_or(model);
        let price = self
            .prices
            .iter()
            .filter(|p| glob::matches(&p.pattern, model) || glob::matches(&p.pattern, name))
            .max_by_key(|p| p.pattern.len())?;
        let input = usage.input_tokens as f64 * price.input;
        let output = usage.output_tokens as f64 * price.output;
        Some((input + output) / 1_000_000.0)
    }
}

impl Default for PriceTable {
    /// List prices of well-known models.
    fn default() -> Self {
        // A test reads the file; were it broken, costs would be absent.
        Self::from_json(include_str!("prices.json")).unwrap_or(Self {
            as_of: String::new(),
            prices: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(table: &PriceTable, model: &str) -> Option<f64> {
        table.cost(&Usage {
            model: Some(model.to_owned()),
            input_tokens: 1_000_000,
            output_tokens: 500_000,
            cost_usd: None,
        })
    }

    #[test]
    fn the_default_prices_are_read_and_dated() {
        let table = PriceTable::default();
        assert!(table.as_of().starts_with("20"));
        assert_eq!(cost(&table, "gpt-4o"), Some(7.5));
        assert_eq!(cost(&table, "openai/gpt-4o-mini-2024-07-18"), Some(0.45));
        assert_eq!(
            cost(&table, "us.anthropic.claude-sonnet-4-20250514-v1:0"),
            Some(10.5)
        );
        assert_eq!(cost(&table, "claude-opus-4-20250514"), Some(52.5));
        assert_eq!(cost(&table, "claude-opus-4-5-20251101"), Some(17.5));
        assert_eq!(
            cost(&table, "gpt-4o-audio-preview"),
            None,
            "no price is better than a wrong one"
        );
    }

    #[test]
    fn the_longest_pattern_wins() {
        let table = PriceTable::from_json(
            r#"{"as_of": "2026-01-01", "models": [
                {"names": ["m*"], "input": 1, "output": 0},
                {"names": ["mini*"], "input": 2, "output": 0}]}"#,
        )
        .unwrap();
        assert_eq!(cost(&table, "mini-1"), Some(2.0));
        assert_eq!(cost(&table, "max"), Some(1.0));
        assert_eq!(cost(&table, "other"), None);
    }

    #[test]
    fn a_broken_table_says_what_to_write() {
        for (text, message) in [
            ("[]", "write {\"as_of\""),
            (
                r#"{"as_of": "x", "models": [{"names": ["m"], "input": -1, "output": 0}]}"#,
                "the price of \"m\" is -1",
            ),
            (
                r#"{"as_of": "x", "models": [{"names": [], "input": 1, "output": 0}]}"#,
                "entry 1",
            ),
        ] {
            let error = PriceTable::from_json(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
