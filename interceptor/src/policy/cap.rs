//! Which attempts and inner events a worker offers for storing.
//!
//! Invariant: a function of the number alone, so every worker and every replay picks the same.

/// Attempts of a step that are always offered.
pub const OFFERED_ATTEMPTS: u32 = 20;
/// Inner events of an attempt that are offered.
pub const OFFERED_INNER_EVENTS: u32 = 50;

/// Whether attempt `n` (1, 2, …) of a step is offered: the first [`OFFERED_ATTEMPTS`], then every
/// power of two. 0, the step itself, always is.
pub fn offered_attempt(n: u32) -> bool {
    n <= OFFERED_ATTEMPTS || n.is_power_of_two()
}

/// Whether inner event `n` (1, 2, …) of an attempt is offered.
pub fn offered_inner(n: u32) -> bool {
    n <= OFFERED_INNER_EVENTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_attempts_and_then_powers_of_two_are_offered() {
        let offered: Vec<u32> = (1..=300).filter(|n| offered_attempt(*n)).collect();
        let expected: Vec<u32> = (1..=20).chain([32, 64, 128, 256]).collect();
        assert_eq!(offered, expected);
        assert!(offered_attempt(0) && offered_attempt(1 << 31) && !offered_attempt(u32::MAX));
    }

    #[test]
    fn fifty_inner_events_are_offered() {
        assert!(offered_inner(50) && !offered_inner(51));
    }
}
