//! The sampling decision.
//!
//! Invariant: a function of the trace id and the rate, with the formula of `TraceIdRatioBased` of
//! OpenTelemetry's Rust SDK, so that both sample the same traces.

use sha2::{Digest, Sha256};

/// Whether a trace is in the sample. A rate of 1 or more takes all, 0 or less (or NaN) none. Of a
/// trace id that is not 32 hex digits, the first 16 bytes of its SHA-256 are used, as spans do.
pub fn sampled(trace_id: &str, rate: f64) -> bool {
    if rate >= 1.0 {
        return true;
    }
    // 2^63 is exact as f64; `max` turns NaN into 0.
    let bound = (rate.max(0.0) * (1_u64 << 63) as f64) as u64;
    (low_bits(trace_id) >> 1) < bound
}

/// The lower 64 bits of the trace id that spans carry.
fn low_bits(trace_id: &str) -> u64 {
    let mut id = [0; 16];
    if hex::decode_to_slice(trace_id, &mut id).is_err() {
        id.copy_from_slice(&Sha256::digest(trace_id.as_bytes())[..16]);
    }
    let mut low = [0; 8];
    low.copy_from_slice(&id[8..]);
    u64::from_be_bytes(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Values of opentelemetry_sdk's own formula: the lower 64 bits, shifted right by one, below
    // the rate times 2^63.
    #[test]
    fn the_decision_is_that_of_opentelemetry() {
        let upper_bits_do_not_count = "ffffffffffffffff0000000000000000";
        assert!(sampled(upper_bits_do_not_count, 0.000_001));
        assert!(!sampled(upper_bits_do_not_count, 0.0));
        assert!(sampled("00000000000000007fffffffffffffff", 0.5));
        assert!(!sampled("00000000000000008000000000000000", 0.5));
        assert!(sampled("00000000000000003fffffffffffffff", 0.25));
        assert!(!sampled("00000000000000004000000000000000", 0.25));
        assert!(sampled("0000000000000000ffffffffffffffff", 1.0));
        assert!(!sampled("0000000000000000ffffffffffffffff", 0.999_999));
    }

    #[test]
    fn rates_out_of_range_take_all_or_none() {
        let id = "00000000000000000000000000000000";
        assert!(sampled(id, 2.0));
        assert!(!sampled(id, -1.0));
        assert!(!sampled(id, f64::NAN));
    }

    #[test]
    fn other_ids_are_sampled_by_their_hash() {
        // printf 'order-1' | sha256sum | cut -c17-32: the bits that decide.
        let low = hex::encode(&Sha256::digest(b"order-1")[8..16]);
        let same = format!("0000000000000000{low}");
        for step in 0..=100 {
            let rate = f64::from(step) / 100.0;
            assert_eq!(sampled("order-1", rate), sampled(&same, rate));
        }
        assert!(!sampled("", 0.0), "an empty id is no panic");
    }

    #[test]
    fn the_share_of_the_sample_is_the_rate() {
        let taken = (0..10_000)
            .filter(|n| sampled(&format!("run {n}"), 0.1))
            .count();
        assert!((900..1100).contains(&taken), "{taken}");
    }
}
