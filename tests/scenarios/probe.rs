//! An application's own stream, alone: what a stream may rely on, and what a stream may do.

use crate::{
    call::{label, wait},
    hold::{set_hold, streams_up},
    runs::{Matrix, Proxied},
};
use base::Transport;
use bytes::Bytes;
use simulator::{
    FileContent, HostId, ProbeCommand, ProbeEvent, ProbeOptions, ProbeStream, Stage,
    server::{Peer, Proxy},
};
use sip::{HeaderName, Message, Method, Request, Response, Status};
use sipsimple::{
    agent::{SessionId, UserAgent},
    event::{Event, StreamEvent},
};
use std::{any::Any, net::IpAddr, time::Duration};

/// What the probes of a host told, in order.
fn told(stage: &Stage, host: HostId) -> Vec<ProbeEvent> {
    let events = &stage.world.host(host).inbox().notifications;
    let custom = events.iter().filter_map(|n| match &n.event {
        Event::Stream(_, StreamEvent::Custom(event)) => Some(event),
        _ => None,
    });
    custom
        .filter_map(|event| {
            let event: &dyn Any = event.as_ref();
            event.downcast_ref::<ProbeEvent>().cloned()
        })
        .collect()
}

fn call(stage: &mut Stage, options: &ProbeOptions) -> SessionId {
    let call = stage.call(vec![options.spec()]);
    wait(stage, stage.alice, call, Duration::from_secs(100));
    stage.world.run_for(Duration::from_secs(3));
    call
}

fn auto_answer(stage: &mut Stage) -> HostId {
    let bob = stage.bob();
    stage.answer(bob, Duration::ZERO, Duration::ZERO);
    bob
}

fn slow() -> ProbeOptions {
    ProbeOptions {
        prepare_ms: 12_000,
        ..ProbeOptions::default()
    }
}

// STR-04, and `limits.prepare`: after 10 s the offer goes out with what is there.
#[test]
fn a_caller_that_takes_12_s_to_prepare_calls_after_10() {
    Matrix::new("slow caller").run("connected", |stage| {
        auto_answer(stage);
        let call = call(stage, &slow());
        let alice = stage.world.host(stage.alice).inbox();
        let started = alice
            .notifications
            .iter()
            .find(|n| n.event.name() == "SIPSessionDidStart");
        if let Some(started) = started {
            let after = started.at.saturating_duration_since(stage.world.start());
            assert!(after > Duration::from_secs(10), "{after:?}");
        }
        label(stage, stage.alice, call)
    });
}

// SES-15: accepted before it is prepared; remembered, and answered with what is there after 10 s.
#[test]
fn a_callee_that_takes_12_s_to_prepare_answers_after_10() {
    Matrix {
        incoming: slow(),
        ..Matrix::new("slow callee")
    }
    .run("connected", |stage| {
        auto_answer(stage);
        let call = call(stage, &ProbeOptions::default());
        label(stage, stage.alice, call)
    });
}

#[test]
fn a_call_is_cancelled_while_its_streams_prepare() {
    Matrix {
        incoming: slow(),
        ..Matrix::new("slow cancel")
    }
    .run("over", |stage| {
        let bob = auto_answer(stage);
        let options = match stage.world.rng().below(2) {
            0 => slow(),
            _ => ProbeOptions::default(),
        };
        let call = stage.call(vec![options.spec()]);
        let after = stage.world.rng().below(14_000);
        stage.world.run_for(Duration::from_millis(after.into()));
        let _ = stage.agent(stage.alice, "end", |agent, now| agent.end(now, call));
        stage.world.run_for(Duration::from_secs(100));
        let alive = stage.model(stage.alice).alive().len() + stage.model(bob).alive().len();
        match alive {
            0 => "over".to_owned(),
            _ => "alive".to_owned(),
        }
    });
}

// A proposal that crosses another one is rolled back, and made again (RFC 3261, 14.1).
#[test]
fn offers_of_streams_cross_and_are_rolled_back() {
    Matrix::new("re-offer").run("connected", |stage| {
        let bob = auto_answer(stage);
        let call = call(stage, &ProbeOptions::default());
        for round in 0..3 {
            for host in [stage.alice, bob] {
                for stream in streams_up(stage, host) {
                    let prepare = round == 1;
                    let reoffer = ProbeCommand::Reoffer { prepare };
                    let _ = stage.agent(host, "re-offer", |agent, now| {
                        agent.command(now, stream, reoffer)
                    });
                }
            }
            stage.world.run_for(Duration::from_secs(20));
        }
        label(stage, stage.alice, call)
    });
}

#[test]
fn a_stream_says_something_of_its_own() {
    Matrix {
        losses: &[0.0],
        ..Matrix::new("custom")
    }
    .run("connected", |stage| {
        let bob = auto_answer(stage);
        let call = call(stage, &ProbeOptions::default());
        let stream = streams_up(stage, stage.alice)[0];
        let text = "hello".to_owned();
        let reply = stage.agent(stage.alice, "say", |agent, now| {
            agent.command(now, stream, ProbeCommand::Say { text: text.clone() })
        });
        // Both are up for three seconds, with a heartbeat each, which may arrive twice.
        assert!((2..=8).contains(&reply.unwrap().received));
        stage.world.run_for(Duration::from_secs(1));
        assert!(told(stage, bob).contains(&ProbeEvent::Said { text }));
        label(stage, stage.alice, call)
    });
}

