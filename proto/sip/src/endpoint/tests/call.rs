//! Whole calls between two endpoints.

use super::{world::World, *};
use crate::{Headers, Method, Refer, Status};

fn established(transport: Transport) -> World {
    let mut world = World::new(2);
    world.invite(0, 1, transport, Some("offer"));
    world.run(ms(100));
    world.act(1, |call, now| call.ring(now)).unwrap();
    world.run(ms(100));
    assert_eq!(
        (world.state(0), world.state(1)),
        (State::Early, State::Early)
    );
    world
        .act(1, |call, now| {
            call.accept(now, sdp("answer"), Headers::new())
        })
        .unwrap();
    world.run(ms(100));
    assert_eq!(
        (world.state(0), world.state(1)),
        (State::Confirmed, State::Confirmed)
    );
    world
}

#[test]
fn a_call_from_invite_to_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = established(transport);
        assert_eq!(
            world.names(0),
            [
                "Provisional",
                "Confirmed",
                "Answered",
                "Acknowledged",
                "Transaction"
            ]
        );
        assert_eq!(
            world.names(1),
            ["Incoming", "Confirmed", "Acknowledged", "Transaction"]
        );
        world
            .act(0, |call, now| call.end(now, &Headers::new()))
            .unwrap();
        world.run(ms(100));
        assert_eq!(world.names(0), ["Transaction", "Ended"]);
        assert_eq!(world.names(1), ["Transaction", "Ended"]);
        let lines = [
            "0 INVITE",
            "1 SIP/2.0 180",
            "1 SIP/2.0 200",
            "0 ACK",
            "0 BYE",
            "1 SIP/2.0 200",
        ];
        let trace = world.trace.clone();
        assert_eq!(trace.len(), lines.len(), "{trace:#?}");
        assert!(
            trace
                .iter()
                .zip(lines)
                .all(|(line, start)| line.starts_with(start)),
            "{trace:#?}"
        );
        world.assert_quiet();
    }
}

/// RFC 3261, 12.2.2; RFC 5626, 5.3: BYE and SUBSCRIBE of one moment arrive in the order of their numbers,
/// though only the subscription was heard on the connection.
#[test]
fn all_usages_of_a_dialog_take_the_same_way() {
    let mut world = established(Transport::Tcp);
    let call = world.nodes[0].calls[0];
    let refer = Refer::in_call(call, address("sip:carol@chicago.com"));
    let now = world.now;
    let referral = world.nodes[0].endpoint.refer(now, refer).unwrap();
    // Nobody decides: accepted, and reported as pending.
    world.run(Duration::from_secs(5));
    let now = world.now;
    let endpoint = &mut world.nodes[0].endpoint;
    let mut ending = endpoint.invitation(call).unwrap();
    ending.end(now, &Headers::new()).unwrap();
    endpoint.forget_referral(now, referral);
    world.run(ms(200));
    let bye = world.nodes[0].events.iter().find_map(|event| match event {
        InvitationEvent::Transaction { method, code, .. } if *method == Method::Bye => Some(*code),
        _ => None,
    });
    assert_eq!(bye, Some(Status::OK), "{:#?}", world.trace);
}

#[test]
fn the_callee_hangs_up() {
    let mut world = established(Transport::Udp);
    world
        .act(1, |call, now| call.end(now, &Headers::new()))
        .unwrap();
    world.run(ms(100));
    assert_eq!(
        (world.state(0), world.state(1)),
        (State::Disconnected, State::Disconnected)
    );
    world.assert_quiet();
}

#[test]
fn a_refused_call() {
    let mut world = World::new(2);
    world.invite(0, 1, Transport::Udp, Some("offer"));
    world.run(ms(100));
    world
        .act(1, |call, now| {
            call.reject(now, Status::BUSY_HERE, None, &Headers::new())
        })
        .unwrap();
    world.run(ms(100));
    assert_eq!(world.names(0), ["Transaction", "Ended"]);
    assert_eq!(world.names(1), ["Incoming", "Transaction", "Ended"]);
    world.assert_quiet();
}

#[test]
fn a_cancelled_call() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = World::new(2);
        world.invite(0, 1, transport, Some("offer"));
        world.run(ms(100));
        world.act(1, |call, now| call.ring(now)).unwrap();
        world.run(ms(100));
        world
            .act(0, |call, now| call.end(now, &Headers::new()))
            .unwrap();
        world.run(ms(100));
        assert_eq!(world.names(0), ["Provisional", "Transaction", "Ended"]);
        assert_eq!(
            world.names(1),
            ["Incoming", "Transaction", "Transaction", "Ended"]
        );
        world.assert_quiet();
    }
}

#[test]
fn hold_by_reinvite() {
    let mut world = established(Transport::Udp);
    world.names(0);
    world.names(1);
    world
        .act(0, |call, now| {
            call.offer(now, Some(sdp("hold")), &Headers::new())
        })
        .unwrap();
    world.run(ms(100));
    let dialog = match &world.nodes[1].events[..] {
        [
            InvitationEvent::StateChanged { .. },
            InvitationEvent::Offered {
                dialog,
                description,
                ..
            },
        ] => {
            assert_eq!(description, &sdp("hold"));
            *dialog
        }
        events => panic!("{events:#?}"),
    };
    world
        .act(1, |call, now| call.answer(now, dialog, sdp("held")))
        .unwrap();
    world.run(ms(100));
    assert_eq!(world.names(0), ["Answered", "Acknowledged", "Transaction"]);
    assert_eq!(
        (world.state(0), world.state(1)),
        (State::Confirmed, State::Confirmed)
    );
    world
        .act(1, |call, now| call.end(now, &Headers::new()))
        .unwrap();
    world.assert_quiet();
}

#[test]
fn every_message_may_be_lost_once() {
    for lost in 0..8 {
        let mut world = World::new(2);
        let mut count = 0;
        world.lose = Box::new(move |_| {
            count += 1;
            count == lost + 1
        });
        world.invite(0, 1, Transport::Udp, Some("offer"));
        world.run(Duration::from_secs(2));
        world.act(1, |call, now| call.ring(now)).unwrap();
        world.run(Duration::from_secs(2));
        world
            .act(1, |call, now| {
                call.accept(now, sdp("answer"), Headers::new())
            })
            .unwrap();
        world.run(Duration::from_secs(2));
        assert_eq!(
            (world.state(0), world.state(1)),
            (State::Confirmed, State::Confirmed),
            "{:#?}",
            world.trace
        );
        world
            .act(0, |call, now| call.end(now, &Headers::new()))
            .unwrap();
        world.assert_quiet();
    }
}
