//! The requests of a usage outside of calls: their headers, numbers and credentials.

use super::{invitation::routed, way::OwnWay};
use crate::{
    AccountId, HeaderName, Headers, IdentityId, Method, Request, Response, Uri,
    attempt::{AttemptId, Contact, Draft},
    auth::{Authentication, Credentials, Keyring, Origin, Refusal, Tries},
    config::Config,
    dialog::{Dialog, InDialog},
    header::{Address, CSeq, List},
    message::Description,
};
use base::{Rng, SeldomRng};
use std::{net::IpAddr, sync::Arc};

/// Who speaks with whom, and which way.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Parties {
    /// Who asks; a `tag` parameter is replaced.
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) request_uri: Uri,
    /// The route set, nearest first: an outbound proxy (RFC 3261, 8.1.2).
    pub(crate) route: Vec<Address>,
    /// What our Contact says; `None` for requests that have none.
    pub(crate) contact: Option<Box<Contact>>,
    pub(crate) credentials: Vec<Credentials>,
    /// Whose realms these are.
    pub(crate) account: Option<AccountId>,
    /// Who can challenge.
    pub(crate) origin: Origin,
    /// Whose certificate to show.
    pub(crate) identity: Option<IdentityId>,
}

impl Parties {
    /// Says who can challenge requests along a route: the account's own proxy, or anybody.
    pub(crate) const fn origin_of(route: &[Address]) -> Origin {
        match route.is_empty() {
            true => Origin::Elsewhere,
            false => Origin::OwnRoute,
        }
    }
}

/// The requests of one Call-ID, one at a time (RFC 3261, 8.1.1), authorised and, where they are
/// challenged, sent again (22.2).
#[derive(Debug)]
pub(crate) struct Exchange {
    parties: Parties,
    call_id: Box<str>,
    local_tag: Box<str>,
    /// The CSeq number of the last request.
    number: u32,
    next_tag: u32,
    running: Option<Running>,
    own_way: OwnWay,
    keyring: Keyring,
    authentication: Authentication,
    /// Why the last challenge was not answered, or the last success not believed.
    refusal: Option<Refusal>,
    rng: SeldomRng,
    config: Arc<Config>,
}

/// A request without its final response.
#[derive(Debug)]
struct Running {
    tag: u32,
    attempt: Option<AttemptId>,
    is_in_dialog: bool,
    /// Who can challenge it.
    origin: Origin,
    tries: Tries,
}

impl Exchange {
    /// Begins with a Call-ID and a tag of its own.
    pub(crate) fn new(mut parties: Parties, config: &Arc<Config>, rng: &mut Rng) -> Self {
        let mut rng = rng.fork_seldom();
        // Parameters of the headers are ours to choose, and a tag of the peer is not known yet.
        parties.from.params.clear();
        parties.to.params.clear();
        Self {
            keyring: Keyring::preferring(
                std::mem::take(&mut parties.credentials),
                config.prefer_strongest,
            ),
            own_way: OwnWay::new(parties.origin, &parties.route),
            parties,
            call_id: rng.draw(|rng| rng.token(CALL_ID_LEN)).into(),
            local_tag: rng.draw(|rng| rng.token(TAG_LEN)).into(),
            number: 0,
            next_tag: 0,
            running: None,
            authentication: Authentication::new(),
            refusal: None,
            rng,
            config: Arc::clone(config),
        }
    }

    /// The account whose usage this is, and what this one knows of its realms.
    pub(crate) fn keyring(&mut self) -> Option<(AccountId, &mut Keyring)> {
        Some((self.parties.account?, &mut self.keyring))
    }

    /// The account whose usage this is.
    pub(crate) const fn account(&self) -> Option<AccountId> {
        self.parties.account
    }

    /// Says whose usage this is, and who answers challenges.
    pub(crate) fn set_account(&mut self, account: AccountId, credentials: Vec<Credentials>) {
        self.parties.account = Some(account);
        if let Some(contact) = &mut self.parties.contact {
            contact.account = Contact::shown(Some(account), &self.parties.from);
        }
        self.keyring = Keyring::preferring(credentials, self.config.prefer_strongest);
    }

    /// The same parties, Call-ID and tag, for another dialog that the same request has made.
    pub(crate) fn sibling(&self, rng: &mut Rng) -> Self {
        Self {
            parties: self.parties.clone(),
            call_id: self.call_id.clone(),
            local_tag: self.local_tag.clone(),
            number: self.number,
            next_tag: 0,
            running: None,
            own_way: self.own_way.clone(),
            keyring: self.keyring.clone(),
            authentication: self.authentication.clone(),
            refusal: None,
            rng: rng.fork_seldom(),
            config: Arc::clone(&self.config),
        }
    }

    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    pub(crate) fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The number of the last request outside of dialogs.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// What our Contact says.
    pub(crate) fn contact(&self) -> Option<&Contact> {
        self.parties.contact.as_deref()
    }

    /// Makes the next request outside of dialogs. Any request that runs is forgotten.
    pub(crate) fn request(
        &mut self,
        method: Method,
        further: &Headers,
        body: Option<Description>,
    ) -> (u32, Box<Draft>) {
        let Parties {
            from,
            to,
            request_uri,
            route,
            ..
        } = &self.parties;
        self.number = self.number.saturating_add(1);
        let (mut request, hop) = routed(method.clone(), request_uri.clone(), route);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
        headers.push(HeaderName::From, from.clone().with_tag(&self.local_tag));
        headers.push(HeaderName::To, to);
        headers.push(HeaderName::CallId, &*self.call_id);
        headers.push(HeaderName::CSeq, CSeq::new(self.number, method));
        self.start(request, hop, false, further, body)
    }