/// Sends a file of 200 kB to a reader that stalls, over a byte stream of the stream's own.
fn transfer(stage: &mut Stage, from: HostId, to: HostId, options: &ProbeOptions) -> String {
    let (size, seed) = (200_000, 9);
    stage
        .world
        .put_file(from, "song", FileContent::Pattern { size, seed });
    let call = call(stage, options);
    let mut sent = None;
    for _ in 0..600 {
        stage.world.run_for(Duration::from_secs(1));
        sent = told(stage, from).into_iter().find_map(|event| match event {
            ProbeEvent::Sent { digest, peak, .. } => Some((digest, peak)),
            _ => None,
        });
        if sent.is_some() {
            break;
        }
    }
    let Some((digest, peak)) = sent else {
        return format!("not sent: {}", label(stage, stage.alice, call));
    };
    assert!(peak <= 16 * 1024, "{peak} bytes in memory");
    let received = told(stage, to).into_iter().find_map(|event| match event {
        ProbeEvent::Received { digest, name, .. } => Some((digest, name)),
        _ => None,
    });
    let Some((received, name)) = received else {
        return "not received".to_owned();
    };
    assert_eq!(received, digest);
    let Some(FileContent::Bytes(bytes)) = stage.world.file(to, &name) else {
        return "no file".to_owned();
    };
    let expected: Vec<u8> = (0..size).map(|at| FileContent::pattern(seed, at)).collect();
    assert!(*bytes == expected, "the file differs");
    label(stage, stage.alice, call)
}

#[test]
fn a_file_larger_than_the_memory_goes_to_a_stalled_reader() {
    let stalled = ProbeOptions {
        stall_ms: 20_000,
        ..ProbeOptions::default()
    };
    let matrix = Matrix {
        incoming: stalled,
        losses: &[0.0, 0.1],
        one_in: 20,
        ..Matrix::new("file")
    };
    matrix.run("connected", |stage| {
        let bob = auto_answer(stage);
        let options = ProbeOptions {
            byte_stream: true,
            send_file: Some("song".to_owned()),
            ..ProbeOptions::default()
        };
        transfer(stage, stage.alice, bob, &options)
    });
}

#[test]
fn a_file_is_fetched_from_the_callee() {
    let sender = ProbeOptions {
        send_file: Some("song".to_owned()),
        ..ProbeOptions::default()
    };
    let matrix = Matrix {
        incoming: sender,
        losses: &[0.0],
        one_in: 20,
        ..Matrix::new("fetch")
    };
    matrix.run("connected", |stage| {
        let bob = auto_answer(stage);
        let options = ProbeOptions {
            byte_stream: true,
            stall_ms: 5_000,
            ..ProbeOptions::default()
        };
        let alice = stage.alice;
        transfer(stage, bob, alice, &options)
    });
}

#[test]
fn a_full_disk_breaks_the_transfer_and_not_the_call() {
    Matrix {
        losses: &[0.0],
        ..Matrix::new("full disk")
    }
    .run("connected", |stage| {
        let bob = auto_answer(stage);
        stage.world.set_disk_space(bob, 100_000);
        let (size, seed) = (200_000, 9);
        let alice = stage.alice;
        stage
            .world
            .put_file(alice, "song", FileContent::Pattern { size, seed });
        let options = ProbeOptions {
            byte_stream: true,
            send_file: Some("song".to_owned()),
            ..ProbeOptions::default()
        };
        let call = call(stage, &options);
        stage.world.run_for(Duration::from_secs(30));
        let failed = |event: &ProbeEvent| matches!(event, ProbeEvent::TransferFailed { .. });
        assert!(told(stage, bob).iter().any(failed));
        label(stage, alice, call)
    });
}

// The default route changes in a call: the stream prepares anew, and a new offer tells the peer.
#[test]
fn a_stream_moves_to_another_address() {
    Matrix {
        losses: &[0.0, 0.1],
        proxy: Proxied::Never,
        ..Matrix::new("move")
    }
    .run("connected", |stage| {
        let bob = auto_answer(stage);
        let call = call(stage, &ProbeOptions::default());
        let moved: IpAddr = [10, 0, 0, 77].into();
        let alice = stage.alice;
        let before: IpAddr = [10, 0, 0, 1].into();
        // The old address stays, and with it the signalling; the default route is another one.
        stage.world.set_addresses(alice, &[moved, before]);
        stage.world.run_for(Duration::from_secs(60));
        let moved_to = told(stage, alice)
            .into_iter()
            .find_map(|event| match event {
                ProbeEvent::Moved { local } => Some(local.ip()),
                _ => None,
            });
        let peer = streams_up(stage, bob).first().and_then(|&id| {
            stage
                .world
                .node::<UserAgent>(bob)
                .stream::<ProbeStream>(id)?
                .peer()
        });
        match (moved_to, peer.map(|peer| peer.ip())) {
            (Some(to), Some(known)) if to == moved && known == moved => label(stage, alice, call),
            other => format!("{other:?}"),
        }
    });
}

