//! Token usage, found in the response shapes in common use.
//!
//! Invariant: only counts and the model's name are read, nothing else is kept; the search goes a
//! fixed number of levels deep. Counts that are negative, absurd or no whole numbers are ignored.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::fields::{FieldRules, is_identifier_like, snake};
use super::prices::PriceTable;
use super::scrub::looks_secret;

/// What one model call used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Name of the model, if one stood beside the counts.
    pub model: Option<String>,
    /// Tokens of the prompt.
    pub input_tokens: i64,
    /// Tokens of the answer, those of hidden reasoning included.
    pub output_tokens: i64,
    /// US dollars, if the price of the model is known.
    pub cost_usd: Option<f64>,
}

/// Levels of objects and arrays that are searched.
const SEARCHED_LEVELS: u8 = 8;

/// The longest name of a model that is kept.
const MAX_MODEL_BYTES: usize = 128;

/// Fields with the model's name, in snake case.
const MODEL_FIELDS: &[&str] = &["model", "model_name", "model_id", "model_version"];

/// Fields with an object of counts, in snake case.
const USAGE_FIELDS: &[&str] = &["usage", "usage_metadata", "token_usage"];

/// More tokens than any single call can use.
const ABSURD: i64 = 1_000_000_000;

/// Searches a JSON document; the first find counts, what stands higher up before what is deeper.
pub(super) fn in_text(data: &[u8], rules: &FieldRules, prices: &PriceTable) -> Option<Usage> {
    // Every known shape has a name with "oken" in it; most payloads have none.
    std::str::from_utf8(data)
        .ok()?
        .contains("oken")
        .then_some(())?;
    let mut json = serde_json::Deserializer::from_slice(data);
    in_document(&mut json, rules, prices)
}

/// As [`in_text`], of a document that was read already.
pub(super) fn in_document<'de, D: Deserializer<'de>>(
    document: D,
    rules: &FieldRules,
    prices: &PriceTable,
) -> Option<Usage> {
    let (tokens, model) = Search { level: 0 }.deserialize(document).ok()?.usage?;
    let model = model.filter(|m| {
        is_identifier_like(&m.replace('@', "-"), MAX_MODEL_BYTES) && !looks_secret(m, rules)
    });
    let mut usage = Usage {
        model,
        input_tokens: tokens.input.unwrap_or(0),
        output_tokens: tokens
            .output
            .unwrap_or(0)
            .saturating_add(tokens.thoughts.unwrap_or(0)),
        cost_usd: None,
    };
    usage.cost_usd = prices.cost(&usage);
    Some(usage)
}

