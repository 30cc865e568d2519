//! One association: the handshake with one peer over one way.

use crate::{Expected, Identity, draw, provider::provider};
use base::{Deadline, Rng, earliest};
use dimpl::{Config, Dtls, Error, SrtpProfile, UnexpectedMessageError};
use rtp::srtp::{MasterKey, Profile};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Who begins (RFC 4145, 4; RFC 5763, 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// `a=setup:active`: the DTLS client.
    Active,
    /// `a=setup:passive`: the DTLS server.
    Passive,
}

/// The handshake with one peer, in DTLS 1.3 or 1.2, and what remains of it afterwards: answers to lost
/// last flights.
///
/// *Feed* it the datagrams that [are of DTLS](crate::is_dtls). *It says* what to send and what came of it by
/// [`poll_output`](Self::poll_output), which may wait until there is a way to send on: flights are repeated
/// from when they left, after a second and then after twice as long each time. *Wake it* at
/// [`poll_timeout`](Self::poll_timeout).
///
/// *Bounds.* A datagram that it sends has 1,200 bytes at most; it keeps at most 30 that came. As the server it
/// answers a first ClientHello by a cookie alone (HelloVerifyRequest, HelloRetryRequest), which is shorter
/// than what it answers: until a peer has shown that it hears us, it draws less from us than it sends. What
/// is no flight of this handshake is passed over. After 40 s without keys it fails.
pub struct Association {
    role: Role,
    dtls: Option<Dtls>,
    rng: Rng,
    expected: Expected,
    time: Time,
    /// When it began to listen, and to speak if that is its part.
    begun: Option<Instant>,
    /// It has said something: from here on time matters.
    has_spoken: bool,
    timeout: Option<Instant>,
    certificate: Option<Vec<u8>>,
    material: Option<(Vec<u8>, SrtpProfile)>,
    is_connected: bool,
    is_keyed: bool,
    failure: Option<Failure>,
    buffer: Vec<u8>,
}

/// What an association says.
#[derive(Debug)]
pub enum Output {
    /// A datagram for the peer.
    Transmit(Vec<u8>),
    /// The peer is who it should be; said once.
    Keyed(Keys),
    /// There will be no keys: nothing more comes. Said once.
    Failed(Failure),
}

/// The keys of both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// Of what we send.
    pub local: MasterKey,
    /// Of what the peer sends.
    pub remote: MasterKey,
}

/// Why there are no keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", self.reason())]
#[non_exhaustive]
pub enum Failure {
    /// The certificate is none that the description names (RFC 8122, 6: nothing is exchanged with it).
    Fingerprint,
    /// Both sides have no profile of SRTP in common, or the peer knows nothing of it (RFC 5764, 4.1).
    NoProfile,
    /// The peer does not answer.
    Timeout,
    /// The peer says something that no handshake goes on with.
    Handshake,
}

impl Failure {
    /// In words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Fingerprint => "the certificate of the peer is not the one in its description",
            Self::NoProfile => "the peer takes no profile of SRTP",
            Self::Timeout => "the peer does not answer the DTLS handshake",
            Self::Handshake => "the DTLS handshake with the peer failed",
        }
    }
}

impl Association {
    /// Begins with a peer whose certificate is to be `expected`.
    ///
    /// `unix` is the time of day for hellos of DTLS 1.2, which show it (RFC 5246, 7.4.1.2).
    pub fn new(
        now: Instant,
        unix: Duration,
        role: Role,
        identity: &Identity,
        expected: Expected,
        mut rng: Rng,
    ) -> Self {
        let certificate = identity.dimpl();
        let seed = rng.u64();
        let (dtls, time) = draw::lend(&mut rng, || {
            let config = Config::builder()
                .mtu(MTU)
                .handshake_timeout(HANDSHAKE)
                .with_crypto_provider(provider())
                // Hellos, cookies and jitter; keys come from the provider, with all their bits.
                .dangerously_set_rng_seed(seed)
                .build();
            let config = Arc::new(config.expect("a provider whose algorithms are right"));
            let time = match role {
                // Its hello is that of DTLS 1.3, without a time.
                Role::Active => Time::plain(now),
                Role::Passive => Time::showing(now, unix, &config, &certificate),
            };
            let mut dtls = Dtls::new_auto(config, certificate, time.shifted(now));
            dtls.set_active(role == Role::Active);
            (dtls, time)
        });
        Self {
            role,
            dtls: Some(dtls),
            rng,
            expected,
            time,
            begun: None,
            has_spoken: false,
            timeout: None,
            certificate: None,
            material: None,
            is_connected: false,
            is_keyed: false,
            failure: None,
            buffer: vec![0; BUFFER],
        }
    }

