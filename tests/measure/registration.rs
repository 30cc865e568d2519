//! Registrations of one endpoint with a registrar that grants all, in memory.

use super::heap;
use base::{Host, Rng, Target, Transport};
use sip::{Config, Endpoint, FlowId, Input, Output, Registration, header::Address};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The bytes of heap that one of `count` registrations takes at rest, 40 s after its last message: each of
/// an address of record of its own, without an account.
pub(crate) fn weigh(count: usize) -> isize {
    let mut now = Instant::now();
    let mut config = Config::new("bench");
    config.limits.usages = 200_000;
    let mut endpoint = Endpoint::new(now, config, Rng::from_seed([1; 32]));
    let local = SocketAddr::from(([192, 0, 2, 2], 5060));
    let flow = endpoint.add_flow(now, Transport::Udp, local, None);
    let flow = flow.expect("an address");
    for number in 0..count {
        let uri = format!("sip:user{number}@registrar.example");
        let address = Address::new(uri.parse().expect("a URI"));
        let mut registration = Registration::new(address).expect("an address of record");
        registration.expires = Duration::from_secs(3_600);
        endpoint.register(now, registration).expect("room for it");
        drain(&mut endpoint, now, flow);
        // Few transactions linger beside those that are weighed.
        now += Duration::from_millis(50);
        expire(&mut endpoint, now, flow);
    }
    now += Duration::from_secs(40);
    expire(&mut endpoint, now, flow);
    assert_eq!(endpoint.stats().registrations, count);
    let before = heap::live();
    drop(endpoint);
    (before - heap::live()) / count as isize
}

fn expire(endpoint: &mut Endpoint, now: Instant, flow: FlowId) {
    while endpoint.poll_timeout().is_some_and(|due| due.at <= now) {
        endpoint.handle_input(now, Input::Timeout);
        drain(endpoint, now, flow);
    }
}

fn drain(endpoint: &mut Endpoint, now: Instant, flow: FlowId) {
    while let Some(output) = endpoint.poll_output() {
        let input = match output {
            Output::Resolve { lookup, .. } => {
                let target = Target {
                    transport: Transport::Udp,
                    address: REGISTRAR,
                    name: Host::Ip(REGISTRAR.ip()),
                };
                let targets = Ok(vec![target]);
                Input::Resolved { lookup, targets }
            }
            Output::Send { message, .. } => {
                let request = String::from_utf8_lossy(&message);
                Input::Message {
                    flow,
                    from: REGISTRAR,
                    message: granted(&request).into_bytes().into(),
                }
            }
            _ => continue,
        };
        endpoint.handle_input(now, input);
    }
}

/// The 200 of the registrar.
fn granted(request: &str) -> String {
    let lines = |names: &'static [&str]| {
        request.lines().filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            names.contains(&name)
        })
    };
    let mut response = "SIP/2.0 200 OK\r\n".to_owned();
    for line in lines(&["Via", "From", "Call-ID", "CSeq"]) {
        response += &format!("{line}\r\n");
    }
    for line in lines(&["To"]) {
        response += &format!("{line};tag=registrar\r\n");
    }
    for line in lines(&["Contact"]) {
        response += &format!("{line};expires=3600\r\n");
    }
    response + "Content-Length: 0\r\n\r\n"
}

const REGISTRAR: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    5060,
);
