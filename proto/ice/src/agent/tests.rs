//! Two agents with a network between them that is made for the purpose: NATs, filters, loss.

mod foreign;
mod network;
mod rules;

use super::*;
use crate::{Kind, PairState};
use network::{Nat, Network};
use std::time::Duration;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Both ends agree, and each sends where the other listens.
fn agreed(network: &Network) -> (Selected, Selected) {
    let [a, b] = &network.sides;
    assert_eq!(
        (a.agent.state(), b.agent.state()),
        (State::Completed, State::Completed)
    );
    for component in a.components() {
        let (ours, theirs) = (
            a.agent.selected(component).unwrap(),
            b.agent.selected(component).unwrap(),
        );
        assert_eq!(network.arrives(0, ours), Some(b.address(theirs.base)));
        assert_eq!(network.arrives(1, theirs), Some(a.address(ours.base)));
    }
    (a.agent.selected(1).unwrap(), b.agent.selected(1).unwrap())
}

#[test]
fn two_hosts_on_one_network() {
    let mut network = Network::new(1, [Nat::None, Nat::None], 1);
    network.gather();
    network.offer_and_answer();
    network.run(seconds(2));
    let (ours, theirs) = agreed(&network);
    assert_eq!(
        (ours.local_kind, ours.remote_kind),
        (Kind::Host, Kind::Host)
    );
    assert_eq!(theirs.local_kind, Kind::Host);
    let after = network.completed_after().unwrap();
    assert!(after <= Duration::from_millis(100), "{after:?}");
    // RFC 8445: a check each way and a nomination, with their responses.
    assert!(network.sent <= 8, "{} datagrams", network.sent);
}

#[test]
fn rtp_and_rtcp_each_get_a_pair() {
    let mut network = Network::new(2, [Nat::None, Nat::None], 2);
    network.gather();
    network.offer_and_answer();
    network.run(seconds(2));
    agreed(&network);
    assert!(network.sides[0].agent.selected(2).is_some());
}

/// NAT by NAT: which kind of pair works, direct wherever one can.
#[test]
fn nats_of_all_kinds() {
    use Nat::{FullCone, None, PortRestricted, Symmetric};
    for (seed, ours, theirs, is_direct) in [
        (10, None, FullCone, true),
        (11, FullCone, FullCone, true),
        (12, FullCone, PortRestricted, true),
        (13, PortRestricted, PortRestricted, true),
        (14, FullCone, Symmetric, true),
        (15, Symmetric, FullCone, true),
        (16, None, Symmetric, true),
        // Each would have to know the other's next port.
        (17, PortRestricted, Symmetric, false),
        (18, Symmetric, PortRestricted, false),
        (19, Symmetric, Symmetric, false),
    ] {
        for loss in [0.0, 0.2] {
            let mut network = Network::new(seed, [ours, theirs], 1);
            network.loss = loss;
            network.add_relays();
            network.gather();
            network.offer_and_answer();
            network.run(seconds(20));
            let (one, _) = agreed(&network);
            let is_relayed = one.local_kind == Kind::Relayed || one.remote_kind == Kind::Relayed;
            // Bad luck may leave the relay as the better of two.
            if loss == 0.0 || !is_direct {
                assert_eq!(is_relayed, !is_direct, "{ours:?} to {theirs:?}: {one:?}");
            }
        }
    }
}

#[test]
fn without_a_relay_symmetric_nats_fail_when_the_peer_had_its_time() {
    let mut network = Network::new(3, [Nat::Symmetric, Nat::Symmetric], 1);
    network.gather();
    network.offer_and_answer();
    network.run(seconds(39));
    assert_eq!(network.sides[0].agent.state(), State::Running);
    network.run(seconds(20));
    for side in &network.sides {
        assert_eq!(side.agent.state(), State::Failed);
        assert!(
            side.agent
                .pairs()
                .iter()
                .all(|pair| pair.state == PairState::Failed)
        );
        assert_eq!(side.agent.poll_timeout(), None);
    }
}

