//! Session timers (RFC 4028): who refreshes, and what becomes of a call of which one end has died.

use crate::{
    call::{label, wait},
    hold::up,
    line::{answered, requests, sent, words},
    runs::Matrix,
};
use simulator::{Crash, Stage};
use sip::{
    Config, HeaderName, Message, Method, Status,
    config::SessionTimer,
    header::{Refresher, SessionExpires},
};
use sipsimple::event::SessionEvent;
use std::time::Duration;

/// What the caller's INVITE asks for.
fn asks(sip: &mut Config, seconds: u64, refresher: Option<Refresher>) {
    let mut timer = SessionTimer::default();
    timer.expires = Some(Duration::from_secs(seconds));
    timer.refresher = refresher;
    sip.session_timer = timer;
}

/// The intervals that a host's 2xx to INVITE grant, and who refreshes.
fn granted(stage: &Stage) -> Vec<SessionExpires> {
    let said = sent(stage, stage.bob()).into_iter();
    let mut granted: Vec<_> = said
        .filter_map(|message| match message {
            Message::Response(response) if response.status == Status::OK => {
                let method = response.headers.cseq().ok()?.method;
                let is_invite = method == Method::Invite;
                response
                    .headers
                    .typed::<SessionExpires>()?
                    .ok()
                    .filter(|_| is_invite)
            }
            _ => None,
        })
        .collect();
    granted.dedup();
    granted
}

