//! Call transfer between three agents, blind and attended (requirements 12; RFC 5589).

use crate::{
    call::{draw, probe, wait},
    runs::{Matrix, Proxied},
};
use simulator::{HostId, Phase, Stage};
use sipsimple::{
    agent::{SessionId, TransferError, UserAgent},
    event::{Event, SessionEvent},
    session::TransferState,
    sip::Uri,
    stream::Direction,
};
use std::time::Duration;

/// Alice, Bob and Carol: two phones with addresses of their own.
fn three(name: &'static str) -> Matrix {
    Matrix {
        phones: 2,
        apart: true,
        losses: &[0.0, 0.1],
        ..Matrix::new(name)
    }
}

fn carol(stage: &Stage) -> HostId {
    stage.phones[1]
}

/// Alice calls a phone that answers; their sessions.
pub(crate) fn call(stage: &mut Stage, phone: usize) -> Option<(SessionId, SessionId)> {
    let (alice, host, uri) = (stage.alice, stage.phones[phone], stage.phone_uri(phone));
    let known = stage.model(host).alive();
    let ours = stage.agent(alice, "connect", |agent, now| {
        let call = sipsimple::agent::Connect::new(uri, probe());
        agent.connect(now, call).expect("the agent runs")
    });
    wait(stage, alice, ours, PATIENCE);
    stage.world.run_for(Duration::from_secs(3));
    let theirs = stage.model(host).alive();
    let theirs = theirs.difference(&known).next().copied()?;
    // Its ACK may take some tries.
    wait(stage, host, theirs, PATIENCE);
    let stands = is_up(stage, alice, ours) && is_up(stage, host, theirs);
    stands.then_some((ours, theirs))
}

fn is_up(stage: &Stage, host: HostId, id: SessionId) -> bool {
    let model = stage.model(host);
    model
        .session(id)
        .is_some_and(|belief| belief.phase == Phase::Up)
}

/// How many calls of a host stand.
pub(crate) fn up(stage: &Stage, host: HostId) -> usize {
    let model = stage.model(host);
    let sessions = model.sessions();
    sessions
        .filter(|(_, belief)| belief.phase == Phase::Up)
        .count()
}

/// The events of transfers that a host was told, with their codes.
pub(crate) fn told(stage: &Stage, host: HostId) -> String {
    let events = stage.world.host(host).inbox().notifications.iter();
    let word = |event: &Event| match event {
        Event::Session(_, SessionEvent::TransferGotProgress { code, .. }) => Some(code.to_string()),
        Event::Session(_, SessionEvent::TransferDidFail { code, .. }) => {
            Some(format!("DidFail {code}"))
        }
        Event::Session(_, _) => event
            .name()
            .strip_prefix("SIPSessionTransfer")
            .map(str::to_owned),
        _ => None,
    };
    let mut words: Vec<_> = events.filter_map(|heard| word(&heard.event)).collect();
    // The network may deliver a provisional response twice, and each of them is told.
    words.dedup();
    words.join(" ")
}

/// Why the sessions of a host have ended, in words.
fn ends(stage: &Stage, host: HostId) -> Vec<String> {
    let events = stage.world.host(host).inbox().notifications.iter();
    let reason = |event: &Event| match event {
        Event::Session(_, SessionEvent::DidEnd { end_reason, .. }) => Some(end_reason.clone()),
        _ => None,
    };
    events.filter_map(|heard| reason(&heard.event)).collect()
}

/// Makes a host decide about transfers, a while after they are asked for.
pub(crate) fn on_transfer(
    stage: &mut Stage,
    host: HostId,
    after: Duration,
    act: impl Fn(&mut UserAgent, std::time::Instant, SessionId) + 'static,
) {
    let asked = |event: &Event| {
        matches!(
            event,
            Event::Session(_, SessionEvent::TransferNewIncoming { .. })
        )
    };
    stage
        .world
        .react(host, after, asked, move |world, host, event| {
            if let Event::Session(session, _) = event {
                world.command(host, "decision", |agent: &mut UserAgent, now| {
                    act(agent, now, *session);
                });
            }
        });
}

pub(crate) fn accept(agent: &mut UserAgent, now: std::time::Instant, session: SessionId) {
    // The session may be over by now.
    let _ = agent.accept_transfer(now, session, probe());
}

pub(crate) fn transfer(
    stage: &mut Stage,
    host: HostId,
    session: SessionId,
    target: Option<Uri>,
    replaced: Option<SessionId>,
) -> Result<(), TransferError> {
    stage.agent(host, "transfer", |agent, now| {
        agent.transfer(now, session, target, replaced)
    })
}

