//! A lookup: a request, and the answers that it has so far.

use super::{
    Child, Event, Resolver, Trace,
    id::{Asker, LookupId},
};
use crate::{
    Found, LookupError, Name, QueryError, Question, Request,
    authority::{self, Authority},
    known::{Answer, Answers, Known},
    request::Step,
};
use base::Deadline;
use std::{collections::BTreeSet, net::SocketAddr, time::Instant};

/// A lookup under way.
#[derive(Debug)]
pub(super) struct Lookup {
    request: Request,
    answers: Answers,
    /// What was asked and is not answered.
    waiting: BTreeSet<Question>,
    /// Its time is over: what is not known now stays unknown.
    is_late: bool,
    home: Home,
}

/// Whether a lookup asks its domain's own servers first (DNL-02).
#[derive(Debug)]
enum Home {
    /// It does not, or they are not known.
    Nobody,
    /// Those of this domain are being looked for, in these families.
    Sought(Name, (bool, bool)),
    /// These.
    Found(Authority),
}

impl Resolver {
    pub(super) fn begin(&mut self, now: Instant, request: Request) -> LookupId {
        let is_full = self.lookups.len() >= MAX_LOOKUPS;
        let domain = request
            .domain()
            .filter(|(name, _)| self.config.authoritative && self.hosts.addresses(name).is_none());
        let id = self.lookups.insert(Lookup {
            home: domain.map_or(Home::Nobody, |(name, families)| {
                Home::Sought(name, families)
            }),
            request,
            answers: Answers::new(),
            waiting: BTreeSet::new(),
            is_late: false,
        });
        if is_full {
            self.end(id, Err(LookupError::TooMany));
            return id;
        }
        let deadline = now.checked_add(self.config.lifetime);
        let deadline = deadline.map(|at| Deadline::new(at, "lifetime of a lookup"));
        self.timers.set(Child::Lookup(id), deadline);
        self.go_on(now, id);
        id
    }

    /// An answer for a lookup has come.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        id: LookupId,
        question: &Question,
        answer: &Answer,
        servers: &[SocketAddr],
    ) {
        let Some(lookup) = self.lookups.get_mut(id) else {
            return;
        };
        if !lookup.waiting.remove(question) {
            return;
        }
        self.note(id, question, answer.clone(), servers.to_vec());
        if self
            .lookups
            .get(id)
            .is_some_and(|lookup| lookup.waiting.is_empty())
        {
            self.go_on(now, id);
        }
    }

    /// The time of a lookup is over: it ends with what is known.
    pub(super) fn handle_lookup_timeout(&mut self, now: Instant, id: LookupId) {
        let Some(lookup) = self.lookups.get_mut(id) else {
            return;
        };
        lookup.is_late = true;
        for question in std::mem::take(&mut lookup.waiting) {
            let servers = self.abandon(now, &question, Asker::Lookup(id));
            self.note(id, &question, Err(QueryError::TimedOut), servers);
        }
        self.go_on(now, id);
    }

    /// Asks what must be known next, until something must be waited for or nothing is left to ask.
    fn go_on(&mut self, now: Instant, id: LookupId) {
        loop {
            let Some(lookup) = self.lookups.get_mut(id) else {
                return;
            };
            let step = match &lookup.home {
                Home::Sought(domain, families) => {
                    let mut known = Known::new(&lookup.answers, &self.hosts);
                    let found = authority::of(domain, *families, &mut known);
                    if known.is_complete() {
                        lookup.home = found.map_or(Home::Nobody, Home::Found);
                        continue;
                    }
                    Step::Ask(known.into_missing())
                }
                Home::Nobody | Home::Found(_) => {
                    let Lookup {
                        request, answers, ..
                    } = lookup;
                    request.advance(answers, &self.hosts, &mut self.rng)
                }
            };
            let questions = match step {
                Step::Done(result) => return self.end(id, result),
                Step::Ask(questions) => questions,
            };
            for question in questions {
                self.ask(now, id, question);
            }
            let waits = |lookup: &Lookup| !lookup.waiting.is_empty();
            if self.lookups.get(id).is_none_or(waits) {
                return;
            }
        }
    }

    /// Answers a question from what is known, or asks it.
    fn ask(&mut self, now: Instant, id: LookupId, question: Question) {
        let Some(lookup) = self.lookups.get_mut(id) else {
            return;
        };
        let error = if let Some(answer) = self.cache.get(now, &question) {
            let answer = answer.clone();
            return self.note(id, &question, answer, Vec::new());
        } else if lookup.is_late {
            QueryError::TimedOut
        } else if lookup.answers.len() + lookup.waiting.len() >= MAX_QUESTIONS {
            QueryError::TooMany
        } else if self.servers.active().is_empty() {
            QueryError::NoServer
        } else {
            lookup.waiting.insert(question.clone());
            let first = match &lookup.home {
                Home::Found(authority) if question.name.is_within(&authority.zone) => {
                    authority.servers.clone()
                }
                Home::Found(_) | Home::Nobody | Home::Sought(..) => Vec::new(),
            };
            return self.query(now, question, first, Asker::Lookup(id));
        };
        self.note(id, &question, Err(error), Vec::new());
    }

    /// Keeps an answer for its lookup, and tells of it.
    fn note(
        &mut self,
        id: LookupId,
        question: &Question,
        answer: Answer,
        servers: Vec<SocketAddr>,
    ) {
        let Some(lookup) = self.lookups.get_mut(id) else {
            return;
        };
        let trace = Trace {
            lookup: id,
            question: question.clone(),
            answer: answer.clone(),
            operation: lookup.request.operation(),
            service: lookup.request.service(),
            subject: lookup.request.to_string(),
            servers,
        };
        lookup.answers.insert(question.clone(), answer);
        self.tell(Event::Trace(trace));
    }

    fn end(&mut self, lookup: LookupId, result: Result<Found, LookupError>) {
        self.lookups.remove(lookup);
        self.timers.set(Child::Lookup(lookup), None);
        self.tell(Event::Done { lookup, result });
    }
}

/// What the calls of a busy agent may look up at a time.
const MAX_LOOKUPS: usize = 1_024;
/// NAPTR, the SRV records of eight services, and both families of some dozen hosts.
const MAX_QUESTIONS: usize = 64;
