//! Sockets: families, sizes, and peers that are not there.

use super::{
    PATIENCE, calls,
    party::{Party, Runtime, config, loopback6},
};
use runtime_std::Storage;
use sipsimple::{
    agent::Connect,
    event::{Event, OptionsEvent},
    sip,
    stream::{StreamSpec, audio::KIND},
};
use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

pub(super) fn options<R: Runtime>() {
    let (mut alice, bob) = (Party::<R>::new(20), Party::<R>::new(21));
    for transport in ["udp", "tcp"] {
        assert_eq!(ask(&mut alice, bob.uri(transport)), 200);
    }
    alice.finish();
    bob.finish();
}

pub(super) fn ipv6<R: Runtime>() {
    let Some(address) = loopback6() else {
        return println!("skipped: no IPv6");
    };
    let party = |seed| {
        let mut config = config(seed);
        config.addresses = vec![address];
        Party::<R>::with(config, Storage::Memory)
    };
    let (mut alice, bob) = (party(22), party(23));
    for transport in ["udp", "tcp"] {
        assert_eq!(ask(&mut alice, bob.uri(transport)), 200);
    }
    alice.finish();
    bob.finish();
}

/// The largest datagram that IPv4 carries is read whole, and the one after it, too.
pub(super) fn largest_datagram<R: Runtime>() {
    let bob = Party::<R>::new(24);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (to, from) = (bob.listening[0], socket.local_addr().unwrap());
    for length in [65_507, 500] {
        let head = |body: usize| {
            format!(
                "OPTIONS sip:bob@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{length}\r\n\
                 From: <sip:a@{from}>;tag=1\r\nTo: <sip:bob@{to}>\r\nCall-ID: {length}\r\n\
                 CSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Type: text/plain\r\n\
                 Content-Length: {body:5}\r\n\r\n"
            )
        };
        let body = length - head(0).len();
        let message = head(body) + &"x".repeat(body);
        assert_eq!(socket.send_to(message.as_bytes(), to).unwrap(), length);
        let mut answer = [0; 2_000];
        let (read, _) = socket.recv_from(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(answer.starts_with("SIP/2.0 200 "), "{answer}");
        assert!(
            answer.contains(&format!("Call-ID: {length}\r\n")),
            "{answer}"
        );
    }
    bob.finish();
}

/// Nobody listens: told at once, as a failure of the transport.
pub(super) fn refused<R: Runtime>() {
    let mut alice = Party::<R>::new(25);
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    connect(&alice, nobody);
    assert_eq!(alice.failed(), 503);
    alice.finish();
}

/// The peer takes the connection and goes away in the middle of the request.
pub(super) fn reset<R: Runtime>() {
    let mut alice = Party::<R>::new(26);
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    connect(&alice, peer.local_addr().unwrap());
    let (mut socket, _) = peer.accept().unwrap();
    let mut byte = [0];
    socket.read_exact(&mut byte).unwrap();
    // Unread bytes make it a reset; without a listener no second attempt succeeds.
    drop(peer);
    drop(socket);
    assert_eq!(alice.failed(), 503);
    alice.finish();
}

/// In the middle of a call the peer's program dies: all its sockets are closed, and no BYE comes.
/// Hanging up ends the call here all the same.
pub(super) fn lost_peer<R: Runtime>() {
    let (mut alice, mut bob) = (Party::<R>::new(27), Party::<R>::new(28));
    let session = calls::dial(&alice, &bob, "tcp");
    let (theirs, streams) = bob.incoming();
    bob.command(move |agent, now| agent.accept(now, theirs, &streams));
    alice.started();
    bob.started();
    bob.handle.post(|_, _| panic!("the program dies")).unwrap();
    bob.gone();
    alice.command(move |agent, now| agent.end(now, session));
    alice.ended();
    alice.finish();
}

fn connect<R: Runtime>(alice: &Party<R>, to: SocketAddr) {
    let to: sip::Uri = format!("sip:bob@{to};transport=tcp").parse().unwrap();
    let connect = Connect::new(to, vec![StreamSpec::new(KIND)]);
    alice.command(move |agent, now| agent.connect(now, connect));
}

/// Asks a peer what it can; returns the code.
pub(super) fn ask<R: Runtime>(alice: &mut Party<R>, to: sip::Uri) -> u16 {
    let request = alice.command(move |agent, now| agent.options(now, None, to));
    alice.wait("an answer to OPTIONS", |event| match event {
        Event::Options(id, OptionsEvent::GotAnswer { code, .. }) if *id == request => Some(*code),
        Event::Options(id, event) if *id == request => panic!("{event:?}"),
        _ => None,
    })
}