    /// Which part is ours.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// True once it has said keys.
    pub const fn is_keyed(&self) -> bool {
        self.is_keyed
    }

    /// Takes a datagram of the peer.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.run(now, |dtls| dtls.handle_packet(datagram));
    }

    /// Repeats what is due, or gives up.
    pub fn handle_timeout(&mut self, now: Instant) {
        // The next moment is told when this one's flight leaves, which may take a way that is not there.
        if self.timeout.take_if(|at| *at <= now).is_some() {
            self.run(now, |_| Ok(()));
        }
        if self.give_up().is_some_and(|at| at <= now) {
            self.failure = Some(Failure::Timeout);
        }
    }

    /// Ends it: if there were keys, the peer is told so by one more datagram (`close_notify`: RFC 5246, 7.2.1;
    /// RFC 8446, 6.1). Nothing else comes any more.
    pub fn close(&mut self) {
        let is_keyed = self.is_keyed;
        self.failure = None;
        let Some(dtls) = self.dtls.as_mut().filter(|_| is_keyed) else {
            self.dtls = None;
            return;
        };
        if draw::lend(&mut self.rng, || dtls.close()).is_err() {
            self.dtls = None;
        }
        self.timeout = None;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.dtls.as_ref()?;
        earliest([
            (self.timeout, "dtls flight"),
            (self.give_up(), "dtls handshake"),
        ])
    }

    fn give_up(&self) -> Option<Instant> {
        let is_open = !self.is_keyed && self.failure.is_none();
        let begun = self.begun.filter(|_| is_open)?;
        begun.checked_add(HANDSHAKE)
    }

    /// Takes the next thing that it says. The first call begins the handshake.
    pub fn poll_output(&mut self, now: Instant) -> Option<Output> {
        if self.begun.is_none() {
            self.begun = Some(now);
            if self.role == Role::Active {
                self.run(now, |_| Ok(()));
            }
        }
        loop {
            if let Some(failure) = self.failure.take() {
                self.dtls = None;
                return Some(Output::Failed(failure));
            }
            let Some(dtls) = &mut self.dtls else {
                return None;
            };
            let (rng, buffer) = (&mut self.rng, &mut self.buffer);
            match draw::lend(rng, || dtls.poll_output(buffer)) {
                dimpl::Output::Packet(packet) => {
                    self.has_spoken = true;
                    return Some(Output::Transmit(packet.to_vec()));
                }
                dimpl::Output::BufferTooSmall { needed } => {
                    let needed = needed.min(MAX_BUFFER);
                    if needed <= self.buffer.len() {
                        self.failure = Some(Failure::Handshake);
                    }
                    self.buffer.resize(needed, 0);
                }
                dimpl::Output::PeerCert(certificate) => {
                    // Whoever shows another one learns nothing more, not even that we were ready to talk.
                    match self.expected.allows(certificate) {
                        true => self.certificate = Some(certificate.to_vec()),
                        false => self.failure = Some(Failure::Fingerprint),
                    }
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    self.material = Some((material.to_vec(), profile));
                }
                dimpl::Output::Connected => self.is_connected = true,
                dimpl::Output::Timeout(at) => {
                    // What is only a moment to look again is none of ours.
                    let at = self.time.plain_of(at).filter(|_| self.has_spoken);
                    self.timeout = at.filter(|at| at.saturating_duration_since(now) < IDLE);
                    return self.conclude();
                }
                // Data of an application has no meaning here, and the end of the association none either:
                // calls end by signalling (RFC 5763, 6.7).
                _ => {}
            }
        }
    }

    /// Says keys once the peer has proved to own an expected certificate.
    fn conclude(&mut self) -> Option<Output> {
        if self.is_keyed || !self.is_connected || self.certificate.is_none() {
            return None;
        }
        let keys = self
            .material
            .take()
            .and_then(|(material, profile)| keys(self.role, &material, profile));
        self.is_keyed = keys.is_some();
        Some(match keys {
            Some(keys) => Output::Keyed(keys),
            None => {
                self.dtls = None;
                Output::Failed(Failure::NoProfile)
            }
        })
    }

    fn run(&mut self, now: Instant, step: impl FnOnce(&mut Dtls) -> Result<(), Error>) {
        let Some(dtls) = &mut self.dtls else { return };
        let at = match self.role {
            // A server's time is shown by its hello, and matters to nobody before.
            Role::Passive if !self.has_spoken => self.time.origin,
            _ => now,
        };
        let at = self.time.shifted(at);
        let result = draw::lend(&mut self.rng, || {
            dtls.handle_timeout(at)?;
            step(dtls)
        });
        self.failure = match result {
            Ok(()) => return,
            // Said of what is no answer to a first hello: anybody can send it, and nothing has changed.
            Err(Error::UnexpectedMessage(
                UnexpectedMessageError::UnrecognizedAutoServerResponse,
            )) => return,
            // What remains of an association with keys is of little use, and its end of no meaning.
            Err(_) if self.is_keyed => {
                self.dtls = None;
                None
            }
            Err(Error::Timeout(_)) => Some(Failure::Timeout),
            Err(_) => Some(Failure::Handshake),
        };
    }
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Association")
            .field("role", &self.role)
            .field("is_keyed", &self.is_keyed)
            .finish_non_exhaustive()
    }
}

