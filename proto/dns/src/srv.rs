//! The order among SRV records (RFC 2782, "Usage rules").

use crate::Srv;
use base::Rng;

/// Orders records as they shall be tried: by priority, and among equals by chance, each with the share
/// that its weight gives it (DNL-18).
pub(crate) fn ordered<T>(mut records: Vec<(Srv, T)>, rng: &mut Rng) -> Vec<(Srv, T)> {
    // Records without weight stand at the beginning, so that they have a small chance to be chosen.
    records.sort_by_key(|(srv, _)| (srv.priority, srv.weight > 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|(srv, _)| srv.priority) {
        let equals = || {
            records
                .iter()
                .take_while(|(srv, _)| srv.priority == priority)
        };
        let sum: u32 = equals().map(|(srv, _)| u32::from(srv.weight)).sum();
        // RFC 2782: a number between 0 and the sum, both included.
        let mut left = rng.below(sum.saturating_add(1));
        let chosen = equals().position(|(srv, _)| {
            let weight = u32::from(srv.weight);
            let is_chosen = weight >= left;
            left = left.saturating_sub(weight);
            is_chosen
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;
    use base::Rng;
    use proptest::prelude::*;

    fn record(priority: u16, weight: u16, number: usize) -> (Srv, usize) {
        let srv = Srv {
            priority,
            weight,
            port: 5060,
            target: Name::new("a.test").unwrap(),
        };
        (srv, number)
    }

    /// How often each of the records comes first in 10,000 draws.
    fn shares(weights: &[u16]) -> Vec<u32> {
        let mut rng = Rng::from_seed([3; 32]);
        let mut shares = vec![0; weights.len()];
        for _ in 0..10_000 {
            let records = weights.iter().enumerate();
            let records = records.map(|(number, &weight)| record(1, weight, number));
            let (_, first) = ordered(records.collect(), &mut rng).remove(0);
            shares[first] += 1;
        }
        shares
    }

    #[test]
    fn dnl_18_weights_are_shares() {
        let shares = shares(&[10, 30, 60]);
        for (share, expected) in shares.iter().zip([1_000_u32, 3_000, 6_000]) {
            // Two weights of 101 in all: RFC 2782 draws from 0 to the sum, both included.
            assert!(share.abs_diff(expected) < 200, "{shares:?}");
        }
    }

    #[test]
    fn dnl_18_no_weight_is_a_small_chance() {
        let shares = shares(&[100, 0]);
        assert!((20..300).contains(&shares[1]), "{shares:?}");
    }

    proptest! {
        #[test]
        fn priorities_rule_and_nothing_is_lost(
            plan in prop::collection::vec((0..4u16, any::<u16>()), 0..40),
            seed in any::<[u8; 32]>(),
        ) {
            let records = plan.iter().enumerate();
            let records: Vec<_> = records
                .map(|(number, &(priority, weight))| record(priority, weight, number))
                .collect();
            let found = ordered(records, &mut Rng::from_seed(seed));
            let priorities = found.iter().map(|(srv, _)| srv.priority);
            prop_assert!(priorities.is_sorted());
            let mut numbers: Vec<_> = found.iter().map(|(_, number)| *number).collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..plan.len()).collect::<Vec<_>>());
        }
    }
}
