//! The states of an invitation and what moves it from one to the next.
//!
//! The table is what the code runs by. A pair that is not in it moves nothing: a command is refused,
//! and a message is answered by the procedure that it belongs to (481, 491, 500 …).
//!
//! | state         | input             | next          | what happens |
//! |---------------|-------------------|---------------|--------------|
//! | Null          | Invite            | Calling       | INVITE sent |
//! | Null          | InviteReceived    | Incoming      | 100 after 200 ms, the application asked |
//! | Calling       | Provisional       | Early         | perhaps an early dialog |
//! | Calling       | Success           | Connecting    | dialog confirmed |
//! | Calling       | Failure           | Disconnected  | |
//! | Calling       | End               | Disconnecting | CANCEL waits for a provisional response (9.1) |
//! | Incoming      | Ring              | Early         | 101 to 199 sent, repeated every minute (13.3.1.1) |
//! | Incoming      | Accept            | Connecting    | 2xx sent, repeated until ACK (13.3.1.4) |
//! | Incoming      | End               | Disconnecting | 300 to 699 sent |
//! | Incoming      | CancelReceived    | Disconnecting | 200 to CANCEL, 487 to INVITE (9.2) |
//! | Incoming      | Expired           | Disconnecting | 487 (13.3.1) |
//! | Early         | Ring              | Early         | 101 to 199 sent |
//! | Early         | Accept            | Connecting    | 2xx sent, repeated until ACK |
//! | Early         | Provisional       | Early         | perhaps one more early dialog |
//! | Early         | Success           | Connecting    | dialog confirmed, early ones of other forks wait for their end |
//! | Early         | Failure           | Disconnected  | |
//! | Early         | End               | Disconnecting | CANCEL, or 300 to 699 |
//! | Early         | CancelReceived    | Disconnecting | 200 to CANCEL, 487 to INVITE |
//! | Early         | Expired           | Disconnecting | 487 |
//! | Early         | ByeReceived       | Disconnecting | 200 to BYE, 487 to INVITE (15.1.2) |
//! | Connecting    | AckSent           | Confirmed     | |
//! | Connecting    | AckReceived       | Confirmed     | 2xx repeated no more |
//! | Connecting    | AckMissing        | Disconnecting | BYE (13.3.1.4) |
//! | Connecting    | End               | Disconnecting | BYE after ACK (15) |
//! | Connecting    | ByeReceived       | Disconnecting | 200 to BYE (RFC 5407, 3.1.3) |
//! | Connecting    | CancelReceived    | Connecting    | 200 to CANCEL, no effect (RFC 5407, 3.1.2) |
//! | Connecting    | ReinviteReceived  | Reinvited     | the ACK is late (RFC 5407, 3.1.4) |
//! | Connecting    | Success           | Connecting    | of another fork: ACK, BYE (13.2.2.4) |
//! | Confirmed     | Offer             | Reinviting    | re-INVITE sent |
//! | Confirmed     | ReinviteReceived  | Reinvited     | the application asked |
//! | Confirmed     | AckReceived       | Confirmed     | of a re-INVITE |
//! | Confirmed     | AckMissing        | Disconnecting | BYE |
//! | Confirmed     | Success           | Confirmed     | of another fork: ACK, BYE |
//! | Confirmed     | CancelReceived    | Confirmed     | 200 to CANCEL, no effect |
//! | Confirmed     | ByeReceived       | Disconnecting | 200 to BYE |
//! | Confirmed     | End               | Disconnecting | BYE |
//! | Reinviting    | Provisional       | Reinviting    | |
//! | Reinviting    | AckSent           | Confirmed     | 2xx to the re-INVITE |
//! | Reinviting    | Failure           | Confirmed     | the session stays as it was (14.1) |
//! | Reinviting    | Gone              | Disconnecting | 481, 408, timeout: BYE (12.2.1.2) |
//! | Reinviting    | ReinviteReceived  | Reinviting    | 491 (14.2) |
//! | Reinviting    | AckReceived       | Reinviting    | of an earlier re-INVITE, or of the INVITE |
//! | Reinviting    | AckMissing        | Disconnecting | BYE |
//! | Reinviting    | Success           | Reinviting    | 2xx that wait for our answer; of another fork: ACK, BYE |
//! | Reinviting    | ByeReceived       | Disconnecting | 200 to BYE (RFC 5407, 3.3.1) |
//! | Reinviting    | End               | Disconnecting | BYE |
//! | Reinvited     | Answer            | Confirmed     | 2xx sent, repeated until ACK |
//! | Reinvited     | Refuse            | Confirmed     | 300 to 699 sent |
//! | Reinvited     | Ring              | Reinvited     | 101 to 199 sent |
//! | Reinvited     | CancelReceived    | Confirmed     | 200 to CANCEL, 487 to re-INVITE |
//! | Reinvited     | ReinviteReceived  | Reinvited     | 500 with Retry-After (14.2) |
//! | Reinvited     | AckReceived       | Reinvited     | of the INVITE, late |
//! | Reinvited     | AckMissing        | Disconnecting | 487, BYE |
//! | Reinvited     | Success           | Reinvited     | of another fork: ACK, BYE |
//! | Reinvited     | ByeReceived       | Disconnecting | 200 to BYE, 487 to re-INVITE (15.1.2) |
//! | Reinvited     | End               | Disconnecting | 487, BYE |
//! | Disconnecting | Success           | Disconnecting | ACK, then BYE (RFC 5407, 3.1.2) |
//! | Disconnecting | Provisional       | Disconnecting | CANCEL may go now |
//! | Disconnecting | Failure           | Disconnecting | ends the INVITE |
//! | Disconnecting | AckReceived       | Disconnecting | BYE may go now |
//! | Disconnecting | AckMissing        | Disconnecting | BYE may go now |
//! | Disconnecting | CancelReceived    | Disconnecting | 200 to CANCEL |
//! | Disconnecting | ReinviteReceived  | Disconnecting | 481 (RFC 5407, 3.2.1) |
//! | Disconnecting | ByeReceived       | Disconnecting | 200 to BYE (RFC 5407, 3.2.3) |
//! | Disconnecting | Released          | Disconnected  | the last answer came, or the limit passed (INV-09) |
//! | Disconnected  | Provisional       | Disconnected  | CANCEL may go now |
//! | Disconnected  | Success           | Disconnected  | late: ACK, then BYE (13.2.2.4) |
//! | Disconnected  | Failure           | Disconnected  | ends the INVITE |
//! | Disconnected  | AckReceived       | Disconnected  | BYE may go now |
//! | Disconnected  | AckMissing        | Disconnected  | BYE may go now |
//! | Disconnected  | CancelReceived    | Disconnected  | 200 to CANCEL |
//! | Disconnected  | ReinviteReceived  | Disconnected  | 481 |
//! | Disconnected  | ByeReceived       | Disconnected  | 200 to BYE |

