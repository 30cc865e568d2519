//! The 48-bit index of an RTP packet, of which 16 bits are sent (RFC 3711, 3.3.1 and appendix A).

/// The index that a sequence number most likely stands for, next to the highest index so far.
/// Nothing if it would lie before the first packet of all.
pub(super) const fn index_near(highest: u64, sequence: u16) -> Option<u64> {
    let rollovers = highest >> 16;
    // How far the number is ahead, at most half of all numbers either way.
    let ahead = sequence.wrapping_sub(highest as u16) as i16;
    let rollovers = match (ahead >= 0, sequence < highest as u16) {
        // It has begun anew.
        (true, true) => rollovers + 1,
        // It is from before the last beginning.
        (false, false) => match rollovers.checked_sub(1) {
            Some(rollovers) => rollovers,
            None => return None,
        },
        (true, false) | (false, true) => rollovers,
    };
    Some(rollovers << 16 | sequence as u64)
}

/// The first number that a key cannot protect (RFC 3711, 9.2).
pub(super) const END: u64 = 1 << 48;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn around_a_rollover() {
        assert_eq!(index_near(0xffff, 0), Some(0x1_0000));
        assert_eq!(index_near(0x1_0000, 0xffff), Some(0xffff));
        assert_eq!(index_near(0x1_0002, 0xfffe), Some(0xfffe));
        assert_eq!(index_near(2, 0xfffe), None);
        assert_eq!(index_near(5, 5), Some(5));
    }

    proptest! {
        #[test]
        fn numbers_within_half_of_all_are_found(highest in 0u64..1 << 40, step in -32_767i64..=32_767) {
            if let Some(index) = highest.checked_add_signed(step) {
                prop_assert_eq!(index_near(highest, index as u16), Some(index));
            }
        }
    }
}
