//! Who refreshes a session may change with every request that refreshes it (RFC 4028, 7.4 and 9).

use crate::{
    call::label,
    hold,
    line::{act, answered, audio, hears, requests, told, up},
    runs::Matrix,
};
use simulator::{Crash, HostId, Line, Stage};
use sip::{
    HeaderName, Headers, Message, Method, Status,
    config::SessionTimer,
    header::{Refresher, SessionExpires},
    usage::invitation::{EndCause, InvitationEvent, OfferError, Originator},
};
use sipsimple::agent::{SessionId, SessionIntervalError, UserAgent};
use std::time::Duration;

/// Both lines speak the extension; the caller's INVITE asks that `refresher` does it.
fn lines(name: &'static str, sip: fn(&str, &mut sip::Config)) -> Matrix {
    Matrix {
        lines: 2,
        losses: &[0.0, 0.1],
        sip,
        ..Matrix::new(name)
    }
}

fn timer(sip: &mut sip::Config, refresher: Option<Refresher>) {
    let mut timer = SessionTimer::default();
    timer.expires = Some(INTERVAL);
    timer.min_se = LEAST;
    timer.refresher = refresher;
    sip.session_timer = timer;
}

fn caller_begins(name: &str, sip: &mut sip::Config) {
    timer(sip, (name == "line1").then_some(Refresher::Uac));
}

fn callee_begins(name: &str, sip: &mut sip::Config) {
    timer(sip, (name == "line1").then_some(Refresher::Uas));
}

/// Line `n` takes calls, and answers every offer in them.
fn agrees(stage: &mut Stage, n: usize) {
    stage.line(n, "agrees", move |line, _| {
        line.set_habit(move |endpoint, now, id, event| {
            let Some(mut call) = endpoint.invitation(id) else {
                return;
            };
            let description = audio(n, 1, "sendrecv");
            match event {
                InvitationEvent::Incoming(_) => {
                    call.accept(now, description, Headers::new()).unwrap();
                }
                // It may have been withdrawn in the same moment.
                InvitationEvent::Offered { dialog, .. } => {
                    let _ = call.answer(now, *dialog, description);
                }
                _ => {}
            }
        });
    });
}

fn is_acknowledged(event: &InvitationEvent) -> bool {
    matches!(event, InvitationEvent::Acknowledged { .. })
}

fn is_refreshed(event: &InvitationEvent) -> bool {
    matches!(
        event,
        InvitationEvent::Transaction {
            originator: Originator::Local,
            method: Method::Update,
            code: Status::OK,
            ..
        }
    )
}

/// How a request changes the refresher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Update,
    Reinvite,
}

/// Line `n` asks that `refresher` refreshes from now on.
fn change(stage: &mut Stage, n: usize, by: By, refresher: Refresher) -> Result<(), OfferError> {
    let mut headers = Headers::new();
    headers.push(
        HeaderName::SessionExpires,
        SessionExpires {
            seconds: 90,
            refresher: Some(refresher),
        },
    );
    act(stage, n, "change", |call, now| match by {
        By::Update => {
            let dialog = call.info().and_then(|info| info.confirmed);
            call.update(now, dialog.expect("it stands"), None, &headers)
        }
        By::Reinvite => call.offer(now, Some(audio(n, 1, "sendrecv")), &headers),
    })
    .expect("alive")
}

