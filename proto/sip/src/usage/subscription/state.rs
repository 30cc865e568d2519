//! The states of a subscription of ours and what moves it from one to the next (RFC 6665, 4.1.2).
//!
//! The table is what the code runs by; a pair that is not in it moves nothing. `Accepted` is the
//! documents' name for a subscription whose 2xx came before its first NOTIFY; the RFC's notify_wait is
//! `Sent` and `Accepted`.
//!
//! | state      | input            | next       | what happens |
//! |------------|------------------|------------|--------------|
//! | Null       | Subscribe        | Sent       | SUBSCRIBE or REFER sent, timer N runs |
//! | Null       | Fork             | Accepted   | a NOTIFY of another dialog of the same SUBSCRIBE |
//! | Sent       | Success          | Accepted   | |
//! | Sent       | Failure          | Terminated | |
//! | Sent       | NotifyActive     | Active     | NOTIFY before the 2xx (4.1.2.4) |
//! | Sent       | NotifyPending    | Pending    | |
//! | Sent       | NotifyOther      | Other      | a state that nobody knows: it stands, whatever it is |
//! | Sent       | NotifyTerminated | Terminated | |
//! | Sent       | TimerN           | Terminated | |
//! | Sent       | Gone             | Terminated | the dialog that it shares is no more |
//! | Accepted   | NotifyActive     | Active     | |
//! | Accepted   | NotifyPending    | Pending    | |
//! | Accepted   | NotifyOther      | Other      | |
//! | Accepted   | NotifyTerminated | Terminated | |
//! | Accepted   | TimerN           | Terminated | 64·T1 without NOTIFY (4.1.2.4) |
//! | Accepted   | Expired          | Terminated | |
//! | Accepted   | Gone             | Terminated | |
//! | Pending    | NotifyActive     | Active     | |
//! | Pending    | NotifyPending    | Pending    | |
//! | Pending    | NotifyOther      | Other      | |
//! | Pending    | NotifyTerminated | Terminated | |
//! | Pending    | Failure          | Terminated | a refresh that ends it (4.1.2.2) |
//! | Pending    | TimerN           | Terminated | no NOTIFY to a refresh (4.1.2.2) |
//! | Pending    | Expired          | Terminated | |
//! | Pending    | Gone             | Terminated | |
//! | Active     | NotifyActive     | Active     | |
//! | Active     | NotifyPending    | Pending    | |
//! | Active     | NotifyOther      | Other      | |
//! | Active     | NotifyTerminated | Terminated | |
//! | Active     | Failure          | Terminated | |
//! | Active     | TimerN           | Terminated | |
//! | Active     | Expired          | Terminated | |
//! | Active     | Gone             | Terminated | |
//! | Other      | NotifyActive     | Active     | |
//! | Other      | NotifyPending    | Pending    | |
//! | Other      | NotifyOther      | Other      | |
//! | Other      | NotifyTerminated | Terminated | |
//! | Other      | Failure          | Terminated | |
//! | Other      | TimerN           | Terminated | |
//! | Other      | Expired          | Terminated | |
//! | Other      | Gone             | Terminated | |

use crate::usage::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// Where a subscription stands, by the names of the documents (SUB).
    State:
        /// Nothing was sent.
        Null
        /// SUBSCRIBE sent.
        Sent
        /// A 2xx came, and no NOTIFY yet.
        Accepted
        /// The notifier has not decided.
        Pending
        /// The notifier reports.
        Active
        /// The notifier said a word that is none of these.
        Other
        /// Over.
        Terminated;
    /// What moves a subscription.
    Signal:
        /// Our first SUBSCRIBE or REFER.
        Subscribe
        /// A further dialog of a forked one begins.
        Fork
        /// 2xx to it.
        Success
        /// It failed, or a refresh failed in a way that ends the subscription.
        Failure
        /// NOTIFY: active.
        NotifyActive
        /// NOTIFY: pending.
        NotifyPending
        /// NOTIFY: terminated.
        NotifyTerminated
        /// NOTIFY: something else.
        NotifyOther
        /// 64·T1 without a NOTIFY.
        TimerN
        /// Nothing refreshed it in time.
        Expired
        /// The dialog is no more.
        Gone;
}

/// The next state, or `None` if the pair moves nothing.
pub(crate) const fn next(state: State, signal: Signal) -> Option<State> {
    use Signal as I;
    use State as S;
    Some(match (state, signal) {
        (S::Null, I::Subscribe) => S::Sent,
        (S::Null, I::Fork) | (S::Sent, I::Success) => S::Accepted,
        (S::Null | S::Terminated, _)
        | (_, I::Subscribe | I::Fork)
        | (S::Accepted, I::Failure)
        | (S::Sent, I::Expired)
        | (_, I::Success) => return None,
        (_, I::NotifyActive) => S::Active,
        (_, I::NotifyPending) => S::Pending,
        (_, I::NotifyOther) => S::Other,
        (_, I::NotifyTerminated | I::Failure | I::TimerN | I::Expired | I::Gone) => S::Terminated,
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