    /// Sends a request of a dialog that this exchange made.
    pub(crate) fn request_in_dialog(
        &mut self,
        made: InDialog,
        further: &Headers,
        body: Option<Description>,
    ) -> (u32, Box<Draft>) {
        self.start(made.request, made.next_hop, true, further, body)
    }

    fn start(
        &mut self,
        mut request: Request,
        hop: Uri,
        is_in_dialog: bool,
        further: &Headers,
        body: Option<Description>,
    ) -> (u32, Box<Draft>) {
        let origin = match is_in_dialog {
            true => self.own_way.origin_in_dialog(&hop),
            false => self.own_way.origin(),
        };
        if !self.config.user_agent.is_empty() {
            let name = self.config.user_agent.as_str();
            request.headers.push(HeaderName::UserAgent, name);
        }
        for field in further.iter() {
            request.headers.push(field.name, field.value);
        }
        if let Some(description) = body {
            request.set_body(&description.content_type, description.body);
        }
        self.authentication
            .authorize(&self.keyring, &mut request, origin);
        let tag = self.next_tag;
        self.next_tag += 1;
        self.refusal = None;
        self.running = Some(Running {
            tag,
            attempt: None,
            is_in_dialog,
            origin,
            tries: Tries::default(),
        });
        let draft = Draft {
            request,
            hop,
            contact: self.parties.contact.as_deref().cloned(),
            prefer: None,
            identity: self.parties.identity,
        };
        (tag, Box::new(draft))
    }

    /// The endpoint names the attempt of a request.
    pub(crate) fn attempt_started(&mut self, tag: u32, attempt: AttemptId) {
        if let Some(running) = self.running.as_mut().filter(|running| running.tag == tag) {
            running.attempt = Some(attempt);
        }
    }

    /// A request has gone to this address.
    pub(crate) fn sent(&mut self, tag: u32, address: IpAddr) {
        let running = self.running.as_mut().filter(|running| running.tag == tag);
        match running {
            Some(running) if running.is_in_dialog => {
                running.origin = match running.origin {
                    Origin::Elsewhere => self.own_way.origin_at(address),
                    ours => ours,
                };
            }
            Some(_) => self.own_way.went_to(address),
            None => {}
        }
    }

    /// True if `tag` is that of the request that runs: what is told of older ones is stale.
    pub(crate) fn is_running(&self, tag: u32) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.tag == tag)
    }

    /// True if no request waits for its final response.
    #[expect(dead_code, reason = "for usages with dialogs and states")]
    pub(crate) const fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// The request that runs has its final response, or will have none.
    pub(crate) fn finish(&mut self, response: Option<&Response>) {
        self.running = None;
        if let Some(response) = response.filter(|response| response.status.is_success()) {
            let trusted = self
                .authentication
                .handle_success(&mut self.keyring, response);
            self.refusal = trusted.err();
        }
    }

    /// A request was challenged (401, 407): makes it ready to go again, with the next number, of
    /// `dialog` if it is in one, and credentials. False if there is nothing to show: the response is
    /// the outcome, and [`refusal`](Self::refusal) says why.
    pub(crate) fn answer_challenge(
        &mut self,
        tag: u32,
        response: &Response,
        request: &mut Request,
        dialog: Option<&mut Dialog>,
    ) -> bool {
        let Some(running) = self.running.as_mut().filter(|running| running.tag == tag) else {
            return false;
        };
        let answered = self.rng.draw(|rng| {
            self.authentication.handle_challenge(
                &mut self.keyring,
                rng,
                response,
                running.origin,
                &mut running.tries,
            )
        });
        let origin = running.origin;
        if let Err(refusal) = answered {
            self.refusal = Some(refusal);
            return false;
        }
        let number = match dialog {
            // Only its number is wanted.
            Some(dialog) => dialog
                .request(Method::Options)
                .ok()
                .and_then(|_| dialog.local_sequence()),
            None => {
                self.number = self.number.saturating_add(1);
                Some(self.number)
            }
        };
        let Some(number) = number else { return false };
        let method = request.method.clone();
        request
            .headers
            .insert(HeaderName::CSeq, CSeq::new(number, method));
        self.authentication
            .authorize(&self.keyring, request, origin);
        true
    }

    /// Why the last challenge was not answered, or the last success not believed.
    pub(crate) const fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }
}

/// The headers without the extensions that a 420 does not know (RFC 3261, 8.1.3.5); `None` if none of
/// them was asked for here. `refused`: those of the 420.
pub(crate) fn without_unsupported(headers: &Headers, refused: &Headers) -> Option<Headers> {
    let unknown = |option: &[u8]| {
        refused
            .values(HeaderName::Unsupported)
            .any(|unknown| unknown.eq_ignore_ascii_case(option))
    };
    let mut changed = headers.clone();
    let mut is_changed = false;
    for name in [HeaderName::Require, HeaderName::ProxyRequire] {
        let all: Vec<&[u8]> = headers.values(name).collect();
        let left: Vec<&[u8]> = all
            .iter()
            .copied()
            .filter(|option| !unknown(option))
            .collect();
        if left.len() == all.len() {
            continue;
        }
        is_changed = true;
        changed.remove(name);
        if !left.is_empty() {
            changed.push(name, List(left));
        }
    }
    is_changed.then_some(changed)
}

/// Characters of a tag, five bits each (RFC 3261, 19.3 asks for 32 bits).
const TAG_LEN: usize = 16;
/// Characters of a Call-ID, five bits each (RFC 3261, 8.1.1.4: unique over space and time).
const CALL_ID_LEN: usize = 26;
/// RFC 3261, 8.1.1.6.
const MAX_FORWARDS: u32 = 70;
