//! How far a database's schema has come.

/// The newest migration up to which a database has them all; one that this program does not know, if there is
/// one. Both lists are in order.
///
/// Parts that were built side by side may bring a migration with a smaller number later: a database that lacks
/// it is older than one that has it.
pub(crate) fn reached(known: impl Iterator<Item = i64>, applied: &[i64]) -> i64 {
    let mut reached = 0;
    let mut newest = 0;
    let mut is_whole = true;
    for version in known {
        is_whole &= applied.contains(&version);
        if is_whole {
            reached = version;
        }
        newest = version;
    }
    match applied.last() {
        Some(last) if *last > newest => *last,
        _ => reached,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_that_came_later_with_a_smaller_number_is_missed() {
        let known = |versions: &'static [i64]| versions.iter().copied();
        assert_eq!(reached(known(&[1, 2, 3]), &[]), 0);
        assert_eq!(reached(known(&[1, 2, 3]), &[1, 2, 3]), 3);
        assert_eq!(reached(known(&[1, 2, 4]), &[1, 2]), 2);
        assert_eq!(reached(known(&[1, 2, 4]), &[1, 2, 4]), 4);
        assert_eq!(reached(known(&[1, 2, 3, 4]), &[1, 2, 4]), 2);
        assert_eq!(reached(known(&[1, 2]), &[1, 2, 4]), 4);
        assert_eq!(reached(known(&[1, 2, 3]), &[1, 2, 4]), 4);
    }
}