use crate::usage::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// Where an invitation stands, by the names of the documents (INV-13).
    State:
        /// Nothing was sent or received.
        Null
        /// INVITE sent.
        Calling
        /// INVITE received.
        Incoming
        /// A provisional response was sent or received.
        Early
        /// A 2xx was sent or received.
        Connecting
        /// ACK was sent or received.
        Confirmed
        /// Our re-INVITE runs.
        Reinviting
        /// A re-INVITE of the peer waits for our answer.
        Reinvited
        /// We, the peer or a clock ended the call; answers are outstanding.
        Disconnecting
        /// The call is over for the application.
        Disconnected;
    /// What moves an invitation. INVITE and re-INVITE of our own share their answers.
    Signal:
        /// Our first INVITE.
        Invite
        /// The peer's first INVITE.
        InviteReceived
        /// A provisional response of ours.
        Ring
        /// A 2xx of ours to INVITE.
        Accept
        /// Our application ends the call.
        End
        /// Our application offers.
        Offer
        /// A 2xx of ours to re-INVITE.
        Answer
        /// A refusal of ours to re-INVITE.
        Refuse
        /// 101 to 199 received.
        Provisional
        /// 2xx received.
        Success
        /// 300 to 699 received, or no answer at all.
        Failure
        /// Our re-INVITE shows that the peer has lost the dialog.
        Gone
        /// ACK sent for a 2xx.
        AckSent
        /// ACK received for a 2xx.
        AckReceived
        /// 64·T1 without ACK.
        AckMissing
        /// CANCEL received.
        CancelReceived
        /// BYE received.
        ByeReceived
        /// INVITE received inside the dialog.
        ReinviteReceived
        /// The time that the INVITE allows is over.
        Expired
        /// Nothing is outstanding that the application should wait for.
        Released;
}

