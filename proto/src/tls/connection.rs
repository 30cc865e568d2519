//! One TLS connection: ciphertext on one side, plaintext on the other.

use super::{Certificate, Context, verifier::Verifier};
use base::{Host, TlsError};
use bytes::{Bytes, BytesMut};
use rustls::{
    CertificateError, CipherSuite, ClientConnection, Error, PeerIncompatible, ProtocolVersion,
    ServerConnection,
    pki_types::{CertificateDer, ServerName},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
};

/// How a link is secured, after the handshake.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Security {
    /// `TLS 1.3`.
    pub version: String,
    /// The name of the cipher suite as in the RFCs.
    pub suite: String,
    /// What the peer presented, its own certificate first; empty if we are the server.
    pub chain: Vec<Certificate>,
}

/// Why a handshake came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Refusal {
    /// Why.
    pub error: TlsError,
    /// In the words of the TLS library.
    pub detail: String,
    /// What the peer presented, its own certificate first; empty if it came not so far.
    pub chain: Vec<Certificate>,
}

/// The TLS side of one link (RFC 8446, RFC 5246).
///
/// Feed it ciphertext by [`receive`](Self::receive), plaintext by [`write`](Self::write) and the levels
/// of what went out by [`sent`](Self::sent); take what to send by
/// [`take_ciphertext`](Self::take_ciphertext) after each. It has no timers: who opened the link bounds
/// the handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    tls: rustls::Connection,
    /// Of a server that we connect to.
    verifier: Option<Arc<Verifier>>,
    phase: Phase,
    outgoing: Outgoing,
    incoming: Incoming,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Handshaking,
    Open,
    /// Nothing more is heard: refused, broken, or ended by the peer.
    Over,
}

/// What a connection heard.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// The handshake is over.
    Secured(Result<Security, Refusal>),
    Plaintext(BytesMut),
    /// Nothing follows: the peer has ended it in order, or broke the protocol.
    Over(Option<TlsError>),
}

/// Levels of what was written: ciphertext that the system takes is plaintext that it has taken.
#[derive(Debug, Default)]
struct Outgoing {
    ciphertext: u64,
    plaintext: u64,
    /// The last level of plaintext in `ends`.
    noted: u64,
    /// Where in the ciphertext which level of plaintext ends; at most one for each write that the
    /// system has not taken.
    ends: VecDeque<(u64, u64)>,
}

/// Levels of what was read, and what the reader was told that may come.
#[derive(Debug, Default)]
struct Incoming {
    ciphertext: u64,
    plaintext: u64,
    consumed: u64,
    granted: u64,
}

impl Connection {
    /// The client's side: `name` goes into the hello, unless it is an address (RFC 6066, 3).
    pub(crate) fn client(context: &Context, name: &Host, peer: SocketAddr) -> Self {
        let named = match name {
            Host::Name(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                ServerName::try_from(name.to_owned()).ok()
            }
            Host::Ip(ip) => Some(ServerName::from(*ip)),
        };
        // What DNS could never have answered for cannot be in a hello either; the check of names is
        // not made with it.
        let name = named.unwrap_or_else(|| ServerName::from(peer.ip()));
        let (config, verifier) = context.client();
        let tls = ClientConnection::new(config, name).expect("versions and suites were checked");
        Self::new(tls.into(), Some(verifier))
    }

    /// The server's side; `None` if we have no certificate.
    pub(crate) fn server(context: &Context) -> Option<Self> {
        let tls = ServerConnection::new(context.server()?).ok()?;
        Some(Self::new(tls.into(), None))
    }

    fn new(mut tls: rustls::Connection, verifier: Option<Arc<Verifier>>) -> Self {
        // What may be written is bounded by the owner of the link.
        tls.set_buffer_limit(None);
        Self {
            tls,
            verifier,
            phase: Phase::Handshaking,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
        }
    }

