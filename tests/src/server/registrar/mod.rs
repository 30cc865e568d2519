//! A registrar: RFC 3261, 10.3, with RFC 3327 (Path), 3608 (Service-Route), 5626 (outbound) and
//! 5627 (GRUU).

mod binding;

use base::Transport;
use sip::{
    HeaderName, Method, Request, Response, Status, Uri,
    header::{ContactValue, List},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{gate::Gate, wire::Flow};
use binding::{Binding, Wish};

/// What a [`Registrar`] grants.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// Shorter wishes are refused with 423.
    pub min_expires: u32,
    /// Longer wishes are cut.
    pub max_expires: u32,
    /// Without a wish.
    pub default_expires: u32,
    /// A new binding replaces all others of its user.
    pub one_binding: bool,
    /// What Service-Route says (RFC 3608), nearest first.
    pub service_route: Vec<String>,
    /// GRUUs are assigned to who supports them (RFC 5627).
    pub gruu: bool,
    /// Several flows of one user agent are kept apart (RFC 5626).
    pub outbound: bool,
    /// What Flow-Timer says beside it, in seconds.
    pub flow_timer: Option<u32>,
    /// Whoever shows the credentials of one user may register for no other.
    pub own_address_only: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_expires: 60,
            max_expires: 7_200,
            default_expires: 3_600,
            one_binding: false,
            service_route: Vec::new(),
            gruu: true,
            outbound: true,
            flow_timer: None,
            own_address_only: true,
        }
    }
}

/// How a [`Registrar`] misbehaves.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Quirk {
    /// It says nothing.
    Silent,
    /// It answers everything so, without looking at it.
    Answers(Status),
    /// Its 200 does not name the binding that was asked for.
    WithoutBinding,
    /// Its 200 says that the binding has already expired.
    ZeroExpires,
    /// Its 200 grants so many seconds, whatever was wished and kept.
    Grants(u32),
    /// Its 200 names a binding of somebody else first.
    Foreign(Uri),
    /// It proves a wrong secret (RFC 7616, 3.5).
    WrongProof,
}

/// A registrar for one domain, without sockets: a [`Proxy`](super::Proxy) hands it the REGISTERs for
/// its domain, and asks it where users are.
#[derive(Debug)]
pub struct Registrar {
    rules: Rules,
    gate: Option<Gate>,
    quirk: Option<Quirk>,
    users: BTreeMap<String, Vec<Binding>>,
    /// The domain as its last REGISTER named it: what GRUUs are made of.
    domain: String,
    serial: u32,
    granted: u64,
}

/// Where a user can be reached.
pub(super) struct Place {
    pub(super) uri: Uri,
    /// The proxies on the way, nearest first (RFC 3327).
    pub(super) path: Vec<String>,
    pub(super) transport: Transport,
    pub(super) peer: SocketAddr,
}

