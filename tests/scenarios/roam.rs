//! Another network in mid-call (APP-20): signalling and media follow, at both ends.

use crate::{
    beside::{end, heard, is_lossless, marks, speak, start},
    call::{both, label},
    runs::{Matrix, factories},
};
use base::Transport;
use simulator::{Action, HostId, ProbeOptions, Setup, Stage};
use sipsimple::{
    event::{AgentEvent, Event},
    stream::{StreamSpec, audio::KIND},
};
use std::{net::IpAddr, rc::Rc, time::Duration};

/// True if a host said that the network is another one.
fn has_moved(stage: &Stage, host: HostId) -> bool {
    let events = &stage.world.host(host).inbox().notifications;
    events.iter().any(|told| {
        matches!(
            &told.event,
            Event::Agent(AgentEvent::NetworkConditionsDidChange { changed, .. }) if changed == &["ip"]
        )
    })
}

/// How many packets went to or came from an address since `from`; writes to connections count.
fn traffic(stage: &Stage, address: IpAddr, from: usize) -> usize {
    let steps = &stage.world.trace().steps()[from..];
    let uses = steps.iter().filter(|step| match &step.action {
        Action::Send { from, to, .. } | Action::Write { from, to, .. } => {
            from.ip() == address || to.ip() == address
        }
        _ => false,
    });
    uses.count()
}

fn roams(callee: bool) -> impl Fn(&mut Stage) -> String {
    move |stage| {
        let call = start(stage, vec![StreamSpec::new(KIND)]);
        let outcome = both(stage, call);
        if outcome != "connected" {
            return outcome;
        }
        let (alice, bob) = (stage.alice, stage.bob());
        let mover = if callee { bob } else { alice };
        let before = stage.world.host(mover).addresses()[0];
        speak(stage, [alice, bob], 20);
        stage
            .world
            .set_addresses(mover, &[IpAddr::from([10, 0, 0, 77])]);
        // The proxy knows where its users registered; the dialog needs nothing of that.
        stage.world.run_for(Duration::from_secs(5));
        assert!(has_moved(stage, mover));
        if !is_lossless(stage) {
            // A re-INVITE may take all of Timer B.
            stage.world.run_for(Duration::from_secs(40));
        }
        let (since, marks) = (
            stage.world.trace().steps().len(),
            marks(stage, [alice, bob]),
        );
        speak(stage, [alice, bob], 20);
        if is_lossless(stage) {
            let counts = [heard(stage, alice, marks[0]), heard(stage, bob, marks[1])];
            if counts.iter().any(|&count| count < 18) {
                return format!("silent: {counts:?}");
            }
        }
        // Whoever stayed hangs up: his BYE has to find the new address.
        let outcome = both(stage, call);
        match callee {
            true => end(stage, call),
            false => {
                for id in stage.model(bob).alive() {
                    let _ = stage.agent(bob, "end", |agent, now| agent.end(now, id));
                }
            }
        }
        stage.world.run_for(Duration::from_secs(2));
        let late = traffic(stage, before, since);
        if is_lossless(stage) && late > 0 {
            return format!("{late} packets of the old address");
        }
        match label(stage, alice, call).as_str() {
            "ended" | "connected" => outcome,
            label => label.to_owned(),
        }
    }
}

#[test]
fn the_caller_moves_to_another_network() {
    let mut matrix = Matrix::new("roam");
    matrix.losses = &[0.0, 0.1];
    matrix.one_in = 4;
    matrix.run("connected", roams(false));
}

#[test]
fn the_callee_moves_to_another_network() {
    let mut matrix = Matrix::new("roam callee");
    matrix.losses = &[0.0, 0.1];
    matrix.one_in = 4;
    matrix.run("connected", roams(true));
}

/// How many SIP messages were sent so far.
fn messages(stage: &Stage) -> usize {
    let steps = stage.world.trace().steps().iter();
    let is_message = |payload: &[u8]| {
        payload
            .windows(9)
            .any(|window| window == b"SIP/2.0\r\n" || window == b"\r\nCSeq: 1")
    };
    let sent = steps.filter(|step| match &step.action {
        Action::Send { payload, .. } | Action::Write { payload, .. } => is_message(payload),
        _ => false,
    });
    sent.count()
}

/// APP-20, at every message of a call: whoever moves, both ends believe the same in the end, no end keeps
/// a call that the other has lost, and nothing is left.
#[test]
fn app_20_whoever_moves_at_whichever_message_both_ends_agree() {
    let mut survived = 0;
    for transport in [Transport::Udp, Transport::Tcp] {
        for callee in [false, true] {
            for nth in 0..9 {
                let mut setup = Setup::new(nth);
                setup.transport = transport;
                setup.callee_transport = transport;
                setup.configure = Rc::new(|name, config| {
                    config.factories = factories(name, &ProbeOptions::default());
                });
                let mut stage = Stage::new(setup);
                let (alice, bob) = (stage.alice, stage.bob());
                stage.answer(bob, Duration::from_millis(100), Duration::from_millis(500));
                let call = stage.call(vec![StreamSpec::new(KIND)]);
                let mover = if callee { bob } else { alice };
                let limit = stage.world.now() + Duration::from_secs(3);
                let first = messages(&stage);
                while messages(&stage) < first + nth as usize && stage.world.step(limit) {}
                stage
                    .world
                    .set_addresses(mover, &[IpAddr::from([10, 0, 0, 77])]);
                stage.world.run_for(Duration::from_secs(100));
                survived += usize::from(both(&mut stage, call) == "connected");
                let complaints = stage.finish();
                assert_eq!(
                    complaints,
                    Vec::<String>::new(),
                    "{transport}, callee: {callee}, message {nth}\n{}",
                    stage.world.trace().ladder()
                );
            }
        }
    }
    println!("{survived} of 36 calls survived a move during their first messages");
    assert!(survived >= 8, "{survived}");
}
