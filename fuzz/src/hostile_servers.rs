//! Hostile registrars, presence servers, proxies and name servers against a whole agent that wants
//! something of them.

use crate::answers;
use arbitrary::Unstructured;
use simulator::{Parcel, Phone};
use sipsimple::{
    agent::{Account, Config, Message, Publish, Stats, UserAgent},
    base::digest::Secret,
    sip::auth::Credentials,
    stream::Lookup,
};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Registers, publishes, writes and looks up as the bytes say, and answers everything that leaves as they
/// say, or not at all. Whatever it was, the agent gets on after every step ([`Phone`] checks it), and
/// once everybody has given up nothing is alive.
///
/// # Panics
/// Something of that does not hold.
pub fn hostile_servers(data: &[u8]) {
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
    /// What waits for an answer, the latest last.
    parcels: Vec<Parcel>,
}

impl Play {
    fn new() -> Self {
        let mut config = Config::new([7; 32], Duration::from_secs(1_795_000_000));
        config.addresses = vec![[192, 0, 2, 4].into()];
        config.udp_port = Some(5060);
        config.tcp_port = Some(5060);
        config.name_servers = vec!["192.0.2.53:53".parse().expect("an address")];
        let mut account = Account::default();
        account.uri = "sip:agent@example.com".parse().ok();
        let secret = Secret::Password("zanzibar".to_owned());
        account.credentials = vec![Credentials::new("*", "agent", secret)];
        account.instance_id = Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned());
        config.accounts.push(account);
        Self {
            phone: Phone::new(start(), config),
            parcels: Vec::new(),
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        match input.int_in_range(0..=12u8)? {
            // What is refused has changed nothing.
            0 => {
                let _ = self.phone.command(|agent, now| agent.register(now, None));
            }
            1 => self
                .phone
                .command(|agent, now| drop(agent.unregister(now, None))),
            2 => {
                let publish = Publish::new("presence", "application/pidf+xml", "<presence/>");
                let _ = self.phone.command(|agent, now| agent.publish(now, publish));
            }
            3 => self
                .phone
                .command(|agent, now| drop(agent.unpublish(now, None, "presence"))),
            4 => {
                let to = *input.choose(&["sip:a@example.com", "sip:b@192.0.2.9;transport=tcp"])?;
                let message = Message::new(to.parse().expect("a URI"), "hello");
                let _ = self
                    .phone
                    .command(|agent, now| agent.send_message(now, message));
            }
            5 => {
                let uri = "sip:example.com".parse().expect("a URI");
                let _ = self
                    .phone
                    .command(|agent, now| agent.lookup(now, Lookup::Sip { uri }));
            }
            6 => {
                // From a millisecond to half an hour, all sizes alike.
                let wait = 1 << input.int_in_range(0..=21u8)?;
                self.phone.wait(Duration::from_millis(wait));
            }
            _ => self.answer(input)?,
        }
        Ok(())
    }

    fn answer(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let n: u8 = input.arbitrary()?;
        let Some(last) = self.parcels.len().checked_sub(1) else {
            return Ok(());
        };
        // Mostly what was said last.
        let at = last.saturating_sub(usize::from(n) % 3);
        let parcel = self.parcels[at].clone();
        if n & 0x80 != 0 {
            self.parcels.remove(at);
        }
        let is_dns = parcel.to.port() == 53;
        let is_stream = self.phone.is_stream(parcel.link);
        let bytes = match (is_dns, is_stream) {
            (true, false) => answers::dns(&parcel.payload, input)?,
            (true, true) => {
                let query = parcel.payload.get(2..).unwrap_or_default();
                let reply = answers::dns(query, input)?;
                [&(reply.len() as u16).to_be_bytes()[..], &reply].concat()
            }
            (false, _) => answers::sip(&String::from_utf8_lossy(&parcel.payload), input)?,
        };
        match is_stream {
            true => {
                self.phone.bytes(parcel.link, &bytes);
            }
            false => self.phone.answer(&parcel, &bytes),
        }
        Ok(())
    }

    fn look(&mut self) {
        for parcel in self.phone.take_parcels() {
            if parcel.to.port() != 53 && &parcel.payload[..] != b"\r\n\r\n" {
                let is_stun = parcel.payload.first().is_some_and(|byte| *byte < 4);
                let parsed = sip::Message::parse(parcel.payload.clone());
                assert!(is_stun || parsed.is_ok(), "{parsed:?}");
            }
            self.parcels.push(parcel);
        }
        let over = self.parcels.len().saturating_sub(MOST);
        self.parcels.drain(..over);
        self.phone.take_events();
    }

    /// Everybody gives up.
    fn finish(mut self) {
        self.phone.command(UserAgent::shutdown);
        let left = self.phone.rest(Duration::from_secs(3 * 60 * 60));
        assert_eq!(left, Stats::default());
        assert_eq!(self.phone.open_links(), 0);
    }
}

/// The origin of virtual time.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Parcels that are remembered.
const MOST: usize = 16;
const STEPS: usize = 120;
/// Wake-ups of one run: half an hour of one retry after the other says no more than a minute of them.
const MOMENTS: usize = 500;