/// The next state, or `None` if the pair moves nothing.
pub(crate) const fn next(state: State, signal: Signal) -> Option<State> {
    use Signal as I;
    use State as S;
    Some(match (state, signal) {
        (S::Null, I::Invite) => S::Calling,
        (S::Null, I::InviteReceived) => S::Incoming,

        (S::Calling, I::Provisional) => S::Early,
        (S::Calling | S::Early, I::Success) => S::Connecting,
        (S::Calling | S::Early, I::Failure) => S::Disconnected,
        (S::Early, I::Provisional) => S::Early,

        (S::Incoming | S::Early, I::Ring) => S::Early,
        (S::Incoming | S::Early, I::Accept) => S::Connecting,
        (S::Incoming | S::Early, I::CancelReceived | I::Expired) => S::Disconnecting,
        (S::Early, I::ByeReceived) => S::Disconnecting,

        (S::Connecting, I::AckSent | I::AckReceived) => S::Confirmed,
        (S::Connecting | S::Confirmed, I::ReinviteReceived) => S::Reinvited,
        (S::Connecting, I::CancelReceived | I::Success) => S::Connecting,

        (S::Confirmed, I::Offer) => S::Reinviting,
        (S::Confirmed, I::AckReceived | I::Success | I::CancelReceived) => S::Confirmed,

        (S::Reinviting, I::AckSent | I::Failure) => S::Confirmed,
        (S::Reinviting, I::Gone) => S::Disconnecting,
        (S::Reinviting, I::Provisional | I::ReinviteReceived | I::AckReceived | I::Success) => {
            S::Reinviting
        }

        (S::Reinvited, I::Answer | I::Refuse | I::CancelReceived) => S::Confirmed,
        (S::Reinvited, I::Ring | I::ReinviteReceived | I::AckReceived | I::Success) => S::Reinvited,

        (
            S::Connecting | S::Confirmed | S::Reinviting | S::Reinvited,
            I::AckMissing | I::ByeReceived,
        )
        | (
            S::Calling
            | S::Incoming
            | S::Early
            | S::Connecting
            | S::Confirmed
            | S::Reinviting
            | S::Reinvited,
            I::End,
        ) => S::Disconnecting,

        (S::Disconnecting, I::Released) => S::Disconnected,
        (S::Disconnecting | S::Disconnected, after_end) if after_end.comes_after_the_end() => state,
        _ => return None,
    })
}

impl Signal {
    /// True for what the network may still bring when the application is done.
    const fn comes_after_the_end(self) -> bool {
        matches!(
            self,
            Self::Provisional
                | Self::Success
                | Self::Failure
                | Self::AckReceived
                | Self::AckMissing
                | Self::CancelReceived
                | Self::ByeReceived
                | Self::ReinviteReceived
        )
    }
}

/// How often each pair of the table was taken, by all invitations of an endpoint.
#[derive(Clone, Debug)]
pub struct Coverage([[u64; Signal::ALL.len()]; State::ALL.len()]);

impl Coverage {
    pub(crate) const fn new() -> Self {
        Self([[0; Signal::ALL.len()]; State::ALL.len()])
    }

    pub(crate) const fn count(&mut self, state: State, signal: Signal) {
        self.0[state as usize][signal as usize] += 1;
    }

    /// Walks all pairs of the table with their counts.
    pub fn pairs(&self) -> impl Iterator<Item = (State, Signal, u64)> {
        let all = State::ALL
            .iter()
            .flat_map(|&state| Signal::ALL.iter().map(move |&signal| (state, signal)));
        all.filter(|&(state, signal)| next(state, signal).is_some())
            .map(|(state, signal)| (state, signal, self.0[state as usize][signal as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The rows of the table in the documentation above.
    fn documented() -> BTreeMap<(String, String), String> {
        let rows = include_str!("state.rs")
            .lines()
            .take_while(|line| line.starts_with("//!"));
        let cells = rows.filter_map(|line| line.strip_prefix("//! | "));
        let rows = cells.map(|row| {
            row.split('|')
                .map(|cell| cell.trim().to_owned())
                .collect::<Vec<_>>()
        });
        let rows = rows.filter(|row| row[0] != "state");
        rows.map(|row| ((row[0].clone(), row[1].clone()), row[2].clone()))
            .collect()
    }

    #[test]
    fn the_table_says_what_the_code_does() {
        let documented = documented();
        let mut coded = BTreeMap::new();
        for &state in State::ALL {
            for &signal in Signal::ALL {
                if let Some(next) = next(state, signal) {
                    coded.insert(
                        (state.name().to_owned(), signal.name().to_owned()),
                        next.name().to_owned(),
                    );
                }
            }
        }
        for (pair, next) in &coded {
            assert_eq!(documented.get(pair), Some(next), "{pair:?} is coded");
        }
        for (pair, next) in &documented {
            assert_eq!(coded.get(pair), Some(next), "{pair:?} is documented");
        }
    }

    #[test]
    fn coverage_walks_the_pairs_of_the_table_only() {
        let mut coverage = Coverage::new();
        coverage.count(State::Null, Signal::Invite);
        assert!(
            coverage
                .pairs()
                .any(|pair| pair == (State::Null, Signal::Invite, 1))
        );
        assert_eq!(coverage.pairs().filter(|pair| pair.2 > 0).count(), 1);
        assert!(
            coverage
                .pairs()
                .all(|(state, signal, _)| next(state, signal).is_some())
        );
    }
}