impl Registrar {
    /// Accepts everybody, until there is a [`Gate`].
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            gate: None,
            quirk: None,
            users: BTreeMap::new(),
            domain: String::new(),
            serial: 0,
            granted: 0,
        }
    }

    /// Wants credentials from here on.
    pub fn set_gate(&mut self, gate: Gate) {
        self.gate = Some(gate);
    }

    /// The gate, to add users and to see what it did.
    pub const fn gate(&mut self) -> Option<&mut Gate> {
        self.gate.as_mut()
    }

    /// What it grants, to be changed.
    pub const fn rules(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// Misbehaves from here on, or no more.
    pub fn set_quirk(&mut self, quirk: Option<Quirk>) {
        self.quirk = quirk;
    }

    /// How often it granted or removed a binding.
    pub const fn granted(&self) -> u64 {
        self.granted
    }

    /// The contacts of a user whose time is not over.
    pub fn contacts(&self, now: Instant, user: &str) -> Vec<Uri> {
        let bindings = self.users.get(user).into_iter().flatten();
        bindings
            .filter(|binding| binding.until > now)
            .map(|binding| binding.contact.uri.clone())
            .collect()
    }

    /// Loses all bindings and nonces, as a restart does.
    pub fn restart(&mut self) {
        self.users.clear();
        if let Some(gate) = &mut self.gate {
            gate.restart();
        }
    }

    /// Where a user is; `None` if there is no such user. `gr` chooses one instance (RFC 5627, 5.1).
    pub(super) fn places(&self, now: Instant, uri: &Uri) -> Option<Vec<Place>> {
        let user = uri.user().unwrap_or_default();
        let is_user = self.gate.as_ref().is_some_and(|gate| gate.knows(user));
        let bindings = match self.users.get(user) {
            Some(bindings) => &bindings[..],
            None if is_user => &[],
            None => return None,
        };
        let wanted = uri.params().get("gr").and_then(|gr| gr.text());
        let places = bindings.iter().filter(|binding| {
            let is_wanted = wanted
                .as_deref()
                .is_none_or(|wanted| binding.urn() == Some(wanted));
            is_wanted && binding.until > now
        });
        let place = |binding: &Binding| Place {
            uri: binding.contact.uri.clone(),
            path: binding.path.clone(),
            transport: binding.flow.transport,
            peer: binding.flow.peer,
        };
        Some(places.map(place).collect())
    }

    /// Answers a REGISTER; `None` if it is told to be silent.
    pub(super) fn register(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
    ) -> Option<Response> {
        debug_assert_eq!(request.method, Method::Register);
        match &self.quirk {
            Some(Quirk::Silent) => return None,
            Some(Quirk::Answers(status)) => {
                return Some(Response::to_request(request, *status, Some(TAG)));
            }
            _ => {}
        }
        let response = self.admit(now, flow, request);
        Some(response.unwrap_or_else(|refusal| *refusal))
    }

    /// RFC 3261, 10.3, items 1 to 5.
    fn admit(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
    ) -> Result<Response, Box<Response>> {
        let refuse = |status| Box::new(Response::to_request(request, status, Some(TAG)));
        let headers = &request.headers;
        let unknown: Vec<&[u8]> = headers
            .values(HeaderName::Require)
            .filter(|option| !KNOWN.iter().any(|known| option.eq_ignore_ascii_case(known)))
            .collect();
        if !unknown.is_empty() {
            let mut response = refuse(Status::BAD_EXTENSION);
            response
                .headers
                .push(HeaderName::Unsupported, List(unknown));
            return Err(response);
        }
        let verified = match &mut self.gate {
            Some(gate) => Some(gate.check(now, request, TAG)?),
            None => None,
        };
        let to = headers.to().map_err(|_| refuse(Status::BAD_REQUEST))?;
        let user = to.uri.user().unwrap_or_default().to_owned();
        if let Some(verified) = &verified
            && self.rules.own_address_only
            && verified.username != user
        {
            return Err(refuse(Status::FORBIDDEN));
        }
        to.uri.host_str().clone_into(&mut self.domain);
        self.bind(now, flow, request, &user)?;
        let mut response = self.granted_response(now, request, &user);
        if let Some(verified) = verified {
            verified.push_info(&mut response.headers, b"");
            if self.quirk == Some(Quirk::WrongProof) {
                response.headers.insert(
                    HeaderName::AuthenticationInfo,
                    "qop=auth, rspauth=\"00000000000000000000000000000000\"",
                );
            }
        }
        Ok(response)
    }

    /// RFC 3261, 10.3, items 6 and 7: all wishes or none.
    fn bind(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        user: &str,
    ) -> Result<(), Box<Response>> {
        let refuse = |status| Box::new(Response::to_request(request, status, Some(TAG)));
        let bad = || refuse(Status::BAD_REQUEST);
        let headers = &request.headers;
        let contacts: Result<Vec<_>, _> = headers.list(HeaderName::Contact).collect();
        let contacts: Vec<ContactValue<'_>> = contacts.map_err(|_| bad())?;
        let expires = headers
            .typed::<sip::header::Expires>()
            .and_then(Result::ok)
            .map(|expires| expires.0);
        let mut bindings: Vec<Binding> = self
            .users
            .get(user)
            .into_iter()
            .flatten()
            .filter(|binding| binding.until > now)
            .cloned()
            .collect();
        if contacts.contains(&ContactValue::All) {
            if contacts.len() != 1 || expires != Some(0) {
                return Err(bad());
            }
            for binding in &bindings {
                binding.check_order(request).map_err(refuse)?;
            }
            bindings.clear();
        }
        for contact in contacts {
            let ContactValue::Address(contact) = contact else {
                continue;
            };
            let own = contact.params.token("expires").map(|own| own.parse().ok());
            let wish = own
                .flatten()
                .or(expires)
                .unwrap_or(self.rules.default_expires);
            if wish > 0 && wish < self.rules.min_expires {
                let mut response = refuse(Status::INTERVAL_TOO_BRIEF);
                response
                    .headers
                    .push(HeaderName::MinExpires, self.rules.min_expires);
                return Err(response);
            }
            let seconds = wish.min(self.rules.max_expires);
            self.serial += 1;
            let wish = Wish {
                contact: contact.to_address(),
                until: now + Duration::from_secs(seconds.into()),
                flow,
                outbound: self.rules.outbound,
                serial: self.serial,
            };
            let binding = Binding::of(request, wish).ok_or_else(bad)?;
            if let Some(old) = bindings.iter().find(|old| old.is_same(&binding)) {
                old.check_order(request).map_err(refuse)?;
            }
            bindings.retain(|old| !old.is_same(&binding));
            if seconds > 0 {
                if self.rules.one_binding {
                    bindings.clear();
                }
                bindings.push(binding);
            }
            self.granted += 1;
        }
        self.users.insert(user.to_owned(), bindings);
        Ok(())
    }

    /// RFC 3261, 10.3, item 8.
    fn granted_response(&self, now: Instant, request: &Request, user: &str) -> Response {
        let mut response = Response::to_request(request, Status::OK, Some(TAG));
        let headers = &mut response.headers;
        if let Some(Quirk::Foreign(uri)) = &self.quirk {
            let value = format!("<{}>;expires=3600", uri.as_str());
            headers.push(HeaderName::Contact, value.as_str());
        }
        let gruu = self.rules.gruu && request.headers.has_token(HeaderName::Supported, "gruu");
        let asked: Vec<_> = request
            .headers
            .list::<ContactValue<'_>>(HeaderName::Contact)
            .flatten()
            .collect();
        let is_asked = |binding: &Binding| {
            asked.iter().any(|asked| match asked {
                ContactValue::Address(asked) => asked.uri.equivalent(binding.contact.uri.as_ref()),
                ContactValue::All => false,
            })
        };
        let bindings = self.users.get(user).into_iter().flatten();
        for binding in bindings.filter(|binding| binding.until > now) {
            if self.quirk == Some(Quirk::WithoutBinding) && is_asked(binding) {
                continue;
            }
            let left = match self.quirk {
                Some(Quirk::ZeroExpires) => 0,
                Some(Quirk::Grants(seconds)) => u64::from(seconds),
                _ => (binding.until.saturating_duration_since(now) + HALF).as_secs(),
            };
            let domain = gruu.then_some((user, &*self.domain));
            let contact = binding.in_response(left, domain);
            headers.push(HeaderName::Contact, contact);
        }
        headers.copy_from(&request.headers, HeaderName::Path);
        for route in &self.rules.service_route {
            headers.push(HeaderName::ServiceRoute, route.as_str());
        }
        let has_flows = self
            .users
            .get(user)
            .into_iter()
            .flatten()
            .any(|b| b.reg_id.is_some());
        if has_flows && request.headers.has_token(HeaderName::Supported, "outbound") {
            // RFC 5626, 6
            headers.push(HeaderName::Require, "outbound");
            if let Some(seconds) = self.rules.flow_timer {
                headers.push("Flow-Timer", seconds);
            }
        }
        response
    }
}

/// Rounds to the nearest second.
const HALF: Duration = Duration::from_millis(500);
const TAG: &str = "registrar";
const KNOWN: [&[u8]; 3] = [b"path", b"gruu", b"outbound"];