/// What was found in one value.
#[derive(Default)]
struct Found {
    /// Usage, with its model: of this value, or else of one below it.
    usage: Option<(Tokens, Option<String>)>,
    /// Counts that stand in this very object.
    own: Tokens,
    /// The value, if it is a count.
    count: Option<i64>,
    /// The value, if it is a short string.
    text: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Tokens {
    input: Option<i64>,
    output: Option<i64>,
    thoughts: Option<i64>,
}

impl Tokens {
    /// Where the count of a field belongs.
    fn slot(&mut self, name: &str) -> Option<&mut Option<i64>> {
        match name {
            "prompt_tokens" | "input_tokens" | "prompt_token_count" | "input_token_count" => {
                Some(&mut self.input)
            }
            "completion_tokens"
            | "output_tokens"
            | "candidates_token_count"
            | "output_token_count" => Some(&mut self.output),
            "thoughts_token_count" => Some(&mut self.thoughts),
            _ => None,
        }
    }
}

struct Search {
    level: u8,
}

impl<'de> DeserializeSeed<'de> for Search {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        match self.level {
            SEARCHED_LEVELS.. => {
                IgnoredAny::deserialize(deserializer)?;
                Ok(Found::default())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Search {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Found, E> {
        Ok(Found {
            count: (0..ABSURD).contains(&n).then_some(n),
            ..Found::default()
        })
    }

    fn visit_u64<E: Error>(self, n: u64) -> Result<Found, E> {
        self.visit_i64(i64::try_from(n).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, n: f64) -> Result<Found, E> {
        // The conversion saturates, so an absurd number stays absurd.
        self.visit_i64(if n.fract() == 0.0 { n as i64 } else { -1 })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Found, E> {
        Ok(Found {
            text: (text.len() <= MAX_MODEL_BYTES).then(|| text.to_owned()),
            ..Found::default()
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Found, A::Error> {
        let level = self.level + 1;
        let mut usage = None;
        while usage.is_none() {
            match items.next_element_seed(Search { level })? {
                Some(found) => usage = found.usage,
                None => return Ok(Found::default()),
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Found {
            usage,
            ..Found::default()
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Found, A::Error> {
        let level = self.level + 1;
        let (mut own, mut named, mut below, mut model) = (Tokens::default(), None, None, None);
        while let Some(name) = fields.next_key::<String>()? {
            let found = fields.next_value_seed(Search { level })?;
            let name = snake(&name);
            if let Some(slot) = own.slot(&name) {
                *slot = slot.or(found.count);
            } else if MODEL_FIELDS.contains(&name.as_str()) {
                model = model.or(found.text);
            } else if USAGE_FIELDS.contains(&name.as_str())
                && found.own.input.or(found.own.output).is_some()
            {
                // One count is enough here: embeddings have no output.
                named = named.or(Some(found.own));
            } else {
                below = below.or(found.usage);
            }
        }
        let pair = (own.input.is_some() && own.output.is_some()).then_some(own);
        let usage = match (named.or(pair), below) {
            (Some(tokens), _) => Some((tokens, model)),
            (None, Some((tokens, its_model))) => Some((tokens, its_model.or(model))),
            (None, None) => None,
        };
        Ok(Found {
            usage,
            own,
            ..Found::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn find(document: serde_json::Value) -> Option<(Option<String>, i64, i64)> {
        let rules = FieldRules::new(&[], &[]);
        let usage = in_text(
            document.to_string().as_bytes(),
            &rules,
            &PriceTable::default(),
        )?;
        Some((usage.model, usage.input_tokens, usage.output_tokens))
    }

    #[test]
    fn the_usual_shapes_are_understood() {
        let chat =
            json!({"model": "gpt-4o", "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
        let other = json!({"model": "gpt-4o", "usage": {"input_tokens": 3, "output_tokens": 4}});
        let camel =
            json!({"model": "gpt-4o", "usage": {"promptTokens": 3, "completionTokens": 4.0}});
        let plain = json!({"text": "x", "model": "gpt-4o", "input_tokens": 3, "output_tokens": 4});
        let nested = json!([1, {"model": "gpt-4o", "r": [{"usage": {"inputTokens": 3, "outputTokens": 4}}]}]);
        for document in [chat, other, camel, plain, nested] {
            assert_eq!(find(document), Some((Some("gpt-4o".into()), 3, 4)));
        }
        let gemini = json!({"modelVersion": "gemini-2.5-pro", "usageMetadata":
            {"promptTokenCount": 3, "candidatesTokenCount": 4, "thoughtsTokenCount": 5}});
        assert_eq!(find(gemini), Some((Some("gemini-2.5-pro".into()), 3, 9)));
        let embedding = json!({"model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}});
        assert_eq!(find(embedding), Some((Some("m".into()), 3, 0)));
    }

    #[test]
    fn what_stands_higher_up_counts() {
        let document = json!({
            "choices": [{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        });
        assert_eq!(find(document), Some((None, 3, 4)));
    }

    #[test]
    fn nonsense_is_no_usage() {
        for usage in [
            json!({"prompt_tokens": -1}),
            json!({"prompt_tokens": 1e30}),
            json!({"prompt_tokens": 1.5}),
            json!({"prompt_tokens": "3"}),
            json!({"prompt_tokens": true}),
            json!({"prompt_tokens": [3]}),
            json!([3]),
            json!(null),
        ] {
            assert_eq!(find(json!({"usage": usage})), None, "{usage}");
        }
        assert_eq!(find(json!({"prompt_tokens": 3})), None, "half a pair");
        let mut deep = json!({"usage": {"prompt_tokens": 1}});
        for _ in 0..8 {
            deep = json!([deep]);
        }
        assert_eq!(find(deep), None);
    }

    #[test]
    fn a_model_name_that_is_no_name_is_left_out() {
        let usage = json!({"prompt_tokens": 1});
        for model in [
            json!("bob@example.com x"),
            json!("4111111111111111"),
            json!(1),
            json!(""),
        ] {
            assert_eq!(
                find(json!({"model": model, "usage": usage})),
                Some((None, 1, 0))
            );
        }
        let vertex = json!({"model": "claude-3-5-sonnet@20240620", "usage": usage});
        assert_eq!(
            find(vertex).unwrap().0.unwrap(),
            "claude-3-5-sonnet@20240620"
        );
    }
}
