//! Where a request goes: RFC 3261, 16.4 to 16.6.

use base::{Host, Transport};
use bytes::Bytes;
use sip::{HeaderName, Method, Request, Status, Uri, header::NameAddr};
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use super::{
    Proxy, RecordRoute,
    spiral::{Return, second_part},
};
use crate::server::{registrar::Place, wire::Flow};

/// One place to forward to.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    /// The Request-URI there.
    pub(super) uri: Uri,
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
    /// Route values there.
    pub(super) route: Vec<Bytes>,
}

impl Proxy {
    /// Finds the next hops and takes out of the request what was for us.
    pub(super) fn route(&self, now: Instant, request: &mut Request) -> Result<Vec<Hop>, Status> {
        let hops = request.headers.max_forwards().ok().flatten();
        let hops = hops.unwrap_or(70);
        // RFC 3261, 16.3
        let Some(hops) = hops.checked_sub(1) else {
            return Err(Status::TOO_MANY_HOPS);
        };
        request
            .headers
            .insert(HeaderName::MaxForwards, u32::from(hops));
        let mut route: Vec<Bytes> = request
            .headers
            .values(HeaderName::Route)
            .map(Bytes::copy_from_slice)
            .collect();
        request.headers.remove(HeaderName::Route);
        // RFC 3261, 16.4: the Request-URI is what we put into a Record-Route, so a strict router (or
        // a peer that took us for one) sent this.
        while self.is_our_route(&request.uri) && !route.is_empty() {
            let next = match self.record_route {
                RecordRoute::Strict => Some(route.remove(0)),
                RecordRoute::Loose | RecordRoute::Off => route.pop(),
            };
            request.uri = next
                .and_then(|value| uri_of(&value))
                .ok_or(Status::BAD_REQUEST)?;
        }
        while route
            .first()
            .and_then(|value| uri_of(value))
            .is_some_and(|uri| self.is_ours(&uri))
        {
            route.remove(0);
        }
        if let Some(top) = route.first() {
            let next = uri_of(top).ok_or(Status::BAD_REQUEST)?;
            if !next.params().contains("lr") {
                // RFC 3261, 16.6, item 6
                let target = format!("<{}>", request.uri.as_str());
                route.push(target.into());
                route.remove(0);
                return Ok(vec![self.hop(next.clone(), &next, route)?]);
            }
            return Ok(vec![self.hop(request.uri.clone(), &next, route)?]);
        }
        if !self.is_ours(&request.uri) {
            let uri = request.uri.clone();
            return Ok(vec![self.hop(uri.clone(), &uri, route)?]);
        }
        let hops = self.find(now, &request.uri).ok_or(Status::NOT_FOUND)?;
        match hops.is_empty() {
            true => Err(Status::TEMPORARILY_UNAVAILABLE),
            false => Ok(hops),
        }
    }

    /// Where a user of ours is (RFC 3261, 16.5): where the test says, else what is registered. `None`
    /// if there is no such user.
    fn find(&self, now: Instant, uri: &Uri) -> Option<Vec<Hop>> {
        if let Some(contacts) = self.bindings.get(uri.user().unwrap_or_default()) {
            let hops = contacts
                .iter()
                .filter_map(|uri| self.hop(uri.clone(), uri, Vec::new()).ok());
            return Some(hops.collect());
        }
        let places = self.registrar.as_ref()?.places(now, uri)?;
        let hop = |place: Place| {
            let route: Vec<Bytes> = place.path.iter().cloned().map(Bytes::from).collect();
            match route.first().and_then(|first| uri_of(first)) {
                Some(first) => self.hop(place.uri, &first, route).ok(),
                // RFC 5626, 5.3: the way that the REGISTER came is the one that leads back.
                None => Some(Hop {
                    uri: place.uri,
                    transport: place.transport,
                    address: place.peer,
                    route,
                }),
            }
        };
        Some(places.into_iter().filter_map(hop).collect())
    }

    /// The request as it leaves for a hop, and its branch, which ends with the
    /// [`second_part`] of the request that was received.
    pub(super) fn forwarded(
        &self,
        request: &Request,
        second_part: &str,
        incoming: Flow,
        hop: &Hop,
    ) -> (Request, String) {
        let mut copy = request.clone();
        copy.uri = hop.uri.clone();
        for value in &hop.route {
            copy.headers.push(HeaderName::Route, &value[..]);
        }
        if copy.method == Method::Invite || copy.method == Method::Subscribe {
            self.record(&mut copy, incoming, hop);
        }
        let branch = format!("{}.{second_part}", branch(request, hop));
        let here = self.wire.address_for(hop.address);
        let via = sip::header::Via::ours(hop.transport, &here.into(), &branch);
        copy.headers.insert_first(HeaderName::Via, via.as_str());
        (copy, branch)
    }

