//! REFER of a peer (RFC 3515, 2.4.2; XFR-04).

use super::{IncomingRefer, IncomingReferralEvent};
use crate::usage::sipfrag::Sipfrag;
use crate::{
    HeaderName, Headers, InvitationId, Request, Status,
    attempt::Draft,
    config::Config,
    dialog::InDialog,
    header::{Address, Item, NameAddr, Parse as _, Replaces},
    message::Description,
    transaction::Path,
    usage::{
        Ask, Effect, Exchange, Progress, Shared,
        notifier::{Notifier, NotifierError, NotifierEvent, Opening, Reason, State},
    },
};
use base::{Deadline, Rng};
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// A REFER of a peer, and our reports about it.
#[derive(Debug)]
pub(crate) struct IncomingReferral {
    notifier: Notifier,
    /// The first event, until it is told.
    incoming: Option<Box<IncomingRefer>>,
}

impl IncomingReferral {
    pub(crate) fn incoming(
        now: Instant,
        refer: IncomingRefer,
        opening: Opening,
        config: &Arc<Config>,
        rng: &mut Rng,
    ) -> Self {
        Self {
            notifier: Notifier::incoming(now, opening, config, rng),
            incoming: Some(Box::new(refer)),
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect<IncomingReferralEvent>> {
        if let Some(refer) = self.incoming.take() {
            return Some(Effect::Tell(IncomingReferralEvent::Incoming(refer)));
        }
        loop {
            let event = match self.notifier.poll_effect()?.told() {
                Ok(event) => event,
                Err(effect) => return Some(effect),
            };
            let event = match event {
                NotifierEvent::StateChanged { prev, state } => {
                    IncomingReferralEvent::StateChanged { prev, state }
                }
                NotifierEvent::Notified { code, reason } => {
                    IncomingReferralEvent::Notified { code, reason }
                }
                NotifierEvent::Ended { cause } => IncomingReferralEvent::Ended { cause },
                NotifierEvent::Incoming(_) | NotifierEvent::Refreshed { .. } => continue,
            };
            return Some(Effect::Tell(event));
        }
    }

    /// Begins: 202, and a first report at once (RFC 3515, 2.4.4).
    ///
    /// # Errors
    ///
    /// It was answered already, except by being left pending.
    pub(crate) fn accept(&mut self, now: Instant) -> Result<(), NotifierError> {
        self.notifier
            .accept(now, Some(report(Status::TRYING, None)))
    }

    /// Refuses it: by the status, or by a last report when it is pending.
    ///
    /// # Errors
    ///
    /// See [`NotifierError`].
    pub(crate) fn reject(
        &mut self,
        now: Instant,
        status: Status,
        reason: Option<String>,
        headers: &Headers,
    ) -> Result<(), NotifierError> {
        match self.notifier.state() {
            State::Pending if status.is_failure() => self.report(now, status, reason.as_deref()),
            _ => self.notifier.reject(now, status, reason, headers),
        }
    }

    /// Tells the peer how its request fares; 200 to 699 is the last report.
    ///
    /// # Errors
    ///
    /// It is not answered yet, or over.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        status: Status,
        reason: Option<&str>,
    ) -> Result<(), NotifierError> {
        let content = Some(report(status, reason));
        match status.is_final() {
            true => self
                .notifier
                .conclude(now, content, Reason::Noresource, None),
            false => self.notifier.notify(now, content),
        }
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        self.notifier.leave(now);
    }

    pub(crate) fn takes(&self, request: &Request) -> bool {
        self.notifier.takes(request)
    }

    pub(crate) fn handle_subscribe(&mut self, now: Instant, request: &Request, shared: Shared) {
        self.notifier.handle_subscribe(now, request, shared);
    }

    pub(crate) fn handle_dialog_gone(&mut self) {
        self.notifier.handle_dialog_gone();
    }

    pub(crate) fn start_inside(&mut self, made: InDialog, ask: Ask) -> (u32, Box<Draft>) {
        self.notifier.start_inside(made, ask)
    }

    pub(crate) const fn exchange(&mut self) -> &mut Exchange {
        self.notifier.exchange()
    }

    pub(crate) fn handle_progress(&mut self, now: Instant, tag: u32, progress: &Progress<'_>) {
        self.notifier.handle_progress(now, tag, progress);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        self.notifier.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.notifier.state() == State::Incoming {
            // What is left pending has begun nothing yet.
            self.notifier.set_latest(Some(report(Status::TRYING, None)));
        }
        self.notifier.handle_timeout(now);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.incoming.is_none() && self.notifier.is_over()
    }
}

/// Reads what a REFER asks for.
///
/// # Errors
///
/// The status that refuses it: exactly one Refer-To that can be read (RFC 3515, 2.4.2; XFR-05).
pub(crate) fn read(
    request: &Request,
    call: Option<InvitationId>,
    path: Path,
    peer: SocketAddr,
) -> Result<IncomingRefer, Status> {
    let headers = &request.headers;
    let bare = |address: NameAddr<'_>| {
        let mut address = address.to_address();
        address.params.clear();
        address
    };
    let bad = |_| Status::BAD_REQUEST;
    let mut targets = headers.get_all(HeaderName::ReferTo);
    if targets.next().is_none() || targets.next().is_some() {
        return Err(Status::BAD_REQUEST);
    }
    let refer_to: NameAddr<'_> = headers.require(HeaderName::ReferTo).map_err(bad)?;
    let refer_to = bare(refer_to);
    let mut replaces = None;
    let mut uri_headers = Vec::new();
    for header in refer_to.uri.headers().iter() {
        let name = crate::uri::unescape(header.name).into_owned();
        let value = header.text().unwrap_or_default().into_owned();
        match name.eq_ignore_ascii_case("Replaces") {
            // RFC 3891, 3: more than one, or one that cannot be read, is an error of the request that it
            // asks for.
            true if replaces.is_some() || Replaces::parse(value.as_bytes()).is_err() => {
                return Err(Status::BAD_REQUEST);
            }
            true => replaces = Some(value),
            false => uri_headers.push((name, value)),
        }
    }
    let method = refer_to.uri.params().get("method");
    let method = method.and_then(|param| param.text().map(|text| text.into_owned()));
    Ok(IncomingRefer {
        from: headers.from().map(bare).map_err(bad)?,
        to: headers.to().map(bare).map_err(bad)?,
        request_uri: request.uri.detached(),
        call,
        refer_to: plain(refer_to),
        method: method.filter(|method| !method.eq_ignore_ascii_case("INVITE")),
        replaces,
        uri_headers,
        referred_by: match headers.typed_as::<NameAddr<'_>>(HeaderName::ReferredBy) {
            Some(Ok(address)) => Some(bare(address)),
            Some(Err(_)) | None => None,
        },
        is_silent: is_silent(headers),
        call_id: headers.call_id().map_err(bad)?.to_owned(),
        transport: path.transport,
        peer,
        headers: headers.detached(),
    })
}

/// True if no reports are wanted (RFC 4488, 4).
pub(crate) fn is_silent(headers: &Headers) -> bool {
    let value = headers.typed_as::<Item<'_>>(HeaderName::ReferSub);
    matches!(value, Some(Ok(item)) if item.is("false"))
}

/// Where to send the request that is asked for: no headers, and no method.
fn plain(mut address: Address) -> Address {
    if let Some(mut parts) = address.uri.to_parts() {
        parts.headers.clear();
        parts.remove_param("method");
        if let Ok(uri) = parts.to_uri() {
            address.uri = uri;
        }
    }
    address
}

fn report(status: Status, reason: Option<&str>) -> Description {
    let said = Sipfrag::new(status, reason.unwrap_or_else(|| status.phrase()));
    Description {
        content_type: Sipfrag::TYPE.to_owned(),
        body: said.to_body().into(),
    }
}
