//! The states of a subscription of a peer and what moves it from one to the next (RFC 6665, 4.2.2).
//!
//! The table is what the code runs by; a pair that is not in it moves nothing. `Incoming` is the RFC's
//! resp_wait.
//!
//! | state      | input     | next       | what happens |
//! |------------|-----------|------------|--------------|
//! | Incoming   | Accept    | Active     | 2xx, NOTIFY |
//! | Incoming   | Pend      | Pending    | 2xx, NOTIFY; also by itself when nobody decides in T2 |
//! | Incoming   | Reject    | Terminated | 300 to 699 |
//! | Incoming   | Gone      | Terminated | the dialog that it shares is no more |
//! | Pending    | Accept    | Active     | NOTIFY |
//! | Pending    | Terminate | Terminated | last NOTIFY |
//! | Pending    | Leave     | Terminated | SUBSCRIBE with Expires 0: 2xx, last NOTIFY |
//! | Pending    | Expired   | Terminated | last NOTIFY: timeout |
//! | Pending    | Failed    | Terminated | a NOTIFY failed in a way that ends it |
//! | Pending    | Gone      | Terminated | |
//! | Active     | Terminate | Terminated | last NOTIFY |
//! | Active     | Leave     | Terminated | SUBSCRIBE with Expires 0: 2xx, last NOTIFY |
//! | Active     | Expired   | Terminated | last NOTIFY: timeout |
//! | Active     | Failed    | Terminated | |
//! | Active     | Gone      | Terminated | |

use crate::usage::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// Where a subscription of a peer stands.
    State:
        /// SUBSCRIBE or REFER waits for its answer.
        Incoming
        /// Answered, but not decided.
        Pending
        /// The peer is told.
        Active
        /// Over; the last NOTIFY may be outstanding.
        Terminated;
    /// What moves it.
    Signal:
        /// The application grants it.
        Accept
        /// The application, or time, leaves it undecided.
        Pend
        /// The application refuses it.
        Reject
        /// The application ends it.
        Terminate
        /// The peer ends it.
        Leave
        /// The peer has not refreshed it.
        Expired
        /// A NOTIFY shows that the peer has lost it.
        Failed
        /// The dialog is no more.
        Gone;
}

/// The next state, or `None` if the pair moves nothing.
pub(crate) const fn next(state: State, signal: Signal) -> Option<State> {
    use Signal as I;
    use State as S;
    Some(match (state, signal) {
        (S::Incoming | S::Pending, I::Accept) => S::Active,
        (S::Incoming, I::Pend) => S::Pending,
        (S::Incoming, I::Reject | I::Gone)
        | (S::Pending | S::Active, I::Terminate | I::Leave | I::Expired | I::Failed | I::Gone) => {
            S::Terminated
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_table_says_what_the_code_does() {
        let rows = include_str!("state.rs")
            .lines()
            .take_while(|line| line.starts_with("//!"));
        let cells = rows.filter_map(|line| line.strip_prefix("//! | "));
        let rows = cells.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        let rows = rows.filter(|row| row[0] != "state");
        let documented: BTreeMap<_, _> = rows.map(|row| ((row[0], row[1]), row[2])).collect();
        let mut coded = BTreeMap::new();
        for &state in State::ALL {
            for &signal in Signal::ALL {
                if let Some(next) = next(state, signal) {
                    coded.insert((state.name(), signal.name()), next.name());
                }
            }
        }
        assert_eq!(documented, coded);
    }
}
