//! Another network in mid-call (APP-20): signalling and media follow, at both ends.

use crate::{
    beside::{end, heard, is_lossless, marks, speak, start},
    call::{both, label},
    runs::Matrix,
};
use simulator::{Action, HostId, Stage};
use sipsimple::{
    event::{AgentEvent, Event},
    stream::{StreamSpec, audio::KIND},
};
use std::{net::IpAddr, time::Duration};

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