/// Until nobody has anything to say about a transfer any more.
pub(crate) fn settle(stage: &mut Stage) {
    stage.world.run_for(Duration::from_secs(100));
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// XFR-01, XFR-04, XFR-06; RFC 5589, 6.1: Alice sends Bob to Carol.
#[test]
fn xfr_01_a_blind_transfer() {
    three("blind transfer").run("Carol has Bob", |stage| {
        let (alice, bob, carol) = (stage.alice, stage.bob(), carol(stage));
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        stage.answer(carol, Duration::from_millis(300), Duration::from_secs(2));
        let thinks = draw(stage, 2_000);
        on_transfer(stage, bob, thinks, accept);
        let Some((ours, theirs)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let target = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(target), None).unwrap();
        stage.world.run_for(Duration::from_secs(1));
        settle(stage);
        let told = (told(stage, alice), told(stage, bob));
        let transferor = "NewOutgoing DidStart 100 180 200 DidEnd";
        if stage.setup().loss() == 0.0 {
            assert_eq!(told.0, transferor);
        }
        assert_eq!(told.1, "NewIncoming DidStart DidEnd", "{}", told.0);
        assert!(!is_up(stage, bob, theirs));
        match (up(stage, alice), up(stage, bob), up(stage, carol)) {
            (0, 1, 1) if told.0.ends_with("DidEnd") => "Carol has Bob".to_owned(),
            counts => format!("{counts:?} {}", told.0),
        }
    });
}

/// XFR-02, XFR-07; RFC 5589, 7.1: Alice has called both, and leaves them to each other.
#[test]
fn xfr_02_an_attended_transfer() {
    three("attended transfer").run("Carol has Bob", |stage| {
        let (alice, bob, carol) = (stage.alice, stage.bob(), carol(stage));
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        stage.answer(carol, Duration::ZERO, Duration::from_millis(500));
        on_transfer(stage, bob, Duration::ZERO, accept);
        let Some((first, _)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let Some((second, theirs)) = call(stage, 1) else {
            return "no call".to_owned();
        };
        transfer(stage, alice, first, None, Some(second)).unwrap();
        settle(stage);
        let told = told(stage, alice);
        let new = stage.model(carol).alive().into_iter().next();
        let info = new.and_then(|new| {
            stage
                .world
                .node::<UserAgent>(carol)
                .session(new)
                .map(|info| info.replaced_session)
        });
        match (up(stage, alice), up(stage, bob), up(stage, carol)) {
            (0, 1, 1) if told.ends_with("DidEnd") => {
                assert_eq!(info, Some(Some(theirs)));
                assert_eq!(ends(stage, carol), ["replaced"]);
                "Carol has Bob".to_owned()
            }
            counts => format!("{counts:?} {told}"),
        }
    });
}

/// XFR-09, SES-37, SES-72: Bob does not want to; nothing else has changed.
#[test]
fn xfr_09_a_transfer_that_is_rejected() {
    three("transfer rejected").run("486", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        on_transfer(stage, bob, Duration::from_secs(1), |agent, now, session| {
            let bad = agent.reject_transfer(now, session, Some(200), None);
            assert!(bad.is_err());
            let _ = agent.reject_transfer(now, session, None, None);
            let twice = agent.reject_transfer(now, session, None, None);
            assert_eq!(twice, Err(TransferError::NoTransfer));
        });
        let Some((ours, theirs)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let target = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(target), None).unwrap();
        settle(stage);
        let both = is_up(stage, alice, ours) && is_up(stage, bob, theirs);
        let info = stage.world.node::<UserAgent>(alice).session(ours);
        let transfer = info.and_then(|info| info.transfer);
        let (direction, state) = transfer.map_or((Direction::Incoming, None), |transfer| {
            (transfer.direction, Some(transfer.state))
        });
        match (both, told(stage, alice)) {
            (true, told) if told.ends_with("DidFail 486") => {
                assert_eq!(
                    (direction, state),
                    (Direction::Outgoing, Some(TransferState::Failed))
                );
                "486".to_owned()
            }
            (both, told) => format!("{both} {told}"),
        }
    });
}

/// XFR-04: Carol's refusal is Bob's report; Alice and Bob go on talking, and may try again.
#[test]
fn xfr_04_the_target_is_busy() {
    three("target busy").run("486, then Carol has Bob", |stage| {
        let (alice, bob, carol) = (stage.alice, stage.bob(), carol(stage));
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        on_transfer(stage, bob, Duration::ZERO, accept);
        let Some((ours, theirs)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        stage.reject(carol, Duration::from_millis(200), 486);
        let target = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(target.clone()), None).unwrap();
        settle(stage);
        let first = told(stage, alice);
        if !first.ends_with("DidFail 486") || !is_up(stage, bob, theirs) {
            return first;
        }
        // Carol's hand is quicker the second time.
        stage.on_call(carol, Duration::ZERO, |agent, now, session, streams| {
            let _ = agent.accept(now, session, streams);
        });
        transfer(stage, alice, ours, Some(target), None).unwrap();
        settle(stage);
        match (up(stage, alice), up(stage, bob), up(stage, carol)) {
            (0, 1, 1) => "486, then Carol has Bob".to_owned(),
            counts => format!("{counts:?} {}", told(stage, alice)),
        }
    });
}

/// XFR-04: a name that leads nowhere is 480.
#[test]
fn xfr_04_a_target_without_address_is_480() {
    three("target unknown").run("480", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        on_transfer(stage, bob, Duration::ZERO, accept);
        let Some((ours, _)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let nowhere: Uri = "sip:carol@nowhere.invalid".parse().unwrap();
        transfer(stage, alice, ours, Some(nowhere), None).unwrap();
        settle(stage);
        match told(stage, alice) {
            told if told.ends_with("DidFail 480") && is_up(stage, alice, ours) => "480".to_owned(),
            told => told,
        }
    });
}

/// XFR-05, XFR-06, GEN-06: one at a time, from either side; and what cannot be asked is an error that
/// changes nothing.
#[test]
fn xfr_05_one_transfer_at_a_time() {
    three("two transfers").run("480", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let Some((ours, theirs)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let target = Some(stage.phone_uri(1));
        let no = |stage: &mut Stage, target: &Option<Uri>, replaced| {
            transfer(stage, alice, ours, target.clone(), replaced).unwrap_err()
        };
        assert_eq!(no(stage, &None, None), TransferError::NoTarget);
        assert_eq!(no(stage, &target, Some(ours)), TransferError::Replaced);
        let early = stage.agent(alice, "accept transfer", |agent, now| {
            agent.accept_transfer(now, ours, probe())
        });
        assert_eq!(early, Err(TransferError::NoTransfer));
        transfer(stage, alice, ours, target.clone(), None).unwrap();
        assert_eq!(no(stage, &target, None), TransferError::Running);
        let wrong = stage.agent(alice, "accept transfer", |agent, now| {
            agent.accept_transfer(now, ours, probe())
        });
        assert_eq!(wrong, Err(TransferError::WrongDirection));
        // Bob decides nothing; both ask at once, and at least one comes too late.
        let crossing = transfer(stage, bob, theirs, target, None);
        assert_eq!(crossing, Ok(()));
        settle(stage);
        let told = (told(stage, alice), told(stage, bob));
        match [&told.0, &told.1]
            .iter()
            .any(|told| told.contains("DidFail 480"))
        {
            true if is_up(stage, alice, ours) && is_up(stage, bob, theirs) => "480".to_owned(),
            _ => format!("{told:?}"),
        }
    });
}

/// XFR-06: nobody decides; after 90 s both know that it came to nothing.
#[test]
fn xfr_06_nobody_decides() {
    three("undecided").run("408", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let Some((ours, theirs)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let target = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(target), None).unwrap();
        settle(stage);
        settle(stage);
        let told = (told(stage, alice), told(stage, bob));
        let both = is_up(stage, alice, ours) && is_up(stage, bob, theirs);
        match told.0.contains("DidFail 408") && told.1.ends_with("DidFail 408") && both {
            true => "408".to_owned(),
            false => format!("{told:?}"),
        }
    });
}

