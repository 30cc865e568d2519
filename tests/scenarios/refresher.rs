//! Who refreshes a session may change with every request that refreshes it (RFC 4028, 7.4 and 9).

use crate::{
    line::{act, answered, audio, hears, requests, told},
    runs::Matrix,
};
use simulator::{Crash, Line, Stage};
use sip::{
    HeaderName, Headers, Method, Status,
    config::SessionTimer,
    header::{Refresher, SessionExpires},
    usage::invitation::{EndCause, InvitationEvent, OfferError},
};
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

const INTERVAL: Duration = Duration::from_secs(90);
