//! A hostile peer against a whole agent: datagrams, connections and media by bytes, templates of SIP
//! that know the tags and branches of the agent, time, and an application that acts at any moment.

use arbitrary::Unstructured;
use simulator::{Habit, Parcel, Phone};
use sipsimple::{
    agent::{Class, Config, Connect, LinkId, SessionId, Stats},
    event::{Event, SessionEvent},
    stream::{StreamSpec, audio::AudioFactory},
};
use std::{
    net::SocketAddr,
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Plays what the bytes say. Whatever it was, the agent gets on after every step ([`Phone`] checks it),
/// what it sends is SIP where SIP goes, and once everybody has given up nothing is alive.
///
/// # Panics
/// Something of that does not hold.
pub fn agent_bytes(data: &[u8]) {
    let mut play = Play::new();
    let mut input = Unstructured::new(data);
    for _ in 0..STEPS {
        let is_long = play.phone.moments() > MOMENTS;
        if is_long || input.is_empty() || play.step(&mut input).is_err() {
            break;
        }
        play.look();
    }
    play.finish();
}

struct Play {
    phone: Phone,
    connections: Vec<LinkId>,
    sessions: Vec<SessionId>,
    /// What the agent said last in SIP: requests to answer, responses to go on from.
    requests: Vec<String>,
    responses: Vec<String>,
}

impl Play {
    fn new() -> Self {
        let mut config = Config::new([5; 32], Duration::from_secs(1_795_000_000));
        config.addresses = vec![[192, 0, 2, 4].into()];
        config.udp_port = Some(5060);
        config.tcp_port = Some(5060);
        config.factories = vec![Box::new(AudioFactory::new())];
        config.streams_without_offer = vec![StreamSpec::new("audio")];
        let mut phone = Phone::new(start(), config);
        phone.talks = true;
        Self {
            phone,
            connections: Vec::new(),
            sessions: Vec::new(),
            requests: Vec::new(),
            responses: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let from = peer(u16::from(input.arbitrary::<u8>()? % 4));
        match input.int_in_range(0..=11u8)? {
            0 => self.phone.datagram(from, piece(input)?),
            1 => {
                let message = self.message(input)?;
                self.phone.datagram(from, &message);
            }
            2 => {
                let message = self.message(input)?;
                if let Some(&link) = pick(&self.connections, input)? {
                    self.phone.bytes(link, &message);
                }
            }
            3 => {
                let bytes = piece(input)?;
                if let Some(&link) = pick(&self.connections, input)? {
                    self.phone.bytes(link, bytes);
                }
            }
            4 => {
                if self.connections.len() < MOST {
                    self.connections.extend(self.phone.connect(from));
                }
            }
            5 => {
                if let Some(&link) = pick(&self.connections, input)? {
                    match input.arbitrary()? {
                        true => self.phone.hang_up(link),
                        false => self.phone.read(link),
                    }
                }
            }
            6 => {
                let slot = usize::from(input.int_in_range(0..=3u8)?);
                self.phone.media(slot, from, piece(input)?);
            }
            7 => {
                let slot = usize::from(input.int_in_range(0..=3u8)?);
                let packet = packet(input)?;
                self.phone.media(slot, from, &packet);
            }
            8 => {
                // From a millisecond to half a minute, all sizes alike: timers lie that far apart.
                let wait = 1 << input.int_in_range(0..=15u8)?;
                self.phone.wait(Duration::from_millis(wait));
            }
            9 => self.act(input)?,
            10 => {
                self.phone.habit = match input.int_in_range(0..=3u8)? {
                    0 => Habit::Ignore,
                    1 => Habit::Ring,
                    2 => Habit::Accept,
                    _ => Habit::Reject(486),
                }
            }
            _ => {
                if self.sessions.len() < MOST {
                    let tcp = if input.arbitrary()? {
                        ";transport=tcp"
                    } else {
                        ""
                    };
                    let to = format!("sip:peer@{from}{tcp}").parse().expect("a URI");
                    let call = Connect::new(to, vec![StreamSpec::new("audio")]);
                    // As many as the limits allow.
                    let _ = self.phone.command(|agent, now| agent.connect(now, call));
                }
            }
        }
        Ok(())
    }

    /// The application does something with a session, in time or not.
    fn act(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let action = input.int_in_range(0..=5u8)?;
        let Some(&session) = pick(&self.sessions, input)? else {
            return Ok(());
        };
        self.phone.command(|agent, now| {
            let streams = agent
                .session(session)
                .map(|info| info.streams)
                .unwrap_or_default();
            // Out of place it is refused, and nothing has happened.
            let _ = match action {
                0 => agent.ring(now, session),
                1 => agent.accept(now, session, &streams),
                2 => agent.reject(now, session, 488, None),
                3 => agent.hold(now, session),
                4 => agent.unhold(now, session),
                _ => agent.end(now, session),
            };
        });
        Ok(())
    }

    /// A message that fits to what was said before, with a wound or two.
    fn message(&self, input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
        let answers = input.arbitrary()?;
        let text = match (answers, pick(&self.requests, input)?) {
            (true, Some(request)) => answer(request, input)?,
            _ => self.request(input)?,
        };
        let mut bytes = text.into_bytes();
        for _ in 0..input.int_in_range(0..=2u8)? {
            let at = usize::from(input.arbitrary::<u16>()?) % bytes.len().max(1);
            let len = usize::from(input.int_in_range(0..=4u8)?).min(bytes.len() - at);
            bytes.splice(at..at + len, piece(input)?.iter().copied());
        }
        Ok(bytes)
    }

    fn request(&self, input: &mut Unstructured<'_>) -> arbitrary::Result<String> {
        let method = *input.choose(&METHODS)?;
        let number = input.int_in_range(0..=7u8)?;
        let call = input.int_in_range(0..=3u8)?;
        let branch = input.int_in_range(0..=15u8)?;
        let body = body(input)?;
        let length = body.len();
        let inside = pick(&self.responses, input)?.and_then(|response| {
            Some((
                header(response, "To")?,
                header(response, "From")?,
                header(response, "Call-ID")?,
            ))
        });
        let outside = (
            "<sip:agent@192.0.2.4>".to_owned(),
            "<sip:peer@192.0.2.9>;tag=p".to_owned(),
            format!("call{call}"),
        );
        let (to, from, call_id) = match input.arbitrary()? {
            true => inside.unwrap_or(outside),
            false => outside,
        };
        let route = match input.int_in_range(0..=3u8)? {
            0 => "Record-Route: <sip:192.0.2.8;lr>\r\n",
            _ => "",
        };
        Ok(format!(
            "{method} sip:agent@192.0.2.4 SIP/2.0\r\n\
            Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{branch}\r\n{route}\
            From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
            Contact: <sip:peer@192.0.2.9:5062>\r\n\
            Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    /// Reads what the agent said and told.
    fn look(&mut self) {
        for parcel in self.phone.take_parcels() {
            if parcel.class == Class::Signalling {
                self.hear(&parcel);
            }
        }
        for event in self.phone.take_events() {
            if let Event::Session(
                id,
                SessionEvent::NewIncoming { .. } | SessionEvent::NewOutgoing { .. },
            ) = event
            {
                self.sessions.push(id);
            }
        }
        for memory in [&mut self.requests, &mut self.responses] {
            memory.drain(..memory.len().saturating_sub(MOST));
        }
        let over = self.sessions.len().saturating_sub(MOST);
        self.sessions.drain(..over);
    }

    fn hear(&mut self, parcel: &Parcel) {
        if &parcel.payload[..] == b"\r\n" {
            return;
        }
        let text = String::from_utf8_lossy(&parcel.payload).into_owned();
        let parsed = sip::Message::parse(parcel.payload.clone());
        // What a wrong request lacked, its 400 lacks; everything else that we say can be read.
        let is_echo = ["SIP/2.0 400", "SIP/2.0 413", "SIP/2.0 505", "SIP/2.0 513"];
        let is_echo = is_echo.iter().any(|start| text.starts_with(start));
        assert!(parsed.is_ok() || is_echo, "{parsed:?}: {text}");
        match text.starts_with("SIP/2.0") {
            true => self.responses.push(text),
            false => self.requests.push(text),
        }
    }

    /// Everybody gives up.
    fn finish(mut self) {
        self.phone.talks = false;
        for link in std::mem::take(&mut self.connections) {
            self.phone.hang_up(link);
        }
        self.phone.command(|agent, now| agent.shutdown(now));
        let left = self.phone.rest(Duration::from_secs(3 * 60 * 60));
        assert_eq!(left, Stats::default());
        assert_eq!(self.phone.open_links(), 0);
    }
}

/// A response to a request of the agent.
fn answer(request: &str, input: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let line = *input.choose(&RESPONSES)?;
    let tag = *input.choose(&["", ";tag=a", ";tag=b"])?;
    let body = body(input)?;
    let copy = |name: &str| header(request, name).unwrap_or_default();
    let to = copy("To");
    let to = if to.contains("tag=") { to } else { to + tag };
    let via: Vec<&str> = request
        .split("\r\n")
        .filter(|line| line.starts_with("Via: "))
        .collect();
    Ok(format!(
        "SIP/2.0 {line}\r\n{}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
        Contact: <sip:peer@192.0.2.9:5062>\r\n\
        WWW-Authenticate: Digest realm=\"x\",nonce=\"1\"\r\n\
        Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        via.join("\r\n"),
        copy("From"),
        copy("Call-ID"),
        copy("CSeq"),
        body.len(),
    ))
}

/// A session description, as a sane peer writes it and as none does.
fn body(input: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let direction = *input.choose(&["sendrecv", "sendonly", "recvonly", "inactive"])?;
    let version: u8 = input.arbitrary()?;
    let address = *input.choose(&["192.0.2.9", "0.0.0.0", "203.0.113.66", "host.invalid"])?;
    let lines = *input.choose(&[
        "m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        "m=audio 40000 RTP/AVP 8\r\n",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=video 40002 RTP/AVP 31\r\nm=audio 40000 RTP/AVP 0\r\n",
        "m=audio 65535 RTP/SAVP 0\r\n",
        "",
    ])?;
    Ok(match input.int_in_range(0..=4u8)? {
        0 => String::new(),
        1 => String::from_utf8_lossy(piece(input)?).into_owned(),
        _ => format!(
            "v=0\r\no=- 1 {version} IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n{lines}a={direction}\r\n"
        ),
    })
}

/// An RTP packet that a stream may believe in.
fn packet(input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let payload_type = *input.choose(&[0u8, 8, 13, 101, 200])?;
    let (sequence, timestamp): (u16, u32) = (input.arbitrary()?, input.arbitrary()?);
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0, 0, 0, input.arbitrary()?]);
    packet.extend(piece(input)?);
    Ok(packet)
}

/// Some bytes: a length of one byte, and what follows.
fn piece<'a>(input: &mut Unstructured<'a>) -> arbitrary::Result<&'a [u8]> {
    let len = usize::from(input.arbitrary::<u8>()?).min(input.len());
    input.bytes(len)
}

fn pick<'a, T>(of: &'a [T], input: &mut Unstructured<'_>) -> arbitrary::Result<Option<&'a T>> {
    let n: u8 = input.arbitrary()?;
    Ok(match of.is_empty() {
        true => None,
        false => of.get(usize::from(n) % of.len()),
    })
}

fn header(message: &str, name: &str) -> Option<String> {
    let mut lines = message.split("\r\n");
    lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}

fn peer(n: u16) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 9].into(), 5062 + n)
}

/// The origin of virtual time.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

const METHODS: [&str; 8] = [
    "INVITE", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "MESSAGE",
];
const RESPONSES: [&str; 10] = [
    "100 Trying",
    "180 Ringing",
    "183 Session Progress",
    "200 OK",
    "200 OK",
    "302 Moved Temporarily",
    "401 Unauthorized",
    "481 Call/Transaction Does Not Exist",
    "491 Request Pending",
    "503 Service Unavailable",
];
/// Connections, sessions and messages that are remembered.
const MOST: usize = 8;
/// Steps of one run: more find nothing that two runs would not.
const STEPS: usize = 200;
/// Wake-ups and packets of one run: speech that goes on says nothing after a while.
const MOMENTS: usize = 1_000;
