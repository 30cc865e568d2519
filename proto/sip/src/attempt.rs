//! One request on its way to a final response: resolve, targets in order, flow, a new branch for each
//! (RFC 3263, 4.3), size (RFC 3261, 18.1.1), silence, transport errors and 503.
//!
//! An attempt is what happened so far; the endpoint acts on it. Every usage sends through attempts
//! and through nothing else. The ACK of a 2xx is an attempt, too: it has no transaction and no
//! response, and is kept so that the same bytes can go again (RFC 3261, 13.2.2.4).

mod avoid;
mod race;

pub(crate) use avoid::Avoided;
pub(crate) use race::Race;

use crate::{
    AccountId, FlowId, IdentityId, LookupError, LookupId, Request, Response, SipUri, TransactionId,
    Uri, header::Address, id::Party, transaction::Path,
};
use base::{Host, HostPort, LinkError, Target, Transport};
use bytes::Bytes;
use std::{collections::VecDeque, net::SocketAddr};

base::ids! {
    /// A request on its way.
    AttemptId;
}

/// Whose request it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Owner {
    pub(crate) party: Party,
    /// The number that the owner gave it.
    pub(crate) tag: u32,
}

/// What our Contact says beside the address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Contact {
    pub(crate) user: Option<String>,
    /// `sips` where the request is (RFC 3261, 8.1.1.8).
    pub(crate) secure: bool,
    pub(crate) params: Vec<(String, Option<String>)>,
    /// How we are seen from outside where datagrams leave by an address translator.
    pub(crate) mapped: Option<SocketAddr>,
    /// This very URI, whatever the way.
    pub(crate) uri: Option<Uri>,
    /// Whose GRUU stands in the place of the address, while there is one (RFC 5627, 4.4).
    pub(crate) account: Option<AccountId>,
}

/// What a registrar that has our binding has said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reach {
    /// The public GRUU (RFC 5627).
    pub(crate) gruu: Option<Box<Uri>>,
    /// It keeps to RFC 5626.
    pub(crate) is_outbound: bool,
}

impl Contact {
    /// The account whose GRUU may be shown beside this From: not to whom we do not want to be known (RFC
    /// 5627, 4.4 and 10.3; RFC 3323, 4.1.1.3).
    pub(crate) fn shown(account: Option<AccountId>, from: &Address) -> Option<AccountId> {
        let is_anonymous = from.uri.host().is_some_and(
            |host| matches!(host, Host::Name(name) if name.eq_ignore_ascii_case(ANONYMOUS)),
        );
        account.filter(|_| !is_anonymous)
    }
}

/// A request without what depends on the way: Via and Contact.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) request: Request,
    /// Where to look for the next hop (RFC 3261, 8.1.2).
    pub(crate) hop: Uri,
    pub(crate) contact: Option<Contact>,
    /// A way that is known to lead to the next hop.
    pub(crate) prefer: Option<(FlowId, SocketAddr)>,
    pub(crate) identity: Option<IdentityId>,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) owner: Owner,
    pub(crate) draft: Draft,
    pub(crate) stage: Stage,
    /// The resolver was asked for the next hop.
    pub(crate) is_resolved: bool,
    /// Targets not tried yet.
    pub(crate) candidates: VecDeque<Candidate>,
    /// Transactions that have not ended, the current one included.
    pub(crate) live: Vec<TransactionId>,
    /// The owner does not want its result any more.
    pub(crate) withdrawal: Option<Withdrawal>,
    /// What its CANCEL gives as the reason (RFC 3326).
    pub(crate) reason: Option<Box<str>>,
    /// A target has taken the call.
    pub(crate) is_taken: bool,
    /// Why the last target failed.
    pub(crate) failure: Option<Failure>,
    /// The 503 that will be the outcome if no other target answers.
    pub(crate) unavailable: Option<Box<Response>>,
}

