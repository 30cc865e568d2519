//! Redirections: told, followed when the application says so, and never in circles (RFC 3261, 8.1.3.4).

use crate::{
    call::{label, probe, wait},
    line::{PATIENCE, requests, words},
    runs::{Matrix, Proxied},
};
use simulator::Stage;
use sip::{HeaderName, Headers, Method, Status, Uri, usage::invitation::InvitationEvent};
use sipsimple::{
    agent::{Connect, SessionId},
    event::{Event, SessionEvent},
    session::RedirectError,
};
use std::time::Duration;

fn one_line(name: &'static str) -> Matrix {
    Matrix {
        lines: 1,
        ..Matrix::new(name)
    }
}

/// Makes line 0 refuse every call by 302 with these Contacts.
fn moved(stage: &mut Stage, contacts: Vec<String>) {
    stage.line(0, "moved", move |line, _| {
        line.set_habit(move |endpoint, now, id, event| {
            if let InvitationEvent::Incoming(_) = event
                && let Some(mut call) = endpoint.invitation(id)
            {
                let mut headers = Headers::new();
                for contact in &contacts {
                    headers.push(HeaderName::Contact, contact.as_str());
                }
                call.reject(now, Status::MOVED_TEMPORARILY, None, &headers)
                    .unwrap();
            }
        });
    });
}

fn call(stage: &mut Stage, redirects: u8) -> SessionId {
    let mut connect = Connect::new(stage.line_uri(0), probe());
    connect.redirects = redirects;
    stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).expect("the agent runs")
    })
}

/// The targets that the caller was told, of each redirection.
fn targets(stage: &Stage) -> Vec<String> {
    words(stage, stage.alice, |event| match event {
        SessionEvent::GotRedirect { targets, .. } => {
            let targets = targets.iter().map(|target| target.uri.to_string());
            Some(targets.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    })
}

/// Makes the caller follow every redirection, a while after it came.
fn follows(stage: &mut Stage, target: Option<Uri>) {
    let is_redirect =
        |event: &Event| matches!(event, Event::Session(_, SessionEvent::GotRedirect { .. }));
    let after = Duration::from_millis(200);
    stage.world.react(
        stage.alice,
        after,
        is_redirect,
        move |world, host, event| {
            if let Event::Session(session, _) = event {
                let target = target.clone();
                world.command(
                    host,
                    "follow",
                    |agent: &mut sipsimple::agent::UserAgent, now| {
                        // It may have been the last one allowed.
                        let _ = agent.follow_redirect(now, *session, target.as_ref());
                    },
                );
            }
        },
    );
}

/// Nobody wants to be redirected: the call has failed, and says where the callee is.
#[test]
fn a_redirection_is_told() {
    one_line("302").run("302", |stage| {
        let bob = stage.bob_uri();
        moved(
            stage,
            vec![
                "<sip:later@10.9.9.9>;q=0.1".to_owned(),
                format!("\"Bob\" <{bob}>;q=0.7"),
            ],
        );
        let call = call(stage, 0);
        wait(stage, stage.alice, call, PATIENCE);
        let label = label(stage, stage.alice, call);
        if label == "302" {
            assert_eq!(targets(stage), [format!("{bob} sip:later@10.9.9.9")]);
            assert_eq!(requests(stage, stage.alice, &Method::Invite), 1);
        }
        label
    });
}

/// The application names the target, in whatever domain.
#[test]
fn a_redirection_is_followed() {
    one_line("302 followed").run("connected", |stage| {
        let (bob, target) = (stage.bob(), stage.bob_uri());
        stage.answer(bob, Duration::ZERO, Duration::from_secs(1));
        moved(stage, vec![format!("<{target}>")]);
        follows(stage, Some(target));
        let call = call(stage, 1);
        wait(stage, stage.alice, call, PATIENCE);
        let label = label(stage, stage.alice, call);
        if label == "connected" {
            assert_eq!(requests(stage, stage.alice, &Method::Invite), 2);
        }
        label
    });
}

/// RFC 3261, 8.1.3.4: no target twice; where all were tried the call has failed.
#[test]
fn no_redirection_leads_in_circles() {
    one_line("302 in circles").run("302", |stage| {
        let (itself, other) = (stage.line_uri(0), stage.bob_uri());
        moved(
            stage,
            vec![format!("<{itself}>"), format!("<{itself};x=1>")],
        );
        follows(stage, None);
        let call = call(stage, 5);
        wait(stage, stage.alice, call, PATIENCE);
        // The second is another address of the same domain, and is tried; it says the same again.
        assert!(targets(stage).len() <= 2, "{:?}", targets(stage));
        let late = stage.agent(stage.alice, "follow", |agent, now| {
            agent.follow_redirect(now, call, Some(&other))
        });
        assert!(matches!(late, Err(RedirectError::Session(_))), "{late:?}");
        label(stage, stage.alice, call)
    });
}

/// Nobody decides: after a minute the call has failed as it would have at once.
#[test]
fn a_redirection_that_nobody_follows() {
    one_line("302 waits").run("302", |stage| {
        let bob = stage.bob_uri();
        moved(stage, vec![format!("<{bob}>")]);
        let call = call(stage, 1);
        wait(stage, stage.alice, call, Duration::from_secs(200));
        label(stage, stage.alice, call)
    });
}

/// RFC 3261, 21.3: a phone sends the caller to another one, which takes the call.
#[test]
fn a_callee_redirects() {
    Matrix {
        phones: 2,
        apart: true,
        ..Matrix::new("callee redirects")
    }
    .run("connected", |stage| {
        let (bob, carol, to) = (stage.phones[0], stage.phones[1], stage.phone_uri(1));
        stage.answer(carol, Duration::ZERO, Duration::from_millis(500));
        let target = to.clone();
        stage.on_call(bob, Duration::from_millis(300), move |agent, now, id, _| {
            let _ = agent.redirect(now, id, 302, vec![target.clone()]);
        });
        follows(stage, Some(to));
        let mut connect = Connect::new(stage.phone_uri(0), probe());
        connect.redirects = 1;
        let call = stage.agent(stage.alice, "connect", |agent, now| {
            agent.connect(now, connect).expect("the agent runs")
        });
        wait(stage, stage.alice, call, PATIENCE);
        label(stage, stage.alice, call)
    });
}

/// RFC 3261, 20.33: a callee without room says when it may have some, and the caller is told.
#[test]
fn a_failure_says_when_to_try_again() {
    Matrix {
        configure: |name, config| {
            if name == "bob" {
                config.limits.sessions = 0;
            }
        },
        // A proxy makes it a 500 (RFC 3261, 16.7).
        proxy: Proxied::Never,
        ..Matrix::new("503")
    }
    .run("503, in 30 s", |stage| {
        let call = stage.call(probe());
        wait(stage, stage.alice, call, PATIENCE);
        let said = words(stage, stage.alice, |event| match event {
            SessionEvent::DidFail { code, hints, .. } => {
                let retry = hints.as_ref().and_then(|hints| hints.retry_after);
                Some(match retry {
                    Some(seconds) => format!("{code}, in {seconds} s"),
                    None => code.to_string(),
                })
            }
            _ => None,
        });
        said.join(" ")
    });
}