#[test]
fn a_silent_server_costs_its_deadline_and_nothing_else() {
    let mut network = Network::new(4, [Nat::None, Nat::None], 1);
    network.is_server_silent = true;
    network.gather();
    assert_eq!(network.sides[0].agent.state(), State::Gathered);
    assert_eq!(network.elapsed(), seconds(2));
    network.offer_and_answer();
    network.run(seconds(1));
    agreed(&network);
}

#[test]
fn checks_that_come_before_the_answer_are_answered_and_used() {
    let mut network = Network::new(5, [Nat::None, Nat::PortRestricted], 1);
    network.gather();
    // The answerer has the offer and checks; the offerer has nothing yet.
    network.tell(0, 1);
    network.run(seconds(1));
    assert_eq!(network.sides[0].agent.route(1), None);
    assert_eq!(network.sides[1].agent.state(), State::Running);
    let is_valid = |pair: &PairInfo| pair.state == PairState::Succeeded;
    assert!(network.sides[1].agent.pairs().iter().any(is_valid));
    network.tell(1, 0);
    network.run(seconds(1));
    agreed(&network);
}

#[test]
fn both_want_to_control() {
    for seed in 0..20 {
        for role in [Role::Controlling, Role::Controlled] {
            let mut network = Network::new(seed, [Nat::None, Nat::FullCone], 1);
            for side in &mut network.sides {
                side.agent.set_role(role);
            }
            network.gather();
            network.offer_and_answer();
            network.run(seconds(5));
            agreed(&network);
            let [a, b] = &network.sides;
            assert_eq!(a.agent.role(), b.agent.role().other());
            let changes = network.events(|event| matches!(event, Event::RoleDidChange(_)));
            assert_eq!(changes % 2, 1, "one side changed, or one more often");
        }
    }
}

#[test]
fn an_aggressive_peer_chooses_several_and_the_best_counts() {
    let mut network = Network::new(6, [Nat::None, Nat::None], 1);
    network.sides[1].add_base(1, 20, 100);
    network.gather();
    network.offer_and_answer();
    network.is_aggressive = true;
    network.run(seconds(5));
    agreed(&network);
    let best = network.sides[0].agent.pairs()[0].clone();
    assert!(best.nominated);
    let selected = network.sides[0].agent.selected(1).unwrap();
    assert_eq!(selected.remote, best.remote);
}

#[test]
fn a_restart_keeps_the_old_pair_until_there_is_a_new_one() {
    let mut network = Network::new(7, [Nat::None, Nat::FullCone], 1);
    network.gather();
    network.offer_and_answer();
    network.run(seconds(2));
    let (before, _) = agreed(&network);
    let credentials = network.sides[0].agent.local().credentials;
    for (at, role) in [(0, Role::Controlling), (1, Role::Controlled)] {
        network.sides[at].agent.restart(role);
    }
    assert_ne!(network.sides[0].agent.local().credentials, credentials);
    assert_eq!(network.sides[0].agent.route(1), Some(before));
    assert_eq!(network.sides[0].agent.selected(1), None);
    network.offer_and_answer();
    network.run(seconds(2));
    agreed(&network);
}

#[test]
fn consent_is_asked_for_and_expires_in_silence() {
    let mut network = Network::new(8, [Nat::None, Nat::None], 1);
    network.gather();
    network.offer_and_answer();
    network.run(seconds(120));
    agreed(&network);
    let expired = |event: &Event| matches!(event, Event::ConsentExpired { component: 1 });
    assert_eq!(network.events(expired), 0);
    // The last proof is 6 s old at most.
    network.loss = 1.0;
    network.run(seconds(23));
    assert_eq!(network.events(expired), 0);
    network.run(seconds(8));
    assert_eq!(network.events(expired), 2);
    assert_eq!(network.sides[0].agent.route(1), None);
}