/// Why the call of a host has ended, in words.
fn end(stage: &Stage, host: simulator::HostId) -> String {
    let ends = words(stage, host, |event| match event {
        SessionEvent::DidEnd { end_reason, .. } => Some(end_reason.clone()),
        _ => None,
    });
    ends.join(", ")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dies {
    Caller,
    Callee,
}

/// A call of which one end refreshes, twice, and then one end dies.
fn outlives(
    name: &'static str,
    sip: fn(&str, &mut Config),
    refresher: Refresher,
    dies: Dies,
    outcome: &str,
) {
    Matrix {
        sip,
        ..Matrix::new(name)
    }
    .run(outcome, |stage| {
        if let Err(label) = up(stage) {
            // Such a call is no call of this test.
            assert!(stage.setup().loss() > 0.0, "{label}");
            return outcome.to_owned();
        }
        let (alice, bob) = (stage.alice, stage.bob());
        stage.world.run_for(Duration::from_secs(130));
        for host in [alice, bob] {
            if stage.model(host).alive().is_empty() {
                // On such a path a refresh may not get through in its time.
                if stage.setup().loss() > 0.2 {
                    return outcome.to_owned();
                }
                return format!("over early: {}", end(stage, host));
            }
        }
        let refreshes = [
            requests(stage, alice, &Method::Update),
            requests(stage, bob, &Method::Update),
        ];
        // Each counts from the answer to the one before, which may take long on a bad path.
        let least = if stage.setup().loss() > 0.2 { 1 } else { 2 };
        let (by, other) = match refresher {
            Refresher::Uac => (refreshes[0], refreshes[1]),
            Refresher::Uas => (refreshes[1], refreshes[0]),
        };
        assert!(by >= least && other == 0, "{refreshes:?}");
        let (dead, survivor) = match dies {
            Dies::Caller => (alice, bob),
            Dies::Callee => (bob, alice),
        };
        stage.world.crash(dead, Crash::Power);
        // RFC 4028, 10: over before its time, by a third or 32 s.
        stage.world.run_for(Duration::from_secs(95));
        assert_eq!(stage.model(survivor).alive().len(), 0, "still up");
        end(stage, survivor)
    });
}

#[test]
fn the_caller_refreshes_and_dies() {
    outlives(
        "caller refreshes, dies",
        |name, sip| {
            if name == "alice" {
                asks(sip, 90, Some(Refresher::Uac));
            }
        },
        Refresher::Uac,
        Dies::Caller,
        "session expired",
    );
}

#[test]
fn the_callee_refreshes_and_dies() {
    outlives(
        "callee refreshes, dies",
        |name, sip| {
            if name == "alice" {
                asks(sip, 90, Some(Refresher::Uas));
            }
        },
        Refresher::Uas,
        Dies::Callee,
        "session expired",
    );
}

#[test]
fn the_caller_refreshes_a_callee_that_is_dead() {
    outlives(
        "caller refreshes the dead",
        |name, sip| {
            if name == "alice" {
                asks(sip, 90, Some(Refresher::Uac));
            }
        },
        Refresher::Uac,
        Dies::Callee,
        "session expired",
    );
}

#[test]
fn the_callee_refreshes_a_caller_that_is_dead() {
    outlives(
        "callee refreshes the dead",
        |name, sip| {
            if name == "alice" {
                asks(sip, 90, Some(Refresher::Uas));
            }
        },
        Refresher::Uas,
        Dies::Caller,
        "session expired",
    );
}

/// RFC 4028, 9, table 2: where the caller leaves it open, the callee's policy says who refreshes; and it grants
/// less than what was asked for.
#[test]
fn the_callee_chooses_who_refreshes() {
    for (policy, expected) in [
        (None, Refresher::Uac),
        (Some(Refresher::Uac), Refresher::Uac),
        (Some(Refresher::Uas), Refresher::Uas),
    ] {
        let sip: fn(&str, &mut Config) = match policy {
            None => |name, sip| asks(sip, if name == "alice" { 1_800 } else { 120 }, None),
            Some(Refresher::Uac) => |name, sip| match name {
                "alice" => asks(sip, 1_800, None),
                _ => asks(sip, 120, Some(Refresher::Uac)),
            },
            Some(Refresher::Uas) => |name, sip| match name {
                "alice" => asks(sip, 1_800, None),
                _ => asks(sip, 120, Some(Refresher::Uas)),
            },
        };
        Matrix {
            sip,
            losses: &[0.0, 0.1],
            ..Matrix::new("who refreshes")
        }
        .run("connected", |stage| {
            if let Err(label) = up(stage) {
                return label;
            }
            assert_eq!(
                granted(stage),
                [SessionExpires {
                    seconds: 120,
                    refresher: Some(expected),
                }]
            );
            stage.world.run_for(Duration::from_secs(400));
            let refreshes =
                [stage.alice, stage.bob()].map(|host| requests(stage, host, &Method::Update) > 0);
            assert_eq!(
                refreshes,
                [expected == Refresher::Uac, expected == Refresher::Uas]
            );
            let bob = stage.bob();
            match stage.model(bob).alive().into_iter().next() {
                Some(theirs) => label(stage, bob, theirs),
                None => end(stage, bob),
            }
        });
    }
}

/// RFC 4028, 7.3 and 9: an interval that is too short for the callee is asked for again, longer, by 422.
#[test]
fn a_short_interval_is_lengthened() {
    Matrix {
        sip: |name, sip| {
            let mut timer = SessionTimer::default();
            match name {
                "alice" => timer.expires = Some(Duration::from_secs(90)),
                _ => timer.min_se = Duration::from_secs(300),
            }
            sip.session_timer = timer;
        },
        ..Matrix::new("422")
    }
    .run("connected", |stage| {
        let bob = stage.bob();
        stage.answer(bob, Duration::ZERO, Duration::from_millis(300));
        let call = stage.call(crate::call::probe());
        wait(stage, stage.alice, call, Duration::from_secs(100));
        let label = label(stage, stage.alice, call);
        if label == "connected" {
            let short = Status::SESSION_INTERVAL_TOO_SMALL;
            assert!(answered(stage, bob, &Method::Invite, short));
            assert_eq!(requests(stage, stage.alice, &Method::Invite), 2);
            assert_eq!(granted(stage).last().map(|said| said.seconds), Some(300));
            let least = |message: &Message| match message {
                Message::Request(request) => request.headers.contains(HeaderName::MinSe),
                Message::Response(_) => false,
            };
            assert!(sent(stage, stage.alice).iter().any(least));
        }
        label
    });
}

/// A callee that knows no timers is refreshed by the caller, whom nobody asked (RFC 4028, 7.2).
#[test]
fn a_callee_without_timers_is_refreshed() {
    Matrix {
        sip: |name, sip| match name {
            "alice" => asks(sip, 90, None),
            _ => sip.session_timer.is_on = false,
        },
        losses: &[0.0, 0.1],
        ..Matrix::new("no timer at the callee")
    }
    .run("connected", |stage| {
        let (ours, _) = match up(stage) {
            Ok(both) => both,
            Err(label) => return label,
        };
        stage.world.run_for(Duration::from_secs(300));
        assert!(requests(stage, stage.alice, &Method::Update) >= 3);
        label(stage, stage.alice, ours)
    });
}
