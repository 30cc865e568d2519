//! Requests of peers that belong to no call alone: SUBSCRIBE, NOTIFY and REFER, inside dialogs and
//! outside (RFC 6665, RFC 3515, RFC 5057, 5.3).

use super::{
    Endpoint,
    arrival::Arrived,
    uas::{RETRY_AFTER, TAG_LEN},
};
use crate::auth::Origin;
use crate::{
    DialogId, HeaderName, InvitationId, Method, Request, Status,
    answer::Answer,
    attempt::Contact,
    dialog::{Dialog, DialogError, DialogKey},
    header::{Event, Expires, MediaType, NameAddr, TargetDialog},
    id::{Party, UsageId},
    message::Description,
    transaction::NewRequest,
    usage::{
        AnyUsage, Parties, Shared,
        notifier::{IncomingSubscription, Kind, Notifier, Opening, Package},
        referral::{IncomingReferral, PACKAGE, incoming},
    },
};
use bytes::Bytes;
use std::time::Instant;

impl Endpoint {
    /// SUBSCRIBE or NOTIFY inside a dialog: for the usage whose Event it names.
    pub(super) fn handle_shared(
        &mut self,
        now: Instant,
        dialog: DialogId,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let usage = self.dialogs.get(dialog).and_then(|entry| {
            let takes = |id: &&UsageId| {
                self.usages
                    .get(**id)
                    .is_some_and(|usage| usage.takes(&request))
            };
            entry.usages.iter().find(takes).copied()
        });
        let owner = usage.map(Party::Usage);
        let Some(server) = self.serve(now, &arrived, new, request.clone(), owner) else {
            return;
        };
        let Some(state) = self.dialog_mut(dialog) else {
            return;
        };
        let shared = Shared {
            server,
            dialog,
            local_tag: state.local_tag().into(),
            direct: arrived.direct(),
        };
        if let Err(error) = state.handle_request(&request) {
            // RFC 3261, 12.2.2
            let answer = shared.answer(error.status());
            return self.respond(now, server, answer);
        }
        let Some(id) = usage else {
            let answer = self.refuse_shared(&request, &shared);
            return self.respond(now, server, answer);
        };
        state.refresh_target(&request.headers);
        self.heard_on(dialog, &arrived);
        if let Some(usage) = self.usages.get_mut(id) {
            usage.handle_request(now, &request, shared);
        }
        self.touch_usage(id);
    }

    /// The call that shares this dialog takes the way on which its peer was heard.
    fn heard_on(&mut self, dialog: DialogId, arrived: &Arrived) {
        let call = self.dialogs.get(dialog).and_then(|entry| entry.call);
        if let Some(call) = call.and_then(|id| self.invitations.get_mut(id)) {
            call.heard_on(arrived.path, arrived.direct());
        }
    }