/// Splits what was exported (RFC 5764, 4.2): the keys of client and server, then their salts.
fn keys(role: Role, material: &[u8], profile: SrtpProfile) -> Option<Keys> {
    let profile = match profile {
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AES128_CM_SHA1_80 => Profile::AesCm128HmacSha1_80,
        _ => return None,
    };
    let (key, salt) = (profile.key_len(), profile.salt_len());
    let (keys, salts) = material.split_at_checked(2 * key)?;
    let (of_client, of_server) = keys.split_at(key);
    let (client_salt, server_salt) = salts.split_at_checked(salt)?;
    let client = MasterKey::new(profile, &[of_client, client_salt].concat())?;
    let server = MasterKey::new(profile, &[of_server, server_salt].concat())?;
    Some(match role {
        Role::Active => Keys {
            local: client,
            remote: server,
        },
        Role::Passive => Keys {
            local: server,
            remote: client,
        },
    })
}

/// Our time and dimpl's. A hello of DTLS 1.2 shows the time of day, which dimpl takes from the machine's
/// clock; it does so by the distance of the `Instant` that it is given, so another one makes it show ours.
#[derive(Debug)]
struct Time {
    origin: Instant,
    shift: Duration,
}

impl Time {
    const fn plain(origin: Instant) -> Self {
        let shift = Duration::ZERO;
        Self { origin, shift }
    }

    /// The time in which a hello made at `origin` shows `unix`.
    fn showing(
        origin: Instant,
        unix: Duration,
        config: &Arc<Config>,
        certificate: &dimpl::DtlsCertificate,
    ) -> Self {
        let shown = shown_time(config, certificate, origin);
        // It counts seconds in 32 bits, as the hello does: never a step back.
        let wanted = unix.as_secs() as u32;
        let shift = shown.map_or(0, |shown| wanted.wrapping_sub(shown));
        let shift = Duration::from_secs(shift.into());
        Self { origin, shift }
    }

    fn shifted(&self, at: Instant) -> Instant {
        at.checked_add(self.shift).unwrap_or(at)
    }

    /// Our moment of one of dimpl's.
    fn plain_of(&self, at: Instant) -> Option<Instant> {
        let ahead = at.saturating_duration_since(self.shifted(self.origin));
        self.origin.checked_add(ahead)
    }
}

/// What a hello shows that is made at a moment: a client's of DTLS 1.2 is read, and thrown away.
fn shown_time(
    config: &Arc<Config>,
    certificate: &dimpl::DtlsCertificate,
    at: Instant,
) -> Option<u32> {
    let mut client = Dtls::new_12(config.clone(), certificate.clone(), at);
    client.set_active(true);
    client.handle_timeout(at).ok()?;
    let mut buffer = [0; BUFFER];
    let dimpl::Output::Packet(hello) = client.poll_output(&mut buffer) else {
        return None;
    };
    // Headers of the record and of the message, then the version (RFC 6347, 4.1 and 4.2.2).
    let shown = hello.get(13 + 12 + 2..)?.first_chunk()?;
    Some(u32::from_be_bytes(*shown))
}

/// How long a handshake may take. After about 31 s the last repetition of a flight is given up.
const HANDSHAKE: Duration = Duration::from_secs(40);
/// While nothing is due dimpl names a moment years ahead.
const IDLE: Duration = Duration::from_secs(3_600);
/// What leaves fits every path with 28 bytes of headers, and a relay's of 36.
const MTU: usize = 1_200;
const BUFFER: usize = 2_048;
/// Far above what one record holds.
const MAX_BUFFER: usize = 20_000;

#[cfg(test)]
mod tests;
