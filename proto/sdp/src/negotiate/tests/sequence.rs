//! Whole sessions: two sides that offer in turn, with changes of every kind.

use super::*;
use crate::PayloadNumbers;
use std::{collections::BTreeMap, net::IpAddr};

/// One side of a session.
#[derive(Clone, Debug)]
struct Side {
    address: IpAddr,
    /// With the latest version that was on the wire.
    origin: Origin,
    codecs: Vec<Codec>,
    lines: Vec<Line>,
    /// What it said last, unless that was refused.
    sent: Option<Session>,
}

/// What a side wants of an m-line.
#[derive(Clone, Debug)]
struct Line {
    is_alive: bool,
    /// A stream that was in no agreement yet.
    is_new: bool,
    is_held: bool,
    numbers: PayloadNumbers,
}

impl Line {
    fn new(is_alive: bool) -> Self {
        Self {
            is_alive,
            is_new: true,
            is_held: false,
            numbers: PayloadNumbers::default(),
        }
    }

    fn wish(&self) -> Direction {
        if self.is_held {
            Direction::SendRecv.held()
        } else {
            Direction::SendRecv
        }
    }
}

/// What the offerer of an exchange changes first.
#[derive(Clone, Debug)]
enum Change {
    Hold(usize, bool),
    Address(IpAddr),
    Codecs(Vec<Codec>),
    /// In the first dead slot, else behind the last line.
    Add,
    Remove(usize),
}

/// One offer and what the other side does with it.
#[derive(Clone, Debug)]
struct Exchange {
    /// An INVITE without an offer is one in which the other side offers.
    offerer: usize,
    changes: Vec<Change>,
    /// The answerer's wish changes as well, before it answers.
    holds: Option<bool>,
    /// It refuses all: the session stays what it was.
    is_refused: bool,
    /// It refuses that line.
    refused: usize,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..4usize, any::<bool>()).prop_map(|(line, held)| Change::Hold(line, held)),
        any::<IpAddr>().prop_map(Change::Address),
        codecs().prop_map(Change::Codecs),
        Just(Change::Add),
        Just(Change::Add),
        (0..4usize).prop_map(Change::Remove),
    ]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (
        0..2usize,
        prop::collection::vec(change(), 0..4),
        prop::option::of(any::<bool>()),
        prop::bool::weighted(0.15),
        0..16usize,
    )
        .prop_map(|(offerer, changes, holds, is_refused, refused)| Exchange {
            offerer,
            changes,
            holds,
            is_refused,
            refused,
        })
}

impl Side {
    fn new(id: u64, address: IpAddr, codecs: Vec<Codec>) -> Self {
        Self {
            address,
            origin: Origin::new(id, address),
            codecs,
            lines: vec![Line::new(true)],
            sent: None,
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Hold(line, held) => {
                if let Some(line) = self.lines.get_mut(*line) {
                    line.is_held = *held;
                }
            }
            Change::Address(address) => self.address = *address,
            Change::Codecs(codecs) => self.codecs.clone_from(codecs),
            Change::Add => {
                let slot = self.lines.iter().position(|line| !line.is_alive);
                match slot {
                    Some(slot) => self.lines[slot] = Line::new(true),
                    None => self.lines.push(Line::new(true)),
                }
            }
            Change::Remove(line) => {
                if let Some(line) = self.lines.get_mut(*line) {
                    *line = Line::new(false);
                }
            }
        }
    }

    fn media(&self, port: u16, codecs: &[Codec], direction: Direction) -> Media {
        let mut media = Media::rtp("audio", port, "RTP/AVP", codecs);
        media.connections.push(Connection::new(self.address));
        media.set_direction(direction);
        media
    }

    fn offer(&mut self) -> Session {
        let describe = |(index, line): (usize, &Line)| {
            let codecs = line.numbers.assign(self.codecs.clone());
            if line.is_alive && !codecs.is_empty() {
                return self.media(4_000 + 2 * index as u16, &codecs, line.wish());
            }
            let before = self.sent.as_ref().and_then(|sent| sent.media.get(index));
            let mut dead = before
                .cloned()
                .unwrap_or_else(|| self.media(0, &[Codec::new(0, "PCMU", 8_000)], line.wish()));
            dead.disable();
            dead
        };
        let media = self.lines.iter().enumerate().map(describe).collect();
        let session = Session::assemble(self.origin.clone(), media);
        self.send(session)
    }

    fn answer(&mut self, offer: &Session, refused: usize) -> Session {
        while self.lines.len() < offer.media.len() {
            self.lines.push(Line::new(true));
        }
        let accept = |(index, offered): (usize, &Media)| {
            let agreed = negotiate_codecs(&offered.codecs(), &self.codecs, Preference::Ours);
            let local: Vec<Codec> = agreed.into_iter().map(|pair| pair.local).collect();
            let direction = Direction::answer(offer.direction(index), self.lines[index].wish());
            (!local.is_empty() && index != refused)
                .then(|| self.media(5_000 + 2 * index as u16, &local, direction))
        };
        let accepted = offer.media.iter().enumerate().map(accept).collect();
        let answer = Session::answer(offer, self.origin.clone(), accepted).unwrap();
        self.send(answer)
    }

    /// The version counts on from what was said last (RFC 3264, 8).
    fn send(&mut self, mut session: Session) -> Session {
        if let Some(sent) = &self.sent {
            let mut previous = sent.clone();
            if !session.is_same_description(sent) {
                // A version that was refused was on the wire all the same.
                previous.origin.clone_from(&self.origin);
            }
            session.continue_from(&previous);
            match audit_offer(&previous, &session) {
                // The audit does not know that the peer refused what was there before.
                Err(NegotiationError::Remapped(index)) if self.lines[index].is_new => {}
                result => assert_eq!(result, Ok(())),
            }
            self.origin.clone_from(&session.origin);
        }
        self.sent = Some(session.clone());
        // What the other side reads.
        Session::parse(session.print().as_bytes()).unwrap()
    }

