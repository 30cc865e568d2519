//! Calls between two endpoints in memory, without sockets and media.
//!
//! Both ends are measured together; a server is about half of it. Names are numbers, so that the
//! resolver is a match.

use super::{Operation, heap};
use base::{Host, Rng, Target, Transport};
use bytes::Bytes;
use sip::{
    Config, Description, Endpoint, Event, FlowId, Headers, Input, InvitationEvent, InvitationId,
    Invite, Output, header::Address,
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// Two endpoints, and the datagrams between them.
pub(crate) struct Pair {
    ends: [End; 2],
    flying: VecDeque<(usize, SocketAddr, Bytes)>,
    now: Instant,
    invite: Invite,
    answer: Description,
    /// Whether the called end only rings.
    rings: bool,
}

struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    socket: FlowId,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let end = |n: u8| {
            let mut config = Config::new("bench");
            config.limits.invitations = 200_000;
            let mut endpoint = Endpoint::new(now, config, Rng::from_seed([n; 32]));
            let address = SocketAddr::from(([192, 0, 2, n], 5060));
            let socket = endpoint
                .add_flow(now, Transport::Udp, address, None)
                .expect("an address");
            End {
                endpoint,
                address,
                socket,
            }
        };
        let address = |uri: &str| Address::new(uri.parse().expect("a URI"));
        let mut invite = Invite::new(address("sip:alice@192.0.2.1"), address("sip:bob@192.0.2.2"));
        invite.offer = Some(Description {
            content_type: "application/sdp".to_owned(),
            body: Bytes::from_static(SDP.as_bytes()),
        });
        Self {
            ends: [end(1), end(2)],
            flying: VecDeque::new(),
            now,
            answer: invite.offer.clone().expect("set above"),
            invite,
            rings: false,
        }
    }

    fn drain(&mut self) {
        loop {
            let mut idle = true;
            for at in 0..2 {
                while let Some(output) = self.ends[at].endpoint.poll_output() {
                    idle = false;
                    self.carry_out(at, output);
                }
            }
            if let Some((to, from, message)) = self.flying.pop_front() {
                idle = false;
                let flow = self.ends[to].socket;
                let input = Input::Message {
                    flow,
                    from,
                    message,
                };
                self.ends[to].endpoint.handle_input(self.now, input);
            }
            if idle {
                break;
            }
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Send { message, .. } => {
                self.flying
                    .push_back((1 - at, self.ends[at].address, message));
            }
            Output::Resolve { lookup, .. } => {
                let address = self.ends[1 - at].address;
                let target = Target {
                    transport: Transport::Udp,
                    address,
                    name: Host::Ip(address.ip()),
                };
                let targets = Ok(vec![target]);
                self.ends[at]
                    .endpoint
                    .handle_input(self.now, Input::Resolved { lookup, targets });
            }
            Output::Event(Event::Invitation(id, InvitationEvent::Incoming(_))) => {
                let mut call = self.ends[at].endpoint.invitation(id).expect("just come");
                call.ring(self.now).expect("incoming");
                if !self.rings {
                    call.accept(self.now, self.answer.clone(), Headers::new())
                        .expect("ringing");
                }
            }
            _ => {}
        }
    }

    pub(crate) fn call(&mut self) -> InvitationId {
        let id = self.ends[0].endpoint.invite(self.now, self.invite.clone());
        self.drain();
        id.expect("within the limits")
    }

    pub(crate) fn hang_up(&mut self, id: InvitationId) {
        let mut call = self.ends[0].endpoint.invitation(id).expect("alive");
        call.end(self.now, &Headers::new()).expect("confirmed");
        self.drain();
    }

    /// The invitations that the calling end holds.
    pub(crate) fn invitations(&self) -> usize {
        self.ends[0].endpoint.stats().invitations
    }

    /// One call from INVITE to the answer of BYE, 20 ms of virtual time after the last one, so that
    /// what lingers for 32 s is there as it is in a busy server.
    pub(crate) fn whole_call(&mut self) {
        self.now += Duration::from_millis(20);
        let id = self.call();
        self.hang_up(id);
    }

    /// Lets time pass, and timers with it.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..64 {
            for end in &mut self.ends {
                end.endpoint.handle_input(self.now, Input::Timeout);
            }
            self.drain();
        }
    }
}

/// The bytes of heap that one call takes at rest, 40 s after its last message, among `calls` that are
/// established or only ring: at the end that called, and at the one that was called.
pub(crate) fn weigh(calls: usize, rings: bool) -> [isize; 2] {
    let mut pair = Pair::new();
    pair.rings = rings;
    for _ in 0..calls {
        pair.call();
    }
    pair.wait(Duration::from_secs(40));
    assert_eq!(pair.invitations(), calls);
    pair.ends.map(|end| {
        let before = heap::live();
        drop(end);
        (before - heap::live()) / calls as isize
    })
}

/// A pair with `others` established calls, at rest.
pub(crate) fn crowd(others: usize) -> Pair {
    let mut pair = Pair::new();
    for _ in 0..others {
        pair.call();
    }
    pair.wait(Duration::from_secs(60));
    pair
}

pub(crate) fn operations(full: bool) -> Vec<Operation> {
    let counts = [0, 1_000, 10_000]
        .into_iter()
        .filter(|&others| full || others == 0);
    counts
        .map(|others| {
            Operation::new(format!("call, both ends, beside {others}"), 1, move || {
                let mut pair = crowd(others);
                // As many as linger, so that each call that begins sees another go.
                (0..2_000).for_each(|_| pair.whole_call());
                move || pair.whole_call()
            })
        })
        .collect()
}

/// A description of the usual size.
const SDP: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 49170 RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