#[test]
fn candidates_that_trickle_in() {
    let mut network = Network::new(9, [Nat::FullCone, Nat::PortRestricted], 1);
    network.gather();
    network.trickle(0, 1);
    network.trickle(1, 0);
    network.run(seconds(60));
    // Nothing was told yet, and more may come.
    assert_eq!(network.sides[0].agent.state(), State::Running);
    for (from, to) in [(0, 1), (1, 0)] {
        network.trickle_candidates(from, to);
    }
    network.run(seconds(5));
    agreed(&network);
}

/// RFC 8838, 14: what comes before the description or after the end of candidates is ignored, and the same
/// candidate again is none (RFC 8840, 4.4).
#[test]
fn rfc_8838_candidates_count_while_the_peer_trickles() {
    let mut network = Network::new(9, [Nat::None, Nat::None], 1);
    network.gather();
    let candidates = network.sides[1].agent.local().candidates;
    let now = network.now();
    let pairs = |network: &mut Network| {
        let agent = &mut network.sides[0].agent;
        agent.add_remote_candidates(now, candidates.iter().chain(&candidates).cloned());
        agent.pairs().len()
    };
    assert_eq!(pairs(&mut network), 0);
    network.trickle(1, 0);
    let some = pairs(&mut network);
    assert!(some > 0);
    assert_eq!(pairs(&mut network), some);
    let agent = &mut network.sides[0].agent;
    agent.end_of_candidates(now);
    let late = candidates.iter().cloned().map(|mut candidate| {
        candidate.address.set_port(9_999);
        candidate
    });
    let before = agent.ignored();
    agent.add_remote_candidates(now, late);
    assert_eq!(agent.pairs().len(), some);
    assert_eq!(agent.ignored() - before, candidates.len() as u64);
}

#[test]
fn who_trickles_nothing_fails_in_the_end() {
    let mut network = Network::new(9, [Nat::None, Nat::None], 1);
    network.gather();
    network.trickle(1, 0);
    network.run(seconds(60));
    let now = network.now();
    network.sides[0].agent.end_of_candidates(now);
    assert_eq!(network.sides[0].agent.state(), State::Failed);
}

/// RFC 8863, 4: whoever controls and never chooses is given up.
#[test]
fn a_peer_that_never_chooses() {
    let mut network = Network::new(9, [Nat::None, Nat::None], 1);
    network.sides[0].agent.set_role(Role::Controlled);
    network.gather();
    network.lite(1);
    network.sides[0].agent.set_role(Role::Controlled);
    network.run(seconds(39));
    assert!(network.sides[0].agent.route(1).is_some());
    network.run(seconds(1));
    assert_eq!(network.sides[0].agent.state(), State::Failed);
    assert_eq!(network.sides[0].agent.route(1), None);
}

#[test]
fn a_lite_peer_only_answers() {
    let mut network = Network::new(21, [Nat::PortRestricted, Nat::None], 1);
    network.sides[0].agent.set_role(Role::Controlled);
    network.gather();
    network.lite(1);
    network.run(seconds(3));
    let side = &network.sides[0].agent;
    assert_eq!(
        (side.role(), side.state()),
        (Role::Controlling, State::Completed)
    );
    assert_eq!(side.selected(1).unwrap().local_kind, Kind::ServerReflexive);
}

/// Seven tries at a fifth of loss each way fail once in 1,276 times.
#[test]
fn loss_is_survived() {
    let mut failed = 0;
    for seed in 100..300 {
        let mut network = Network::new(seed, [Nat::FullCone, Nat::PortRestricted], 2);
        network.gather();
        network.loss = 0.2;
        network.offer_and_answer();
        network.run(seconds(60));
        match network.sides[0].agent.state() {
            State::Completed => drop(agreed(&network)),
            _ => failed += 1,
        }
    }
    assert!(failed <= 4, "{failed} of 200");
}