    /// What was said is remembered, whatever becomes of it.
    fn learn(&mut self, session: &Session) {
        for (line, media) in self.lines.iter_mut().zip(&session.media) {
            if !media.is_disabled() {
                line.numbers.learn(media);
            }
        }
    }

    /// Both descriptions hold: lines that either has without a port are dead.
    fn agree(&mut self, offer: &Session, answer: &Session) {
        for (index, line) in self.lines.iter_mut().enumerate() {
            if answer.media[index].is_disabled() {
                *line = Line::new(false);
                continue;
            }
            line.is_alive = true;
            line.is_new = false;
        }
        self.learn(offer);
        self.learn(answer);
    }
}

/// What the numbers of each line meant since it began.
#[derive(Default)]
struct Meanings(BTreeMap<(usize, u8), Codec>);

impl Meanings {
    fn check(&mut self, session: &Session) {
        for (index, media) in session.media.iter().enumerate() {
            for codec in media.codecs() {
                let known = self
                    .0
                    .entry((index, codec.payload_type))
                    .or_insert_with(|| codec.clone());
                assert!(known.is_same(&codec), "line {index}: {known:?} {codec:?}");
            }
        }
    }
}

fn run(sides: &mut [Side; 2], exchange: &Exchange, meanings: &mut Meanings) {
    let before = sides.clone();
    let (offerer, answerer) = (exchange.offerer, 1 - exchange.offerer);
    exchange
        .changes
        .iter()
        .for_each(|change| sides[offerer].change(change));
    if let Some(held) = exchange.holds {
        sides[answerer].lines[0].is_held = held;
    }
    let offer = sides[offerer].offer();
    if let Some(previous) = &before[offerer].sent {
        assert_eq!(check_offer(previous, &offer), Ok(()));
    }
    // A line in which another stream begins forgets its numbers, whoever offers.
    let is_new = |index: usize| {
        let was_alive = before[offerer]
            .lines
            .get(index)
            .is_some_and(|line| line.is_alive);
        let is_removed = |change: &Change| matches!(change, Change::Remove(line) if *line == index);
        !was_alive || exchange.changes.iter().any(is_removed)
    };
    let before = before.clone();
    meanings.0.retain(|(line, _), _| !is_new(*line));
    for (index, line) in sides[answerer].lines.iter_mut().enumerate() {
        if is_new(index) {
            line.numbers = PayloadNumbers::default();
            line.is_new = true;
        }
    }
    meanings.check(&offer);
    for side in sides.iter_mut() {
        side.learn(&offer);
    }
    if exchange.is_refused {
        // 488: all is as it was, but what was on the wire was said (RFC 3264, 8.3.2).
        if before[offerer].sent.is_none() {
            // Without a session to go back to, the call has failed.
            meanings.0.clear();
            *sides = before;
            return;
        }
        for (side, mut before) in sides.iter_mut().zip(before) {
            before.origin.clone_from(&side.origin);
            for (index, line) in before.lines.iter_mut().enumerate() {
                if line.is_alive && !is_new(index) {
                    line.numbers.clone_from(&side.lines[index].numbers);
                }
            }
            *side = before;
        }
        meanings.0.retain(|(line, _), _| !is_new(*line));
        return;
    }
    let answer = sides[answerer].answer(&offer, exchange.refused);
    meanings.check(&answer);
    assert_eq!(audit_answer(&offer, &answer), Ok(()));
    for index in 0..offer.media.len() {
        let ours = negotiated_direction(&offer, &answer, index);
        let theirs = negotiated_direction(&answer, &offer, index);
        assert_eq!(ours, theirs.reversed());
        if answer.media[index].is_disabled() {
            assert_eq!(ours, Direction::Inactive);
            continue;
        }
        // Hold in all combinations: what both want, and nobody is stuck (RFC 6337, 5.3).
        let [wish, other] = [offerer, answerer].map(|side| sides[side].lines[index].wish());
        assert_eq!(ours, wish.intersection(other.reversed()));
        let offered = offer.media[index].codecs();
        let answered = answer.media[index].codecs();
        let ours = match_codecs(&offered, &answered, Answerer::Remote);
        let theirs = match_codecs(&answered, &offered, Answerer::Local);
        assert!(!ours.is_empty() && ours.len() == theirs.len());
        for (one, other) in ours.iter().zip(&theirs) {
            assert_eq!(one.send_payload_type(), other.receive_payload_type());
            assert_eq!(other.send_payload_type(), one.receive_payload_type());
        }
        let place = |session: &Session| session.media_address(index);
        assert_eq!(place(&offer).is_some(), !offer.is_connection_null(index));
    }
    sides
        .iter_mut()
        .for_each(|side| side.agree(&offer, &answer));
}

proptest! {
    #[test]
    fn any_sequence_of_offers_is_legal(
        one in codecs(),
        other in codecs(),
        exchanges in prop::collection::vec(exchange(), 1..12),
    ) {
        let address = |last| IpAddr::from([192, 0, 2, last]);
        let mut sides = [Side::new(1, address(1), one), Side::new(2, address(2), other)];
        let mut meanings = Meanings::default();
        for exchange in &exchanges {
            run(&mut sides, exchange, &mut meanings);
        }
    }
}