/// The session's refresher is `from` (0: the caller) at first; line `who` changes that. It refreshes from then on, and the
/// other one does not; and when it dies, the other one ends the call.
fn changes(stage: &mut Stage, from: usize, who: usize, by: By) -> String {
    agrees(stage, 0);
    agrees(stage, 1);
    let (to, offer) = (stage.line_uri(1), audio(0, 1, "sendrecv"));
    stage
        .line(0, "call", |line, now| line.call(now, to, Some(offer)))
        .unwrap();
    if !hears(stage, 0, 1, is_acknowledged) || !hears(stage, 1, 1, is_acknowledged) {
        return "not up".to_owned();
    }
    let hosts = [stage.lines[0], stage.lines[1]];
    // It has refreshed once: the role that is changed was played.
    stage.world.run_for(Duration::from_secs(50));
    // Whichever end takes it for the later word, a refresh that runs would take the role back.
    if !hears(stage, from, 1, is_refreshed) {
        return "not refreshed".to_owned();
    }
    let refreshes = |stage: &Stage| hosts.map(|host| requests(stage, host, &Method::Update));
    let played = refreshes(stage);
    assert_eq!(played[1 - from], 0);
    assert!(played[from] >= 1, "{played:?}");
    let next = 1 - from;
    let refresher = match who == next {
        true => Refresher::Uac,
        false => Refresher::Uas,
    };
    let asked = match by {
        By::Update => Method::Update,
        By::Reinvite => Method::Invite,
    };
    let before = requests(stage, hosts[who], &asked);
    while change(stage, who, by, refresher) == Err(OfferError::Busy) {
        stage.world.run_for(Duration::from_millis(100));
    }
    stage.world.run_for(Duration::from_secs(20));
    assert_eq!(requests(stage, hosts[who], &asked), before + 1);
    assert!(answered(stage, hosts[1 - who], &asked, Status::OK));
    let changed = refreshes(stage);
    stage.world.run_for(Duration::from_secs(110));
    let after = refreshes(stage);
    assert!(after[next] >= changed[next] + 2, "{changed:?} {after:?}");
    assert_eq!(after[from], changed[from], "the old one goes on");
    stage.world.crash(hosts[next], Crash::Power);
    // RFC 4028, 10
    stage.world.run_for(Duration::from_secs(95));
    let line = stage.world.node::<Line>(hosts[from]);
    let end = line.events().iter().find_map(|(_, event)| match event {
        InvitationEvent::Ended { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(told(stage, from, is_acknowledged).min(1), 1);
    match end {
        Some(EndCause::SessionExpired) => "changed".to_owned(),
        end => format!("{end:?}"),
    }
}

#[test]
fn the_caller_hands_refreshing_over() {
    for by in [By::Update, By::Reinvite] {
        lines("caller hands over", caller_begins).run("changed", |stage| changes(stage, 0, 0, by));
    }
}

#[test]
fn the_callee_takes_refreshing_over() {
    for by in [By::Update, By::Reinvite] {
        lines("callee takes over", caller_begins).run("changed", |stage| changes(stage, 0, 1, by));
    }
}

#[test]
fn the_callee_hands_refreshing_over() {
    for by in [By::Update, By::Reinvite] {
        lines("callee hands over", callee_begins).run("changed", |stage| changes(stage, 1, 1, by));
    }
}

#[test]
fn the_caller_takes_refreshing_over() {
    for by in [By::Update, By::Reinvite] {
        lines("caller takes over", callee_begins).run("changed", |stage| changes(stage, 1, 0, by));
    }
}

/// What an agent knows of the timer of a session.
fn agreed(stage: &Stage, host: HostId, id: SessionId) -> Option<(Duration, bool)> {
    let agent = stage.world.node::<UserAgent>(host);
    let call = agent.session(id)?.call?;
    Some((call.session_interval?, call.is_refresher))
}

fn ask(
    stage: &mut Stage,
    host: HostId,
    id: SessionId,
    interval: Duration,
    refresher: Option<Refresher>,
) -> Result<(), SessionIntervalError> {
    stage.agent(host, "change interval", |agent, now| {
        agent.change_session_interval(now, id, interval, refresher)
    })
}

/// Asks again while something else runs. False where the session is no more.
fn ask_until_free(
    stage: &mut Stage,
    host: HostId,
    id: SessionId,
    interval: Duration,
    refresher: Option<Refresher>,
) -> bool {
    let busy = Err(SessionIntervalError::Call(OfferError::Busy));
    loop {
        match ask(stage, host, id, interval, refresher) {
            asked if asked == busy => stage.world.run_for(Duration::from_millis(100)),
            Err(SessionIntervalError::UnknownSession) => return false,
            asked => {
                asked.unwrap();
                return true;
            }
        }
    }
}

/// RFC 4028, 7.4: either end of a session asks for a shorter interval, and that the other one refreshes; both know of it, and
/// do as was agreed. A longer one than the peer wants is shortened (RFC 4028, 9).
#[test]
fn a_session_asks_for_another_interval() {
    Matrix {
        losses: &[0.0, 0.1],
        sip: |_, sip| {
            timer(sip, None);
            // Between refresh and end there is time for what is lost to go again.
            sip.session_timer.expires = Some(Duration::from_secs(180));
        },
        ..Matrix::new("another interval")
    }
    .run("connected", |stage| {
        let (call, other) = match hold::up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let both = [(stage.alice, call), (stage.bob(), other)];
        let timers = |stage: &Stage| both.map(|(host, id)| agreed(stage, host, id));
        for (n, seconds, granted) in [(0, 120, 120), (1, 150, 150), (0, 1_000, 180)] {
            let (host, id) = both[n];
            let peer = both[1 - n].0;
            let [ours, theirs] = [host, peer].map(|host| requests(stage, host, &Method::Update));
            let interval = Duration::from_secs(seconds);
            if !ask_until_free(stage, host, id, interval, Some(Refresher::Uas)) {
                return "ended".to_owned();
            }
            stage.world.run_for(Duration::from_secs(15));
            assert_eq!(requests(stage, host, &Method::Update), ours + 1);
            let granted = Duration::from_secs(granted);
            let mut expected = [Some((granted, true)); 2];
            expected[n] = Some((granted, false));
            if timers(stage) != expected {
                return format!("{:?}", timers(stage));
            }
            stage.world.run_for(granted);
            assert_eq!(requests(stage, host, &Method::Update), ours + 1);
            assert!(requests(stage, peer, &Method::Update) > theirs);
        }
        label(stage, stage.alice, call)
    });
}

/// RFC 4028, 7.4: a peer that does not take UPDATE is asked by a re-INVITE with what was agreed, and nothing else changes.
#[test]
fn a_session_asks_by_reinvite_where_there_is_no_update() {
    Matrix {
        lines: 1,
        losses: &[0.0, 0.1],
        sip: |_, sip| timer(sip, None),
        ..Matrix::new("another interval by re-INVITE")
    }
    .run("changed", |stage| {
        stage.line(0, "no UPDATE", |line, _| {
            line.set_slip(|message| {
                let headers = match message {
                    Message::Request(request) => &mut request.headers,
                    Message::Response(response) => &mut response.headers,
                };
                headers.insert(HeaderName::Allow, "INVITE, ACK, BYE, CANCEL");
                true
            });
        });
        let call = match up(stage) {
            Ok(call) => call,
            Err(label) => return label,
        };
        agrees(stage, 0);
        let (alice, interval) = (stage.alice, Duration::from_secs(50));
        let before = stage.world.node::<UserAgent>(alice).descriptions(call);
        if !ask_until_free(stage, alice, call, interval, Some(Refresher::Uac)) {
            return "ended".to_owned();
        }
        stage.world.run_for(Duration::from_secs(20));
        assert_eq!(requests(stage, alice, &Method::Update), 0);
        let after = stage.world.node::<UserAgent>(alice).descriptions(call);
        let is_same = before.unwrap().1 == after.unwrap().1;
        match (agreed(stage, alice, call), is_same) {
            (Some((granted, true)), true) if granted == interval => "changed".to_owned(),
            state => format!("{state:?}"),
        }
    });
}

/// What makes no sense is refused, and nothing is sent.
#[test]
fn an_interval_that_makes_no_sense_is_refused() {
    Matrix {
        losses: &[0.0],
        sip: |name, sip| {
            timer(sip, None);
            sip.session_timer.is_on = name == "alice";
        },
        ..Matrix::new("no interval")
    }
    .run("connected", |stage| {
        let (call, other) = match hold::up(stage) {
            Ok(calls) => calls,
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        let (none, fine) = (None, Duration::from_secs(100));
        let short = ask(stage, alice, call, Duration::from_secs(29), none);
        assert_eq!(short, Err(SessionIntervalError::Interval));
        let long = ask(stage, alice, call, Duration::MAX, none);
        assert_eq!(long, Err(SessionIntervalError::Interval));
        let off = ask(stage, bob, other, fine, none);
        assert_eq!(off, Err(SessionIntervalError::Off));
        for host in [alice, bob] {
            assert_eq!(requests(stage, host, &Method::Update), 0);
        }
        let label = label(stage, alice, call);
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, call));
        let ending = ask(stage, alice, call, fine, none);
        assert!(ending.is_err());
        stage.world.run_for(Duration::from_secs(60));
        let over = ask(stage, alice, call, fine, none);
        assert_eq!(over, Err(SessionIntervalError::UnknownSession));
        label
    });
}

const INTERVAL: Duration = Duration::from_secs(90);
/// So that a scenario sees some refreshes.
const LEAST: Duration = Duration::from_secs(30);
