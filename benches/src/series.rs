//! Variants measured in turn, and what their samples say.
//!
//! Invariant: a ratio is taken between two samples of one round, so what slows the whole machine for
//! a while slows both; the median over the rounds is what counts. The first round warms up and is
//! thrown away.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::progress;

/// The variant without any plugin.
pub(crate) const PLAIN: &str = "plain";
/// The variant that records.
pub(crate) const RECORDING: &str = "recording";

/// What one sample measured, by name: seconds, bytes or a number per second.
pub(crate) type Metrics = BTreeMap<&'static str, f64>;

/// One measured run of one variant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    round: u32,
    /// Position in its round: the order changes from round to round.
    place: usize,
    variant: &'static str,
    metrics: Metrics,
}

/// One metric of one variant.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Of {
    pub(crate) variant: &'static str,
    pub(crate) metric: &'static str,
}

/// What is to be read from a series: how one thing compares with another of the same round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) what: &'static str,
    pub(crate) of: Of,
    pub(crate) to: Of,
    pub(crate) goal: Option<Goal>,
}

/// Which ratios are good.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(most) => ratio <= most,
            Self::AtLeast(least) => ratio >= least,
        }
    }
}

impl Of {
    pub(crate) const fn new(variant: &'static str, metric: &'static str) -> Self {
        Self { variant, metric }
    }
}

impl Question {
    pub(crate) const fn new(what: &'static str, of: Of, to: Of) -> Self {
        Self {
            what,
            of,
            to,
            goal: None,
        }
    }

    /// How a metric of the variant that records compares with that of the plain one.
    pub(crate) const fn recording(what: &'static str, metric: &'static str) -> Self {
        Self::new(what, Of::new(RECORDING, metric), Of::new(PLAIN, metric))
    }

    pub(crate) const fn at_most(self, goal: f64) -> Self {
        Self {
            goal: Some(Goal::AtMost(goal)),
            ..self
        }
    }

    pub(crate) const fn at_least(self, goal: f64) -> Self {
        Self {
            goal: Some(Goal::AtLeast(goal)),
            ..self
        }
    }
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) what: &'static str,
    of: Of,
    to: Of,
    pub(crate) goal: Option<Goal>,
    pub(crate) median: f64,
    /// A quarter of the rounds is below.
    pub(crate) low: f64,
    /// A quarter of the rounds is above.
    pub(crate) high: f64,
    rounds: usize,
}

/// All samples of a measure.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Series {
    samples: Vec<Sample>,
}

impl Series {
    /// Measures each variant once per round, in an order that changes.
    pub(crate) async fn measure(
        rounds: u32,
        variants: &[&'static str],
        mut measure: impl AsyncFnMut(&'static str) -> anyhow::Result<Metrics>,
    ) -> anyhow::Result<Self> {
        let mut series = Self::default();
        for round in 0..=rounds {
            progress::round(round, rounds);
            for (place, variant) in order(variants, round).into_iter().enumerate() {
                let metrics = measure(variant).await?;
                if round > 0 {
                    series.samples.push(Sample {
                        round,
                        place,
                        variant,
                        metrics,
                    });
                }
            }
        }
        Ok(series)
    }

    /// Of what is measured once, each variant with what was measured of it.
    pub(crate) fn of_one_round(measured: Vec<(&'static str, Metrics)>) -> Self {
        let samples = (measured.into_iter().enumerate())
            .map(|(place, (variant, metrics))| Sample {
                round: 1,
                place,
                variant,
                metrics,
            })
            .collect();
        Self { samples }
    }

    /// Compares round by round. A question about something that was not measured has no answer.
    pub(crate) fn ratio(&self, question: &Question) -> Option<Ratio> {
        let Question {
            what, of, to, goal, ..
        } = *question;
        let divisors = self.values(to);
        let mut ratios: Vec<f64> = self
            .values(of)
            .into_iter()
            .filter_map(|(round, value)| Some(value / divisors.get(&round)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        ratios.sort_by(f64::total_cmp);
        Some(Ratio {
            what,
            of,
            to,
            goal,
            median: quantile(&ratios, 0.5)?,
            low: quantile(&ratios, 0.25)?,
            high: quantile(&ratios, 0.75)?,
            rounds: ratios.len(),
        })
    }

    /// The median of each metric of each variant: what it was on this machine, for the record.
    pub(crate) fn medians(&self) -> BTreeMap<&'static str, Metrics> {
        let mut values: BTreeMap<_, BTreeMap<_, Vec<f64>>> = BTreeMap::new();
        for sample in &self.samples {
            let metrics = values.entry(sample.variant).or_default();
            for (metric, value) in &sample.metrics {
                metrics.entry(*metric).or_default().push(*value);
            }
        }
        let median = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            quantile(&values, 0.5)
        };
        values
            .into_iter()
            .map(|(variant, metrics)| {
                let metrics = metrics.into_iter();
                let medians = metrics.filter_map(|(name, all)| Some((name, median(all)?)));
                (variant, medians.collect())
            })
            .collect()
    }

    fn values(&self, of: Of) -> BTreeMap<u32, f64> {
        self.samples
            .iter()
            .filter(|sample| sample.variant == of.variant)
            .filter_map(|sample| Some((sample.round, *sample.metrics.get(of.metric)?)))
            .collect()
    }
}

/// The variants of a round: each is first, second, … equally often, and follows each other one
/// equally often, because what ran before may leave something behind.
fn order(variants: &[&'static str], round: u32) -> Vec<&'static str> {
    let (count, round) = (variants.len().max(1), round as usize);
    let mut order = variants.to_vec();
    order.rotate_left(round % count);
    if round / count % 2 == 1 {
        order.reverse();
    }
    order
}

/// A quantile of sorted values, between two of them where it falls there.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question =
        Question::new("", Of::new("with", "time"), Of::new("without", "time"));

    #[test]
    fn quantiles_lie_between_values() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.99), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.5), Some(1.5));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), Some(4.0));
    }

    #[test]
    fn every_variant_has_every_place_and_every_neighbour() {
        let rounds: Vec<_> = (0..6).map(|n| order(&["a", "b", "c"], n)).collect();
        for place in 0..3 {
            for variant in ["a", "b", "c"] {
                let times = rounds.iter().filter(|order| order[place] == variant);
                assert_eq!(times.count(), 2);
            }
        }
        let follows = |pair: [&str; 2]| {
            let pairs = rounds.iter().flat_map(|order| order.windows(2));
            pairs.filter(|both| **both == pair).count()
        };
        assert_eq!(follows(["a", "b"]), follows(["b", "a"]));
    }

    #[tokio::test]
    async fn a_ratio_compares_within_a_round_and_leaves_the_warm_up_out() {
        // The machine gets slower from round to round, the first being much slower.
        let mut calls = 0;
        let series = Series::measure(3, &["without", "with"], async |variant| {
            let speed = [100.0, 1.0, 2.0, 4.0][calls / 2];
            calls += 1;
            let time = if variant == "with" { 1.1 } else { 1.0 };
            Ok(Metrics::from([("time", time * speed)]))
        })
        .await
        .unwrap();
        let ratio = series.ratio(&QUESTION).unwrap();
        assert_eq!(ratio.rounds, 3);
        assert!((ratio.median - 1.1).abs() < 1e-9 && (ratio.high - 1.1).abs() < 1e-9);
        assert!((series.medians()["without"]["time"] - 2.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_not_measured_has_no_ratio() {
        assert!(Series::default().ratio(&QUESTION).is_none());
    }
}