    /// Takes ciphertext; says what is in it, in order.
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        if self.phase == Phase::Over {
            return heard;
        }
        self.incoming.ciphertext += bytes.len() as u64;
        while !bytes.is_empty() && self.phase != Phase::Over {
            // It takes as much as it has place for; what is in it is taken out before the next.
            let taken = self.tls.read_tls(&mut bytes);
            let state = match self.tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    self.fail(&error, &mut heard);
                    break;
                }
            };
            if self.phase == Phase::Handshaking && !self.tls.is_handshaking() {
                self.phase = Phase::Open;
                heard.push(Heard::Secured(Ok(self.security())));
            }
            self.read(state.plaintext_bytes_to_read(), &mut heard);
            if state.peer_has_closed() {
                // Only what is authenticated counts, so the handshake is over.
                self.phase = Phase::Over;
                self.tls.send_close_notify();
                heard.push(Heard::Over(None));
            } else if !matches!(taken, Ok(1..)) {
                // Neither full nor able to read: it would never end.
                self.fail(&Error::PeerSentOversizedRecord, &mut heard);
            }
        }
        heard
    }

    /// Encrypts plaintext.
    pub(crate) fn write(&mut self, plaintext: &[u8]) {
        if self.phase != Phase::Open {
            return;
        }
        // The buffer has no limit, so it takes everything.
        let _ = self.tls.writer().write_all(plaintext);
        self.outgoing.plaintext += plaintext.len() as u64;
    }

    /// Tells the peer that nothing follows (RFC 8446, 6.1).
    pub(crate) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.tls.send_close_notify();
        }
    }

    /// Takes what is to be sent.
    pub(crate) fn take_ciphertext(&mut self) -> Option<Bytes> {
        if !self.tls.wants_write() {
            return None;
        }
        let mut out = Vec::new();
        while self.tls.wants_write() {
            // A vector takes everything.
            let _ = self.tls.write_tls(&mut out);
        }
        let levels = &mut self.outgoing;
        levels.ciphertext += out.len() as u64;
        if levels.noted < levels.plaintext {
            levels.noted = levels.plaintext;
            levels.ends.push_back((levels.ciphertext, levels.plaintext));
        }
        Some(out.into())
    }

    /// Takes the level of ciphertext that the system has taken; returns the level of plaintext if it
    /// rose.
    pub(crate) fn sent(&mut self, total: u64) -> Option<u64> {
        let mut level = None;
        while let Some(&(ciphertext, plaintext)) = self.outgoing.ends.front() {
            if ciphertext > total {
                break;
            }
            level = Some(plaintext);
            self.outgoing.ends.pop_front();
        }
        level
    }

    /// Notes that the owner has consumed so many bytes of plaintext.
    pub(crate) fn consumed(&mut self, plaintext: u32) {
        self.incoming.consumed += u64::from(plaintext);
    }

    /// How many bytes of ciphertext more may come: as many as have come, without those whose
    /// plaintext the owner has not consumed. An unfinished record, at most 16 KiB, counts as
    /// consumed, else nothing could finish it.
    pub(crate) fn take_credit(&mut self) -> Option<u32> {
        let Incoming {
            ciphertext,
            plaintext,
            consumed,
            granted,
        } = self.incoming;
        let level = ciphertext.saturating_sub(plaintext.saturating_sub(consumed));
        let more = u32::try_from(level.saturating_sub(granted)).unwrap_or(u32::MAX);
        self.incoming.granted += u64::from(more);
        (more > 0).then_some(more)
    }

    /// True when nothing more will be heard.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn read(&mut self, len: usize, heard: &mut Vec<Heard>) {
        if len == 0 {
            return;
        }
        let mut plaintext = BytesMut::zeroed(len);
        // As many as it said.
        let read = self.tls.reader().read(&mut plaintext).unwrap_or(0);
        plaintext.truncate(read);
        self.incoming.plaintext += read as u64;
        heard.push(Heard::Plaintext(plaintext));
    }

    fn fail(&mut self, error: &Error, heard: &mut Vec<Heard>) {
        let reason = reason(error);
        heard.push(match self.phase {
            Phase::Handshaking => Heard::Secured(Err(self.refusal(reason, error.to_string()))),
            Phase::Open | Phase::Over => Heard::Over(Some(reason)),
        });
        self.phase = Phase::Over;
    }

    fn refusal(&self, error: TlsError, detail: String) -> Refusal {
        Refusal {
            error,
            detail,
            chain: self.chain(),
        }
    }

    fn security(&self) -> Security {
        let version = match self.tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        };
        let suite = self.tls.negotiated_cipher_suite();
        let suite = suite.map_or(CipherSuite::Unknown(0), |suite| suite.suite());
        Security {
            version: version.to_owned(),
            suite: format!("{suite:?}"),
            chain: self.chain(),
        }
    }

    fn chain(&self) -> Vec<Certificate> {
        let presented = self
            .verifier
            .as_deref()
            .map_or(&[][..], Verifier::presented);
        let read = |der: &CertificateDer<'_>| Certificate::read(der).unwrap_or_default();
        presented.iter().map(read).collect()
    }
}

/// What of rustls' errors a person can do something about.
fn reason(error: &Error) -> TlsError {
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TlsError::Expired,
            CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                TlsError::WrongPurpose
            }
            _ => TlsError::BadCertificate,
        },
        Error::NoCertificatesPresented => TlsError::BadCertificate,
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => TlsError::NoCommonVersion,
        Error::AlertReceived(alert) => TlsError::Alert((*alert).into()),
        Error::InvalidMessage(_) => TlsError::NotTls,
        _ => TlsError::Other,
    }
}

#[cfg(test)]
mod tests;