    /// No usage of the dialog has this Event.
    fn refuse_shared(&self, request: &Request, shared: &Shared) -> Answer {
        let is_new = request.method == Method::Subscribe
            && matches!(request.headers.typed::<Event<'_>>(), Some(Ok(event)) if event.package != PACKAGE);
        match is_new {
            // RFC 6665, 4.5.2: who wants more of a dialog's peer makes a dialog of its own.
            true => Answer {
                reason: Some("Dialog Sharing Not Supported".to_owned()),
                ..shared.answer(Status::FORBIDDEN)
            },
            // RFC 6665, 4.1.3
            false => Answer {
                reason: Some("Subscription Does Not Exist".to_owned()),
                ..shared.answer(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
            },
        }
    }

    /// The usage that expects NOTIFYs with this half of a key.
    pub(super) fn expecting(&self, request: &Request) -> Option<UsageId> {
        if request.method != Method::Notify {
            return None;
        }
        let headers = &request.headers;
        let (call_id, to) = (headers.call_id().ok()?, headers.to().ok()?);
        let id = *self
            .expected
            .get(&DialogKey::new(call_id, to.tag()?, None))?;
        let usage = self.usages.get(id)?;
        usage.takes(request).then_some(id)
    }

    /// The first NOTIFY of a dialog: it makes it (RFC 6665, 4.4.1), for a fork as for the first.
    pub(super) fn handle_first_notify(
        &mut self,
        now: Instant,
        id: UsageId,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let Some(server) = self.serve(now, &arrived, new, request.clone(), Some(Party::Usage(id)))
        else {
            return;
        };
        let usage = self.usages.get(id).and_then(AnyUsage::half_of_dialog);
        let Some(((tag, number), known)) = usage else {
            return;
        };
        let (local_tag, is_secure): (Box<str>, _) = (tag.into(), arrived.is_secure());
        let made = match Dialog::from_notify(&request, &local_tag, is_secure, number) {
            Ok(made) => made,
            Err(error) => return self.respond(now, server, Answer::new(error.status())),
        };
        let owner = match known {
            None => Some(id),
            Some(_) => self.fork_usage(id),
        };
        let Some(owner) = owner else {
            // RFC 6665, 4.1.4 and 5.4.9
            let gone = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
            return self.respond(now, server, Answer::new(gone));
        };
        let dialog = self.insert_dialog(made, Some(owner));
        if let Some(state) = self.dialog_mut(dialog) {
            // It is the first.
            let _ = state.handle_request(&request);
        }
        let shared = Shared {
            server,
            dialog,
            local_tag,
            direct: arrived.direct(),
        };
        if let Some(usage) = self.usages.get_mut(owner) {
            usage.handle_request(now, &request, shared);
        }
        self.touch_usage(owner);
    }

    fn fork_usage(&mut self, id: UsageId) -> Option<UsageId> {
        let fork = self.usages.get_mut(id)?.fork()?;
        let new = self.insert_usage(fork);
        self.tell_fork(new, id);
        Some(new)
    }

    /// SUBSCRIBE outside of dialogs (RFC 6665, 4.2.1).
    pub(super) fn handle_subscribe(
        &mut self,
        now: Instant,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let (package, granted) = match self.inspect_subscribe(&request) {
            Ok(inspected) => inspected,
            Err(answer) => {
                return self.respond_stateless(now, arrived.path, &request, arrived.size, *answer);
            }
        };
        let Some(server) = self.serve(now, &arrived, new, request.clone(), None) else {
            return;
        };
        let opened = self.open(&arrived, server, &request, None);
        let (shared, parties) = match opened {
            Ok(opened) => opened,
            Err(status) => return self.respond(now, server, Answer::new(status)),
        };
        let event = request.headers.typed::<Event<'_>>().and_then(Result::ok);
        let id = event.and_then(|event| event.id()).map(str::to_owned);
        let dialog = shared.dialog;
        let incoming = IncomingSubscription {
            from: parties.to.clone(),
            to: parties.from.clone(),
            request_uri: request.uri.detached(),
            event: package.name.clone(),
            id: id.clone(),
            expires: granted,
            call_id: request.headers.call_id().unwrap_or_default().to_owned(),
            transport: arrived.path.transport,
            peer: arrived.from,
            caller: arrived.caller(),
            headers: request.headers.detached(),
            content: content_of(&request),
        };
        let opening = Opening {
            kind: Kind::Subscription,
            event: package.name.as_str().into(),
            id: id.map(String::into_boxed_str),
            package,
            granted,
            parties,
            request: shared,
            incoming: Some(Box::new(incoming)),
        };
        let notifier = Notifier::incoming(now, opening, &self.config, &mut self.rng);
        self.enter(server, dialog, AnyUsage::Notifier(Box::new(notifier)));
    }

    /// What a SUBSCRIBE must be, and what it gets.
    fn inspect_subscribe(&self, request: &Request) -> Result<(Package, u32), Box<Answer>> {
        let headers = &request.headers;
        let event = headers.typed::<Event<'_>>().and_then(Result::ok);
        let package = event.and_then(|event| self.packages.get(event.package));
        let Some(package) = package else {
            // RFC 6665, 4.2.1.1 and 7.2: with what there is instead.
            let answer = Answer::new(Status::BAD_EVENT);
            return Err(Box::new(match self.packages.allowed() {
                Some(allowed) => answer.with_header(HeaderName::AllowEvents, allowed),
                None => answer,
            }));
        };
        let is_full = self.usage_count >= self.config.limits.subscriptions;
        if self.is_shutting_down || is_full {
            let answer = Answer::new(Status::SERVICE_UNAVAILABLE);
            return Err(Box::new(
                answer.with_header(HeaderName::RetryAfter, RETRY_AFTER),
            ));
        }
        // RFC 6665, 4.1.2.1
        let admits = |name: &String| {
            let Some((kind, subtype)) = name.split_once('/') else {
                return false;
            };
            let subtype = subtype.split(';').next().unwrap_or_default().trim_end();
            headers
                .list::<MediaType<'_>>(HeaderName::Accept)
                .any(|range| range.is_ok_and(|range| range.admits(kind, subtype)))
        };
        if headers.contains(HeaderName::Accept)
            && !package.types.is_empty()
            && !package.types.iter().any(admits)
        {
            return Err(Box::new(Answer::new(Status::NOT_ACCEPTABLE)));
        }
        let asked = match headers.typed::<Expires>() {
            Some(Ok(Expires(seconds))) => Some(seconds),
            Some(Err(_)) | None => None,
        };
        match package.grant(asked) {
            Ok(granted) => Ok((package.clone(), granted)),
            Err(least) => Err(Box::new(
                Answer::new(Status::INTERVAL_TOO_BRIEF).with_header(HeaderName::MinExpires, least),
            )),
        }
    }

    /// REFER, in a dialog or outside (RFC 3515, 2.4.2).
    pub(super) fn handle_refer(
        &mut self,
        now: Instant,
        dialog: Option<DialogId>,
        arrived: Arrived,
        new: NewRequest,
        request: Request,
    ) {
        let Some(server) = self.serve(now, &arrived, new, request.clone(), None) else {
            return;
        };
        if let Some(state) = dialog.and_then(|dialog| self.dialog_mut(dialog))
            && let Err(error) = state.handle_request(&request)
        {
            // RFC 3261, 12.2.2
            return self.respond(now, server, Answer::new(error.status()));
        }
        let call = match dialog {
            Some(dialog) => self.dialogs.get(dialog).and_then(|entry| entry.call),
            None => self.call_of_target(&request),
        };
        let read = incoming::read(&request, call, arrived.path, arrived.from);
        let refer = match read {
            Ok(refer) => refer,
            Err(status) => return self.respond(now, server, Answer::new(status)),
        };
        if self.is_shutting_down || self.usage_count >= self.config.limits.subscriptions {
            let answer = Answer::new(Status::SERVICE_UNAVAILABLE);
            let answer = answer.with_header(HeaderName::RetryAfter, RETRY_AFTER);
            return self.respond(now, server, answer);
        }
        let (shared, parties) = match self.open(&arrived, server, &request, dialog) {
            Ok(opened) => opened,
            Err(status) => return self.respond(now, server, Answer::new(status)),
        };
        if dialog.is_some()
            && let Some(state) = self.dialog_mut(shared.dialog)
        {
            state.refresh_target(&request.headers);
        }
        self.heard_on(shared.dialog, &arrived);
        // RFC 3515, 2.4.6: the number of the REFER, left out for the first of a dialog.
        let is_first = self
            .dialogs
            .get(shared.dialog)
            .is_none_or(|entry| entry.usages.is_empty());
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let opening = Opening {
            kind: Kind::Referral {
                is_silent: refer.is_silent,
            },
            event: PACKAGE.into(),
            id: (!is_first).then(|| number.to_string().into()),
            package: Package::new(PACKAGE, Vec::new()),
            granted: REFER_EXPIRES,
            parties,
            request: shared,
            incoming: None,
        };
        let dialog = opening.request.dialog;
        let referral = IncomingReferral::incoming(now, refer, opening, &self.config, &mut self.rng);
        self.enter(
            server,
            dialog,
            AnyUsage::IncomingReferral(Box::new(referral)),
        );
    }

    /// The call that a request outside of dialogs is about (RFC 4538, 4).
    fn call_of_target(&self, request: &Request) -> Option<InvitationId> {
        let target = request.headers.typed::<TargetDialog<'_>>()?.ok()?;
        let key = DialogKey::new(target.call_id, target.local_tag, Some(target.remote_tag));
        self.dialogs.get(self.by_tags.get(&key)?)?.call
    }

    /// The dialog of a request that begins a usage: there, or made by it.
    fn open(
        &mut self,
        arrived: &Arrived,
        server: crate::TransactionId,
        request: &Request,
        dialog: Option<DialogId>,
    ) -> Result<(Shared, Parties), Status> {
        let bare = |address: NameAddr<'_>| {
            let mut address = address.to_address();
            address.params.clear();
            address
        };
        let headers = &request.headers;
        let bad = |_| Status::BAD_REQUEST;
        let (peer, own) = (
            headers.from().map(bare).map_err(bad)?,
            headers.to().map(bare).map_err(bad)?,
        );
        let dialog = match dialog {
            Some(dialog) => dialog,
            None => {
                let tag = self.rng.token(TAG_LEN);
                let mut made = Dialog::from_request(request, &tag, arrived.is_secure())
                    .map_err(DialogError::status)?;
                made.accept();
                self.insert_dialog(made, None)
            }
        };
        let call = self.dialogs.get(dialog).and_then(|entry| entry.call);
        let call = call.and_then(|id| self.invitations.get(id));
        let (contact, credentials, account) = match call {
            // Our Contact refreshes the target of the whole dialog.
            Some(call) => {
                let credentials = call.credentials().to_vec();
                (call.contact().clone(), credentials, call.account())
            }
            None => {
                let contact = Contact {
                    user: request.uri.user().map(str::to_owned),
                    secure: request.uri.is_secure(),
                    ..Contact::default()
                };
                (contact, Vec::new(), None)
            }
        };
        let Some(state) = self.dialog_mut(dialog) else {
            return Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
        };
        let shared = Shared {
            server,
            dialog,
            local_tag: state.local_tag().into(),
            direct: arrived.direct(),
        };
        let parties = Parties {
            from: own,
            to: peer,
            request_uri: state.remote_target().clone(),
            route: Vec::new(),
            contact: Some(Box::new(contact)),
            credentials,
            account,
            origin: Origin::Elsewhere,
            identity: None,
        };
        Ok((shared, parties))
    }

    fn enter(&mut self, server: crate::TransactionId, dialog: DialogId, usage: AnyUsage) {
        let id = self.insert_usage(usage);
        self.join_dialog(dialog, id);
        if let Some(server) = self.servers.get_mut(&server) {
            server.owner = Some(Party::Usage(id));
        }
    }
}

/// The body of a request, copied out of its datagram.
fn content_of(request: &Request) -> Option<Description> {
    let content_type = request.headers.get(HeaderName::ContentType);
    (!request.body.is_empty()).then(|| Description {
        content_type: String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned(),
        body: Bytes::copy_from_slice(&request.body),
    })
}

/// XFR-05.
const REFER_EXPIRES: u32 = 90;
