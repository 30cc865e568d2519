//! A resolver among hostile name servers.

use crate::answers;
use arbitrary::Unstructured;
use sipsimple::{
    base::{Rng, Transport},
    dns::{
        Config, Event, ExchangeId, Found, Input, Output, Place, Reach, Request, Resolver, Service,
        Stats,
    },
};
use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Looks up what the bytes say, and answers every query with what they say. Every lookup ends once and
/// in its time, finds no more than it may, and nothing is left.
///
/// # Panics
/// Something of that does not hold.
pub fn dns(data: &[u8]) {
    let mut play = Play::new();
    let mut input = Unstructured::new(data);
    for _ in 0..STEPS {
        if input.is_empty() || play.step(&mut input).is_err() {
            break;
        }
    }
    play.finish();
}

struct Play {
    resolver: Resolver,
    now: Instant,
    begun: usize,
    done: usize,
    /// What was sent by exchanges that are open.
    queries: Vec<Sent>,
}

#[derive(Clone)]
struct Sent {
    exchange: ExchangeId,
    server: SocketAddr,
    stream: bool,
    query: Vec<u8>,
}

impl Play {
    fn new() -> Self {
        let now = start();
        let mut resolver = Resolver::new(Config::default(), Rng::from_seed([6; 32]));
        resolver.set_name_servers(now, vec![server(1), server(2)]);
        let mut play = Self {
            resolver,
            now,
            begun: 0,
            done: 0,
            queries: Vec::new(),
        };
        play.drain();
        play
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        match input.int_in_range(0..=7u8)? {
            0 | 1 => {
                if self.begun - self.done < MOST {
                    let request = request(input)?;
                    self.begun += 1;
                    self.resolver.lookup(self.now, request);
                }
            }
            2 => {
                self.now += Duration::from_millis(1 << input.int_in_range(0..=14u8)?);
                self.resolver.handle_input(self.now, Input::Timeout);
            }
            3 => {
                if let Some(Sent { exchange, .. }) = self.pick(input)? {
                    self.forget(exchange);
                    self.resolver
                        .handle_input(self.now, Input::Failed { exchange });
                }
            }
            _ => self.answer(input)?,
        }
        self.drain();
        Ok(())
    }

    fn answer(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let Some(sent) = self.pick(input)? else {
            return Ok(());
        };
        let (exchange, from) = (sent.exchange, sent.server);
        let query = match sent.stream {
            true => sent.query.get(2..).unwrap_or_default(),
            false => &sent.query,
        };
        let mut reply = answers::dns(query, input)?;
        if sent.stream {
            let mut framed = (reply.len() as u16).to_be_bytes().to_vec();
            framed.append(&mut reply);
            // Cut anywhere.
            let at = usize::from(input.arbitrary::<u8>()?).min(framed.len());
            let rest = framed.split_off(at);
            for payload in [framed, rest] {
                let payload = payload.into();
                self.resolver
                    .handle_input(self.now, Input::Bytes { exchange, payload });
            }
            return Ok(());
        }
        let payload = reply.into();
        let input = Input::Datagram {
            exchange,
            from,
            payload,
        };
        self.resolver.handle_input(self.now, input);
        Ok(())
    }

    fn pick(&self, input: &mut Unstructured<'_>) -> arbitrary::Result<Option<Sent>> {
        let n: u8 = input.arbitrary()?;
        Ok(match self.queries.len() {
            0 => None,
            len => self.queries.get(usize::from(n) % len).cloned(),
        })
    }

    fn forget(&mut self, exchange: ExchangeId) {
        self.queries.retain(|sent| sent.exchange != exchange);
    }

    fn drain(&mut self) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                Output::Open {
                    exchange,
                    server,
                    stream,
                } => {
                    self.queries.push(Sent {
                        exchange,
                        server,
                        stream,
                        query: Vec::new(),
                    });
                    self.resolver
                        .handle_input(self.now, Input::Opened { exchange });
                }
                Output::Send { exchange, payload } => {
                    let mut known = self.queries.iter_mut();
                    let sent = known.find(|sent| sent.exchange == exchange);
                    sent.expect("an open exchange").query = payload.to_vec();
                }
                Output::Close { exchange } => self.forget(exchange),
                Output::Event(Event::Done { result, .. }) => {
                    self.done += 1;
                    match result {
                        Ok(Found::Targets(targets)) => {
                            assert!((1..=32).contains(&targets.len()), "{}", targets.len());
                            assert!(targets.iter().all(|target| target.address.port() != 0));
                        }
                        Ok(Found::Uris(uris)) => assert!(!uris.is_empty()),
                        Err(_) => {}
                    }
                }
                _ => {}
            }
        }
        assert!(self.done <= self.begun, "a lookup ended twice");
    }

    /// Nobody answers any more.
    fn finish(mut self) {
        let end = self.now + Duration::from_secs(60);
        while let Some(due) = self.resolver.poll_timeout().filter(|due| due.at <= end) {
            self.now = self.now.max(due.at);
            self.resolver.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        assert_eq!(self.done, self.begun, "a lookup never ended");
        assert_eq!(self.resolver.stats(), Stats::default());
        assert!(self.queries.is_empty(), "a socket stays");
    }
}

fn request(input: &mut Unstructured<'_>) -> arbitrary::Result<Request> {
    let host = *input.choose(&["example.com", "a.example.com", "b.example.org"])?;
    let host = host.parse().expect("a host");
    Ok(match input.int_in_range(0..=3u8)? {
        0 => Request::Xcap { domain: host },
        1 => Request::Service {
            service: *input.choose(&[Service::Stun, Service::Turn, Service::MsrpRelay])?,
            host,
            port: None,
            v4: true,
            v6: input.arbitrary()?,
        },
        _ => {
            let reach = [Transport::Udp, Transport::Tcp, Transport::Tls];
            let mut place = Place::new(host);
            place.secure = input.arbitrary()?;
            Request::Sip {
                place,
                reach: reach
                    .map(|transport| Reach::new(transport, true, true))
                    .to_vec(),
            }
        }
    })
}

fn server(n: u8) -> SocketAddr {
    SocketAddr::new([192, 0, 2, n].into(), 53)
}

/// The origin of virtual time.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Lookups at a time.
const MOST: usize = 8;
const STEPS: usize = 200;
