//! Hostile registrars, presence servers, proxies and name servers against a whole agent that wants
//! something of them.

use crate::answers;
use arbitrary::Unstructured;
use simulator::{Parcel, Phone};
use sipsimple::{
    agent::{
        Account, Class, Config, Connect, Message, Publish, SessionId, Stats, Subscribe,
        SubscriptionId, UserAgent,
    },
    base::digest::Secret,
    sip::auth::Credentials,
    stream::{Lookup, StreamSpec, audio::AudioFactory},
};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Registers, publishes, writes, looks up, subscribes and calls as the bytes say, and answers everything that
/// leaves as they say, or not at all; who is subscribed to or called asks something, too. Whatever it was, the agent gets on after every step ([`Phone`] checks it), and
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
    subscriptions: Vec<SubscriptionId>,
    sessions: Vec<SessionId>,
}

impl Play {
    fn new() -> Self {
        let mut config = Config::new([7; 32], Duration::from_secs(1_795_000_000));
        config.addresses = vec![[192, 0, 2, 4].into()];
        config.udp_port = Some(5060);
        config.tcp_port = Some(5060);
        config.name_servers = vec!["192.0.2.53:53".parse().expect("an address")];
        config.factories = vec![Box::new(AudioFactory::new())];
        let mut account = Account::default();
        account.uri = "sip:agent@example.com".parse().ok();
        let secret = Secret::Password("zanzibar".to_owned());
        account.credentials = vec![Credentials::new("*", "agent", secret)];
        account.instance_id = Some("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".to_owned());
        config.accounts.push(account);
        Self {
            phone: Phone::new(start(), config),
            parcels: Vec::new(),
            subscriptions: Vec::new(),
            sessions: Vec::new(),
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
                let message = Message::new(somebody(input)?, "hello");
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
            7 => self.subscribe(input)?,
            8 => self.call(input)?,
            9 => self.ask(input)?,
            _ => self.answer(input)?,
        }
        Ok(())
    }

    /// A subscription begins, is renewed, or ends.
    fn subscribe(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let what = input.int_in_range(0..=4u8)?;
        let known = pick(&self.subscriptions, input)?;
        match (what, known) {
            (0, Some(known)) => {
                let renew = |agent: &mut UserAgent, now| agent.renew_subscription(now, known);
                let _ = self.phone.command(renew);
            }
            (1, Some(known)) => {
                let _ = self
                    .phone
                    .command(|agent, now| agent.unsubscribe(now, known));
            }
            _ => {
                let event = *input.choose(&["presence", "message-summary", "presence.winfo"])?;
                let mut wanted = Subscribe::new(somebody(input)?, event);
                wanted.expires = Duration::from_secs(*input.choose(&[300, 0, 3_600])?);
                let begun = self
                    .phone
                    .command(|agent, now| agent.subscribe(now, wanted));
                self.subscriptions.extend(begun);
            }
        }
        Ok(())
    }

    /// A call begins, is held or resumed, or ends.
    fn call(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let what = input.int_in_range(0..=5u8)?;
        let Some(known) = pick(&self.sessions, input)?.filter(|_| what < 3) else {
            let call = Connect::new(somebody(input)?, vec![StreamSpec::new("audio")]);
            let begun = self.phone.command(|agent, now| agent.connect(now, call));
            self.sessions.extend(begun);
            return Ok(());
        };
        let _ = self.phone.command(|agent, now| match what {
            0 => agent.hold(now, known),
            1 => agent.unhold(now, known),
            _ => agent.end(now, known),
        });
        Ok(())
    }

    /// Who was asked something asks something itself: a notification, a re-INVITE, BYE.
    fn ask(&mut self, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        let asked = self.parcels.iter().filter(|parcel| is_sip(parcel));
        let parcels: Vec<Parcel> = asked.cloned().collect();
        let n = usize::from(input.arbitrary::<u8>()?);
        let Some(parcel) = parcels.iter().nth_back(n % parcels.len().max(1)) else {
            return Ok(());
        };
        let ours = String::from_utf8_lossy(&parcel.payload);
        if let Some(bytes) = answers::request(&ours, input)? {
            match self.phone.is_stream(parcel.link) {
                true => {
                    self.phone.bytes(parcel.link, &bytes);
                }
                false => self.phone.answer(parcel, &bytes),
            }
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
            if is_sip(&parcel) && &parcel.payload[..] != b"\r\n\r\n" {
                let is_stun = parcel.payload.first().is_some_and(|byte| *byte < 4);
                let parsed = sip::Message::parse(parcel.payload.clone());
                let text = parcel.payload.escape_ascii();
                assert!(is_stun || parsed.is_ok(), "{parsed:?}: {text}");
            }
            self.parcels.push(parcel);
        }
        let over = self.parcels.len().saturating_sub(MOST);
        self.parcels.drain(..over);
        let over = self.subscriptions.len().saturating_sub(MOST);
        self.subscriptions.drain(..over);
        let over = self.sessions.len().saturating_sub(MOST);
        self.sessions.drain(..over);
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

/// For a server of SIP, not of names; neither is it media.
fn is_sip(parcel: &Parcel) -> bool {
    parcel.class == Class::Signalling && parcel.to.port() != 53
}

/// Whom a name server finds, or nobody needs to look for.
fn somebody(input: &mut Unstructured<'_>) -> arbitrary::Result<sip::Uri> {
    let uri = *input.choose(&["sip:a@example.com", "sip:b@192.0.2.9;transport=tcp"])?;
    Ok(uri.parse().expect("a URI"))
}

fn pick<T: Copy>(of: &[T], input: &mut Unstructured<'_>) -> arbitrary::Result<Option<T>> {
    let n = usize::from(input.arbitrary::<u8>()?);
    Ok(of.iter().nth_back(n % of.len().max(1)).copied())
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
