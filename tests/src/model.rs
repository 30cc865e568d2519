//! What each user should believe, from the events alone.

use sipsimple::{
    agent::{SessionId, StreamId},
    event::{Event, Notification, Originator, SessionEvent, StreamEvent},
};
use std::collections::{BTreeMap, BTreeSet};

/// What a user believes about all calls, and what was wrong with how it was told.
///
/// The model knows the grammar of the events (requirements 4.4 and 5.4): every session begins once and
/// ends once, nothing follows its end, `DidStart` follows `WillStart` and only a session that
/// started can end by `DidEnd`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Model {
    sessions: BTreeMap<SessionId, Belief>,
    streams: BTreeMap<StreamId, StreamBelief>,
    broken: Vec<String>,
}

/// What a user believes about a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Belief {
    /// Where it stands.
    pub phase: Phase,
    /// We hold the peer.
    pub held_by_us: bool,
    /// The peer holds us.
    pub held_by_peer: bool,
    /// It rang.
    pub rang: bool,
    will_start: bool,
    will_end: bool,
}

/// Where a call stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Being made, by either side.
    Setup,
    /// Both can talk.
    Up,
    /// It never started.
    Failed {
        /// The status code.
        code: u16,
    },
    /// It was up, and is over.
    Ended {
        /// Who ended it.
        by: Originator,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct StreamBelief {
    started: bool,
    ended: bool,
}

impl Model {
    /// Believes what a user was told, in this order.
    pub fn of(notifications: &[Notification]) -> Self {
        let mut model = Self::default();
        for notification in notifications {
            model.hear(&notification.event);
        }
        model
    }

    /// What is believed about a call.
    pub fn session(&self, id: SessionId) -> Option<&Belief> {
        self.sessions.get(&id)
    }

    /// All calls in the order of their ids.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, &Belief)> {
        self.sessions.iter().map(|(&id, belief)| (id, belief))
    }

    /// The calls that are neither failed nor ended.
    pub fn alive(&self) -> BTreeSet<SessionId> {
        let alive =
            |(_, belief): &(SessionId, &Belief)| matches!(belief.phase, Phase::Setup | Phase::Up);
        self.sessions().filter(alive).map(|(id, _)| id).collect()
    }

    /// What was wrong with how the user was told.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::Session(id, event) => self.hear_session(*id, event),
            Event::Stream(id, event) => self.hear_stream(*id, event),
            _ => {}
        }
    }

    fn hear_session(&mut self, id: SessionId, event: &SessionEvent) {
        if let SessionEvent::NewIncoming { .. } | SessionEvent::NewOutgoing { .. } = event {
            let belief = Belief {
                phase: Phase::Setup,
                held_by_us: false,
                held_by_peer: false,
                rang: false,
                will_start: false,
                will_end: false,
            };
            if self.sessions.insert(id, belief).is_some() {
                self.broken.push(format!("{id:?} begins twice"));
            }
            return;
        }
        let Some(belief) = self.sessions.get_mut(&id) else {
            return self.broken.push(format!("{id:?} has not begun: {event:?}"));
        };
        let mut wrong = |what: &str| self.broken.push(format!("{id:?} {what}: {event:?}"));
        if matches!(belief.phase, Phase::Failed { .. } | Phase::Ended { .. }) {
            wrong("is over");
        }
        match event {
            SessionEvent::GotRingIndication => belief.rang = true,
            SessionEvent::WillStart if belief.will_start => wrong("starts twice"),
            SessionEvent::WillStart => belief.will_start = true,
            SessionEvent::DidStart { .. } => {
                if belief.phase != Phase::Setup || !belief.will_start {
                    wrong("cannot start");
                }
                belief.phase = Phase::Up;
            }
            SessionEvent::DidFail { code, .. } => {
                if belief.phase != Phase::Setup {
                    wrong("has started");
                }
                belief.phase = Phase::Failed { code: *code };
            }
            SessionEvent::WillEnd { .. } => {
                if belief.phase != Phase::Up || belief.will_end {
                    wrong("cannot end");
                }
                belief.will_end = true;
            }
            SessionEvent::DidEnd { originator, .. } => {
                if belief.phase != Phase::Up || !belief.will_end {
                    wrong("cannot be over");
                }
                belief.phase = Phase::Ended { by: *originator };
            }
            SessionEvent::DidChangeHoldState {
                originator,
                on_hold,
                ..
            } => {
                let held = match originator {
                    Originator::Local => &mut belief.held_by_us,
                    Originator::Remote => &mut belief.held_by_peer,
                };
                if std::mem::replace(held, *on_hold) == *on_hold {
                    wrong("was told so before");
                }
            }
            _ => {}
        }
    }

    fn hear_stream(&mut self, id: StreamId, event: &StreamEvent) {
        let belief = self.streams.entry(id).or_default();
        let mut wrong = |what: &str| self.broken.push(format!("{id:?} {what}: {event:?}"));
        if belief.ended {
            wrong("is over");
        }
        match event {
            StreamEvent::DidStart if belief.started => wrong("starts twice"),
            StreamEvent::DidStart => belief.started = true,
            StreamEvent::DidEnd => belief.ended = true,
            StreamEvent::Custom(event) if event.name() == "ProbeStreamFoundBrokenPromise" => {
                wrong("was treated badly");
            }
            _ => {}
        }
    }
}