#[test]
fn a_stream_that_fails_takes_the_call_with_it() {
    Matrix::new("failure").run("ended", |stage| {
        auto_answer(stage);
        let call = call(stage, &ProbeOptions::default());
        for stream in streams_up(stage, stage.alice) {
            let _ = stage.agent(stage.alice, "fail", |agent, now| {
                agent.command(now, stream, ProbeCommand::Fail)
            });
        }
        stage.world.run_for(Duration::from_secs(50));
        match label(stage, stage.alice, call) {
            // It never got so far.
            label if label == "408" => "ended".to_owned(),
            label => label,
        }
    });
}

#[test]
fn a_stream_refuses_every_change() {
    let stubborn = ProbeOptions {
        refuse_changes: true,
        ..ProbeOptions::default()
    };
    let matrix = Matrix {
        incoming: stubborn,
        losses: &[0.0],
        ..Matrix::new("refusal")
    };
    matrix.run("connected", |stage| {
        auto_answer(stage);
        let call = call(stage, &ProbeOptions::default());
        // 488 leaves the call as it was (SES-31).
        set_hold(stage, stage.alice, call, true);
        stage.world.run_for(Duration::from_secs(10));
        let alice = stage.alice;
        assert!(told(stage, alice).contains(&ProbeEvent::RolledBack));
        let belief = stage.model(alice);
        assert!(!belief.session(call).unwrap().held_by_us);
        label(stage, alice, call)
    });
}

/// A second phone that shows its media early and never answers.
fn early_phone(stage: &mut Stage) -> HostId {
    let address: std::net::SocketAddr = "10.0.0.99:5060".parse().unwrap();
    let mut peer = Peer::new(address);
    let mut invite: Option<Request> = None;
    peer.set_answer(move |message, _| {
        let Message::Request(request) = message else {
            return Vec::new();
        };
        let respond =
            |request: &Request, status| Response::to_request(request, status, Some("early"));
        match request.method {
            Method::Invite if invite.is_none() => {
                let mut early = respond(request, Status::SESSION_PROGRESS);
                early
                    .headers
                    .copy_from(&request.headers, HeaderName::RecordRoute);
                early
                    .headers
                    .push(HeaderName::Contact, "<sip:early@10.0.0.99>");
                early.set_body("application/sdp", EARLY_ANSWER);
                invite = Some(request.clone());
                vec![early.to_bytes()]
            }
            Method::Cancel => {
                let mut answers = vec![respond(request, Status::OK).to_bytes()];
                if let Some(invite) = &invite {
                    answers.push(respond(invite, Status::REQUEST_TERMINATED).to_bytes());
                }
                answers
            }
            _ => Vec::new(),
        }
    });
    let host = stage.world.add_host("early", &[address.ip()], peer);
    let uri = format!("sip:early@{address};transport={}", Transport::Udp);
    let bob = stage.setup().callee_transport;
    let contacts = [
        uri.parse().unwrap(),
        format!("sip:bob@{}:5060;transport={bob}", stage.phone_address(0))
            .parse()
            .unwrap(),
    ];
    let proxy = stage.proxy.unwrap();
    stage.world.command(proxy, "bind", |proxy: &mut Proxy, _| {
        proxy.bind("bob", &contacts);
    });
    host
}

const EARLY_ANSWER: Bytes = Bytes::from_static(
    b"v=0\r\n\
      o=- 7 7 IN IP4 10.0.0.99\r\n\
      s=-\r\n\
      c=IN IP4 10.0.0.99\r\n\
      t=0 0\r\n\
      m=application 40000 UDP/PROBE heartbeat\r\n\
      a=sendrecv\r\n",
);

// One phone answers early, another one takes the call: the streams follow the first, then the second.
#[test]
fn two_forks_answer_and_the_stream_changes_its_peer() {
    Matrix {
        losses: &[0.0],
        proxy: Proxied::Always,
        ..Matrix::new("forked")
    }
    .run("connected", |stage| {
        early_phone(stage);
        let bob = stage.bob();
        stage.answer(bob, Duration::from_millis(500), Duration::from_secs(3));
        let options = ProbeOptions {
            byte_stream: true,
            send_file: Some("song".to_owned()),
            ..ProbeOptions::default()
        };
        let (size, seed) = (50_000, 1);
        let alice = stage.alice;
        stage
            .world
            .put_file(alice, "song", FileContent::Pattern { size, seed });
        let call = call(stage, &options);
        stage.world.run_for(Duration::from_secs(5));
        let told = told(stage, alice);
        assert!(told.contains(&ProbeEvent::Branched), "{told:?}");
        let sent = |event: &ProbeEvent| matches!(event, ProbeEvent::Sent { .. });
        assert!(told.iter().any(sent), "{told:?}");
        label(stage, alice, call)
    });
}
