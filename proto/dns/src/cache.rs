//! What was asked before: answers, and that there is none, for as long as their zones allow.

use crate::{Data, QueryError, Question};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Answers by question, each until its time is over (DNL-16).
///
/// No timer: what is too old is not given out, and makes room when something new comes.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: BTreeMap<Question, Entry>,
    by_end: BTreeSet<(Instant, Question)>,
}

#[derive(Debug)]
struct Entry {
    answer: Result<Vec<Data>, QueryError>,
    until: Instant,
}

impl Cache {
    /// Keeps an answer for so many seconds, at most [`MAX_TIME`]. What is for this moment only (RFC 1035,
    /// 3.2.1: a TTL of zero) is not kept.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        question: Question,
        answer: Result<Vec<Data>, QueryError>,
        seconds: u32,
    ) {
        self.remove(&question);
        let lives = Duration::from_secs(seconds.into()).min(MAX_TIME);
        if lives.is_zero() {
            return;
        }
        while let Some((end, _)) = self.by_end.first()
            && (*end <= now || self.entries.len() >= MAX_ENTRIES)
        {
            if let Some((_, oldest)) = self.by_end.pop_first() {
                self.entries.remove(&oldest);
            }
        }
        let until = now + lives;
        self.by_end.insert((until, question.clone()));
        self.entries.insert(question, Entry { answer, until });
    }

    /// The answer to a question, if it is still good.
    pub(crate) fn get(
        &self,
        now: Instant,
        question: &Question,
    ) -> Option<&Result<Vec<Data>, QueryError>> {
        let entry = self.entries.get(question)?;
        (now < entry.until).then_some(&entry.answer)
    }

    /// Forgets everything: other servers may know another truth.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many answers are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.entries.remove(question) {
            self.by_end.remove(&(entry.until, question.clone()));
        }
    }
}

/// DNL-16. Negative answers, too (RFC 2308, 5 recommends one to three hours at most).
const MAX_TIME: Duration = Duration::from_secs(60 * 60);
/// Some hundred domains with all their servers; about 200 bytes each.
const MAX_ENTRIES: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Name};
    use std::sync::OnceLock;

    #[expect(
        clippy::disallowed_methods,
        reason = "an arbitrary origin for a virtual clock"
    )]
    fn at(seconds: u64) -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
    }

    fn question(number: usize) -> Question {
        Question::new(Name::new(&format!("h{number}.test")).unwrap(), Kind::A)
    }

    fn address() -> Result<Vec<Data>, QueryError> {
        Ok(vec![Data::A([192, 0, 2, 1].into())])
    }

    #[test]
    fn dnl_16_answers_live_as_long_as_their_ttl_and_at_most_an_hour() {
        let mut cache = Cache::default();
        cache.insert(at(0), question(1), address(), 60);
        cache.insert(at(0), question(2), Err(QueryError::NoName), 1_000_000);
        cache.insert(at(0), question(3), address(), 0);
        assert_eq!(cache.get(at(59), &question(1)), Some(&address()));
        assert_eq!(cache.get(at(60), &question(1)), None);
        assert_eq!(
            cache.get(at(3_599), &question(2)),
            Some(&Err(QueryError::NoName))
        );
        assert_eq!(cache.get(at(3_600), &question(2)), None);
        assert_eq!(cache.get(at(0), &question(3)), None);
    }

    #[test]
    fn a_full_cache_forgets_what_would_end_first() {
        let mut cache = Cache::default();
        for number in 0..=MAX_ENTRIES {
            let seconds = if number == 7 { 5 } else { 600 };
            cache.insert(at(0), question(number), address(), seconds);
        }
        assert_eq!(cache.len(), MAX_ENTRIES);
        assert_eq!(cache.get(at(1), &question(7)), None);
        assert!(cache.get(at(1), &question(MAX_ENTRIES)).is_some());
        cache.insert(at(601), question(0), address(), 600);
        assert_eq!(cache.len(), 1, "what is over makes room");
    }

    #[test]
    fn a_later_answer_replaces_an_earlier_one() {
        let mut cache = Cache::default();
        cache.insert(at(0), question(1), address(), 600);
        cache.insert(at(1), question(1), Err(QueryError::NoRecords), 5);
        assert_eq!(
            cache.get(at(2), &question(1)),
            Some(&Err(QueryError::NoRecords))
        );
        assert_eq!(cache.get(at(7), &question(1)), None);
    }
}
