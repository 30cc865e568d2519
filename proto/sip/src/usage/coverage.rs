//! How often the pairs of the tables of subscriptions were taken, by all usages of an endpoint.

use super::{Step, notifier, subscription};

/// The counts of both tables.
#[derive(Clone, Debug)]
pub(crate) struct Coverage {
    subscription: [[u32; subscription::Signal::ALL.len()]; subscription::State::ALL.len()],
    notifier: [[u32; notifier::Signal::ALL.len()]; notifier::State::ALL.len()],
}

impl Coverage {
    pub(crate) const fn new() -> Self {
        Self {
            subscription: [[0; subscription::Signal::ALL.len()]; subscription::State::ALL.len()],
            notifier: [[0; notifier::Signal::ALL.len()]; notifier::State::ALL.len()],
        }
    }

    pub(crate) fn count(&mut self, step: Step) {
        let count = match step {
            Step::Subscription(state, signal) => &mut self.subscription[state][signal],
            Step::Notifier(state, signal) => &mut self.notifier[state][signal],
        };
        *count = count.saturating_add(1);
    }

    /// All pairs of the tables as text, with their counts.
    pub(crate) fn list(&self) -> Vec<(String, u32)> {
        let mut list = Vec::new();
        for &state in subscription::State::ALL {
            for &signal in subscription::Signal::ALL {
                if subscription::state::next(state, signal).is_some() {
                    let count = self.subscription[state as usize][signal as usize];
                    list.push((format!("subscription {state:?} {signal:?}"), count));
                }
            }
        }
        for &state in notifier::State::ALL {
            for &signal in notifier::Signal::ALL {
                if notifier::state::next(state, signal).is_some() {
                    let count = self.notifier[state as usize][signal as usize];
                    list.push((format!("notifier {state:?} {signal:?}"), count));
                }
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_counted_where_they_stand() {
        let mut coverage = Coverage::new();
        let (of_ours, of_theirs) = (
            Step::Subscription(
                subscription::State::Null as usize,
                subscription::Signal::Subscribe as usize,
            ),
            Step::Notifier(
                notifier::State::Active as usize,
                notifier::Signal::Leave as usize,
            ),
        );
        for step in [of_ours, of_theirs, of_theirs] {
            coverage.count(step);
        }
        let list = coverage.list();
        let counted: Vec<_> = list.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            counted,
            [
                &("subscription Null Subscribe".to_owned(), 1),
                &("notifier Active Leave".to_owned(), 2)
            ]
        );
        // All rows of both tables, and nothing else.
        assert_eq!(list.len(), 41 + 15);
    }
}