/// How an INVITE that is not wanted any more comes to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Withdrawal {
    /// By CANCEL (RFC 3261, 9.1).
    Cancel,
    /// By the end of its dialog, which makes the peer answer it (RFC 3261, 15.1.2). A proxy that has
    /// forgotten it does not: from its provisional response on it has the time of a cancelled one.
    Leave,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Nothing has happened.
    New,
    /// The resolver was asked.
    Resolving(LookupId),
    /// A connection comes up, or two.
    Connecting(Race),
    /// A transaction waits for its final response.
    Trying {
        transaction: TransactionId,
        path: Path,
        /// A response came: the target lives.
        answered: bool,
    },
    /// An ACK went this way.
    Sent { path: Path, message: Bytes },
    /// The owner has the outcome; older transactions may still bring something.
    Done,
}

/// A target, with what was decided about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) target: Target,
    /// The way to it, if it needs no choice.
    pub(crate) flow: Option<FlowId>,
    /// Send a datagram however large: the connection failed (RFC 3261, 18.1.1).
    pub(crate) any_size: bool,
}

impl Candidate {
    pub(crate) const fn new(target: Target) -> Self {
        Self {
            target,
            flow: None,
            any_size: false,
        }
    }
}

/// Why a request has no final response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// Timer B or F: to be treated as 408 (RFC 3261, 8.1.3.1).
    Timeout,
    /// To be treated as 503 (RFC 3261, 8.1.3.1).
    Transport(Option<LinkError>),
    /// No target.
    Lookup(LookupError),
    /// Cancelled before anything was sent.
    Cancelled,
}

impl Attempt {
    pub(crate) const fn new(owner: Owner, draft: Draft) -> Self {
        Self {
            owner,
            draft,
            stage: Stage::New,
            is_resolved: false,
            candidates: VecDeque::new(),
            live: Vec::new(),
            withdrawal: None,
            reason: None,
            is_taken: false,
            failure: None,
            unavailable: None,
        }
    }

    /// The transaction whose final response will be the outcome.
    pub(crate) const fn current(&self) -> Option<TransactionId> {
        match self.stage {
            Stage::Trying { transaction, .. } => Some(transaction),
            Stage::New
            | Stage::Resolving(_)
            | Stage::Connecting(_)
            | Stage::Sent { .. }
            | Stage::Done => None,
        }
    }

    /// True if the next target may be tried beside the connection that is coming up.
    pub(crate) fn has_rival(&self) -> bool {
        match (&self.stage, self.candidates.front()) {
            (Stage::Connecting(race), Some(next)) => {
                next.flow.is_none() && race.admits(&next.target)
            }
            _ => false,
        }
    }

    /// Takes that target.
    pub(crate) fn take_rival(&mut self) -> Option<Candidate> {
        match self.has_rival() {
            true => self.candidates.pop_front(),
            false => None,
        }
    }

    /// True if nothing can come of it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Done && self.live.is_empty()
    }
}

/// The URI of our Contact on a way.
pub(crate) fn contact_uri(contact: &Contact, transport: Transport, here: &HostPort) -> Option<Uri> {
    if contact.uri.is_some() {
        return contact.uri.clone();
    }
    let mapped = contact.mapped.filter(|_| transport == Transport::Udp);
    let (host, port) = match mapped {
        Some(mapped) => (Host::Ip(mapped.ip()), Some(mapped.port())),
        None => (here.host.clone(), here.port),
    };
    let mut uri = SipUri::new(host);
    uri.user.clone_from(&contact.user);
    uri.port = port;
    uri.secure = contact.secure;
    // RFC 3261, 19.1.4: UDP is meant when nothing is said; for TLS `sips` or `transport=tls`.
    if transport != Transport::Udp && !(contact.secure && transport == Transport::Tls) {
        // RFC 7118, 5.2: there is no other name for secured WebSockets.
        let name = match transport {
            Transport::Wss => Transport::Ws.param_name(),
            transport => transport.param_name(),
        };
        uri.params
            .push(("transport".to_owned(), Some(name.to_owned())));
    }
    // Escaping leaves nothing that could not stand in a URI; a user part beyond the limits is left out.
    uri.to_uri()
        .or_else(|_| SipUri::new(here.host.clone()).to_uri())
        .ok()
}

/// RFC 3323, 4.1.1.3
const ANONYMOUS: &str = "anonymous.invalid";