/// The call ends while Bob thinks: he may not call any more, and Alice knows.
#[test]
fn xfr_06_the_transferor_hangs_up() {
    three("transferor hangs up").run("487", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let Some((ours, _)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        let target = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(target), None).unwrap();
        stage.world.run_for(Duration::from_secs(5));
        let _ = stage.agent(alice, "end", |agent, now| agent.end(now, ours));
        settle(stage);
        let told = (told(stage, alice), told(stage, bob));
        match told.0.ends_with("DidFail 487") && told.1.ends_with("DidFail 487") {
            true => "487".to_owned(),
            false => format!("{told:?}"),
        }
    });
}

/// RFC 5057: a transferee that is not there any more takes the call with it.
#[test]
fn xfr_06_the_transferee_is_gone() {
    Matrix {
        losses: &[0.0],
        proxy: Proxied::Never,
        ..three("transferee gone")
    }
    .run("408", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let Some((ours, _)) = call(stage, 0) else {
            return "no call".to_owned();
        };
        stage
            .world
            .set_path(alice, bob, simulator::Path::lossy(1.0));
        let target = stage.phone_uri(1);
        transfer(stage, alice, ours, Some(target), None).unwrap();
        settle(stage);
        match told(stage, alice) {
            // A connection that stands may have carried the REFER.
            told if told.ends_with("DidFail 408") => "408".to_owned(),
            told => told,
        }
    });
}