    /// RFC 3261, 16.11: an ACK to a 2xx, or a CANCEL of what is forgotten.
    pub(super) fn forward_stateless(&mut self, now: Instant, flow: Flow, mut request: Request) {
        let second_part = second_part(&request);
        let is_loop = self.has_returned(&request) == Some(Return::Loop);
        let (Ok(hops), false) = (self.route(now, &mut request), is_loop) else {
            self.stats.dropped += 1;
            return;
        };
        for hop in hops {
            let (copy, _) = self.forwarded(&request, &second_part, flow, &hop);
            self.stats.stateless += 1;
            self.wire
                .send(hop.transport, hop.address, None, copy.to_bytes());
        }
    }

    pub(super) fn resolve(&self, host: &Host) -> Option<IpAddr> {
        match host {
            Host::Ip(ip) => Some(*ip),
            Host::Name(name) => self.names.get(&name.to_ascii_lowercase()).copied(),
        }
    }

    /// RFC 3261, 16.6, item 4; on each side of a change of transport or family the peer must find its own
    /// (RFC 5658, 5).
    fn record(&self, request: &mut Request, incoming: Flow, hop: &Hop) {
        let lr = match self.record_route {
            RecordRoute::Off => return,
            RecordRoute::Loose => ";lr",
            RecordRoute::Strict => "",
        };
        let incoming = (incoming.transport, self.wire.address_for(incoming.peer));
        let outgoing = (hop.transport, self.wire.address_for(hop.address));
        let double = incoming != outgoing;
        let r2 = if double { ";r2=on" } else { "" };
        let value = |(transport, address): (Transport, SocketAddr)| {
            format!("<sip:{address};transport={transport}{lr}{r2}>")
        };
        let headers = &mut request.headers;
        if double {
            headers.insert_first(HeaderName::RecordRoute, value(incoming).as_str());
        }
        headers.insert_first(HeaderName::RecordRoute, value(outgoing).as_str());
    }

    fn hop(&self, uri: Uri, next: &Uri, route: Vec<Bytes>) -> Result<Hop, Status> {
        let transport = match next.transport() {
            Some(transport) if transport == self.wire.stream() => transport,
            Some(Transport::Udp) | None => Transport::Udp,
            Some(_) => return Err(Status::SERVICE_UNAVAILABLE),
        };
        let host_port = next.host_port().ok_or(Status::UNSUPPORTED_URI_SCHEME)?;
        if self.is_ours(next) {
            // Another user of ours: the request spirals.
            return Ok(Hop {
                uri,
                transport,
                address: self.wire.address(),
                route,
            });
        }
        let maddr = next
            .params()
            .get("maddr")
            .and_then(|param| param.value?.parse().ok());
        let ip = maddr.or_else(|| self.resolve(&host_port.host));
        // RFC 3263 would say 503 where a name has no address.
        let ip = ip.ok_or(Status::SERVICE_UNAVAILABLE)?;
        Ok(Hop {
            uri,
            transport,
            address: SocketAddr::new(ip, host_port.port_or_default(transport)),
            route,
        })
    }

    /// True for the address of this proxy, and for its names: without a port these are domains, which
    /// have none.
    pub(super) fn is_ours(&self, uri: &Uri) -> bool {
        let host = uri.host();
        let ip = host.as_ref().and_then(|host| self.resolve(host));
        self.wire.addresses().any(|own| {
            let implied = match host {
                Some(Host::Name(_)) => own.port(),
                _ => Transport::Udp.default_port(),
            };
            ip == Some(own.ip()) && uri.port().unwrap_or(implied) == own.port()
        })
    }

    /// True for a Via that we have written.
    pub(super) fn is_our_sent_by(&self, via: &sip::header::Via<'_>) -> bool {
        let sent_by = via.sent_by();
        self.wire.addresses().any(|own| sent_by == own.into())
    }

    /// True for what [`record`](Self::record) writes: no user part.
    fn is_our_route(&self, uri: &Uri) -> bool {
        uri.user().is_none() && self.is_ours(uri)
    }
}

fn uri_of(value: &[u8]) -> Option<Uri> {
    use sip::header::Parse as _;
    NameAddr::parse(value)
        .ok()
        .map(|address| address.uri.to_uri())
}

/// The first part of the branch of a forwarded request: the same for the same request to the same place, so that a
/// retransmission, an ACK and a CANCEL find their transaction even after a loss of state.
fn branch(request: &Request, hop: &Hop) -> String {
    let mut hasher = DefaultHasher::new();
    if let Ok(via) = request.headers.via() {
        via.branch().unwrap_or_default().hash(&mut hasher);
        via.host().hash(&mut hasher);
        via.port.hash(&mut hasher);
    }
    hop.uri.as_str().hash(&mut hasher);
    hop.address.hash(&mut hasher);
    format!("z9hG4bK-p{:016x}", hasher.finish())
}
