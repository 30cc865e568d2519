//! RTCP on the port of RTP (RFC 5761), between agents that want it and agents that do not.

use crate::{
    beside::{end, heard, is_lossless, marks, speak, start},
    call::both,
    hold::set_hold,
    runs::Matrix,
};
use simulator::{Action, HostId, Stage};
use sipsimple::{
    agent::UserAgent,
    event::{Event, StreamEvent},
    rtp::Kind,
    stream::{
        StreamSpec,
        audio::{AudioStream, KIND},
    },
};
use std::time::Duration;

/// Whether an agent wants it: of four worlds two in which both do, and one for each alone.
fn wants(name: &str, seed: u64) -> bool {
    match name {
        "alice" => seed % 4 != 1,
        _ => seed % 4 != 2,
    }
}

/// The stream of the only call of a host, while it runs.
fn stream(stage: &Stage, host: HostId) -> Option<&AudioStream> {
    let events = &stage.world.host(host).inbox().notifications;
    let started = |event: &Event| match event {
        Event::Stream(id, StreamEvent::DidStart) => Some(*id),
        _ => None,
    };
    let id = events.iter().rev().find_map(|told| started(&told.event));
    let agent = stage.world.node::<UserAgent>(host);
    agent.stream::<AudioStream>(id?)
}

/// Reports on the wire that went to an odd port: the neighbour of one for RTP.
fn apart(stage: &Stage) -> usize {
    let steps = stage.world.trace().steps().iter();
    let is_apart = |action: &Action| match action {
        Action::Send { to, payload, .. } => to.port() % 2 == 1 && Kind::of(payload) == Kind::Rtcp,
        _ => false,
    };
    steps.filter(|step| is_apart(&step.action)).count()
}

/// BUG-19: who both want it share one port from the answer on, over hold and resume as well; everybody
/// else hears the other's reports on a port of their own. Speech is heard in any case.
#[test]
fn bug_19_reports_share_the_port_of_speech_where_both_want_it() {
    let mut matrix = Matrix::new("mux");
    matrix.one_in = 2;
    matrix.configure = |name, config| {
        let seed: [u8; 8] = config.seed[..8].try_into().expect("eight bytes");
        config.media.rtcp_mux = wants(name, u64::from_le_bytes(seed));
        // Each flow is seen alone, without what ICE keeps open.
        config.media.ice = false;
    };
    matrix.run("connected", |stage| {
        let call = start(stage, vec![StreamSpec::new(KIND)]);
        let outcome = both(stage, call);
        if outcome != "connected" {
            return outcome;
        }
        let hosts = [stage.alice, stage.bob()];
        let seed = stage.setup().seed;
        let is_shared = wants("alice", seed) && wants("bob", seed);
        for hold in [true, false] {
            // The path may lose so much that one end gives up.
            if hosts.iter().any(|host| stream(stage, *host).is_none()) {
                assert!(!is_lossless(stage));
                break;
            }
            let before = marks(stage, hosts);
            speak(stage, hosts, 50);
            stage.world.run_for(Duration::from_secs(15));
            for (n, host) in hosts.into_iter().enumerate() {
                let Some(stream) = stream(stage, host) else {
                    assert!(!is_lossless(stage));
                    continue;
                };
                assert_eq!(stream.is_rtcp_muxed(), is_shared);
                let statistics = stream.statistics().expect("it runs");
                if is_lossless(stage) {
                    assert!(heard(stage, host, before[n]) >= 50);
                    assert!(statistics.reports_received > 0, "{statistics:?}");
                }
            }
            assert!(apart(stage) == 0 || !is_shared);
            assert!(apart(stage) > 0 || is_shared || !is_lossless(stage));
            if hold {
                for hold in [true, false] {
                    set_hold(stage, hosts[0], call, hold);
                    stage.world.run_for(Duration::from_secs(10));
                }
                let model = stage.model(hosts[0]);
                if model.session(call).is_none_or(|belief| belief.held_by_us) {
                    // The path has lost too much of it.
                    break;
                }
            }
        }
        end(stage, call);
        outcome
    });
}
