//! INFO both ways: with packages (RFC 6086), and as it was before them (RFC 2976).

use super::{
    Effect, Invitation, Kind, Originator, State, command::InfoError, event::InvitationEvent,
    info_request::InfoRequest,
};
use crate::{
    DialogId, HeaderName, Headers, Method, Request, Status, TransactionId,
    answer::Answer,
    dialog::{Impact, impact},
    header::MediaType,
    message::Description,
};
use base::scan::is_token;
use bytes::Bytes;
use std::{collections::VecDeque, time::Instant};

/// What a dialog knows of INFO, once there is something to know.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// The packages that the peer wants (RFC 6086, 5.2.2).
    wanted: Vec<Box<str>>,
    /// Behind the one that runs: RFC 3261, 12.2.2 would have a late one refused, and digits in disorder
    /// are others.
    waiting: VecDeque<InfoRequest>,
}

impl Channel {
    /// Reads what the peer wants; its last word counts.
    pub(super) fn note(this: &mut Option<Box<Self>>, headers: &Headers) {
        if !headers.contains(HeaderName::RecvInfo) {
            return;
        }
        let names = headers.values(HeaderName::RecvInfo).map(name_of);
        let wanted: Vec<Box<str>> = names.flatten().take(MAX_PACKAGES).collect();
        if this.is_some() || !wanted.is_empty() {
            this.get_or_insert_default().wanted = wanted;
        }
    }
}

impl Invitation {
    /// Sends INFO, after those before it are answered. `Transaction` says what became of it.
    pub(crate) fn inform(&mut self, info: InfoRequest) -> Result<(), InfoError> {
        if !info.is_writable() {
            return Err(InfoError::Malformed);
        }
        let wrong_state = InfoError::WrongState(self.state);
        let id = self.confirmed.filter(|_| self.ending.is_none());
        let id = id.ok_or(wrong_state)?;
        let is_running = self.is_running(|kind| kind == Kind::Info(id));
        let leg = self.leg_mut(id).filter(|leg| leg.is_alive());
        let leg = leg.ok_or(wrong_state)?;
        if let Some(package) = &info.package {
            // RFC 6086, 4.2.1
            let wanted = leg.info.iter().flat_map(|channel| &channel.wanted);
            if !wanted
                .into_iter()
                .any(|name| name.eq_ignore_ascii_case(package))
            {
                return Err(InfoError::NotWanted);
            }
        }
        if !is_running {
            return self.send_info(id, info).map_err(|()| wrong_state);
        }
        let waiting = &mut leg.info.get_or_insert_default().waiting;
        if waiting.len() >= MAX_WAITING {
            return Err(InfoError::Busy);
        }
        waiting.push_back(info);
        Ok(())
    }

    fn send_info(&mut self, id: DialogId, info: InfoRequest) -> Result<(), ()> {
        let leg = self.leg_mut(id).ok_or(())?;
        let made = leg.dialog.request(Method::Info).map_err(|_| ())?;
        let mut further = Headers::new();
        if let Some(package) = &info.package {
            further.push(HeaderName::InfoPackage, package.as_str());
            if !info.body.is_empty() {
                // RFC 6086, 4.3.1
                further.push(HeaderName::ContentDisposition, "Info-Package");
            }
        }
        let body = (!info.body.is_empty()).then_some(Description {
            content_type: info.content_type,
            body: info.body,
        });
        self.start_in_dialog(Kind::Info(id), made, &further, body);
        Ok(())
    }

    /// The final response to an INFO of ours, or the code that stands for its absence.
    pub(super) fn handle_info_done(
        &mut self,
        now: Instant,
        id: DialogId,
        status: Status,
        reason: &str,
    ) {
        self.tell(InvitationEvent::Transaction {
            originator: Originator::Local,
            method: Method::Info,
            code: status,
            reason: reason.to_owned(),
            ack_received: None,
        });
        if impact(&Method::Info, status) != Impact::Transaction {
            return self.lose_dialog(now, id, status, reason);
        }
        let is_alive = self.ending.is_none();
        let channel = self.leg_mut(id).and_then(|leg| leg.info.as_mut());
        let next = channel.and_then(|channel| channel.waiting.pop_front());
        if let Some(next) = next.filter(|_| is_alive) {
            // Without a number left nothing can be said in this dialog any more.
            let _ = self.send_info(id, next);
        }
    }

    /// INFO of the peer: what it means is the application's business, that it came is answered here
    /// (RFC 6086, 4.2.2).
    pub(super) fn handle_info(&mut self, id: DialogId, request: &Request, server: TransactionId) {
        let answer = match self.read_info(id, request) {
            Ok(info) => {
                self.tell(InvitationEvent::Informed { dialog: id, info });
                self.dialog_answer(id, Status::OK)
            }
            Err(Refusal { status, accept }) => {
                let answer = self.dialog_answer(id, status);
                match accept {
                    Some(types) => answer.with_header(HeaderName::Accept, types.as_str()),
                    None => answer,
                }
            }
        };
        let answer = Answer {
            // RFC 6086, 3: INFO refreshes no target.
            contact: None,
            ..answer
        };
        self.effects
            .push_back(Effect::Respond(server, Box::new(answer)));
    }

    fn read_info(&self, id: DialogId, request: &Request) -> Result<InfoRequest, Refusal> {
        let is_alive = self.leg(id).is_some_and(|leg| leg.is_alive());
        if !is_alive || matches!(self.state, State::Disconnecting | State::Disconnected) {
            return Err(Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST.into());
        }
        let headers = &request.headers;
        let package = match headers.get(HeaderName::InfoPackage) {
            None => None,
            Some(value) => Some(name_of(value).ok_or(Status::BAD_REQUEST)?),
        };
        let known = &self.config.info;
        if package.as_deref().is_some_and(|name| !known.takes(name)) {
            return Err(Status::BAD_INFO_PACKAGE.into());
        }
        let media_type = headers.typed::<MediaType<'_>>().and_then(Result::ok);
        let is_it = |wanted: &&str| {
            let (kind, subtype) = wanted.split_once('/').unwrap_or((wanted, ""));
            let same = |media_type: &MediaType<'_>| media_type.is(kind, subtype);
            media_type.as_ref().is_some_and(same)
        };
        // RFC 2976, 2.2: an empty one only asks whether we are there.
        if !request.body.is_empty()
            && let Some(types) = known.media_types(package.as_deref())
            && !types.iter().any(is_it)
        {
            // RFC 6086, 4.2.2.
            return Err(Refusal {
                status: Status::UNSUPPORTED_MEDIA_TYPE,
                accept: Some(types.join(", ")),
            });
        }
        let content_type = headers.get(HeaderName::ContentType).unwrap_or_default();
        Ok(InfoRequest {
            package: package.map(String::from),
            content_type: String::from_utf8_lossy(content_type).into_owned(),
            body: Bytes::copy_from_slice(&request.body),
        })
    }
}

/// Why an INFO is not taken.
struct Refusal {
    status: Status,
    /// The media types that would have been.
    accept: Option<String>,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self {
            status,
            accept: None,
        }
    }
}

/// The name of a package, without its parameters.
fn name_of(value: &[u8]) -> Option<Box<str>> {
    let end = value
        .iter()
        .position(|byte| matches!(byte, b';' | b' ' | b'\t'));
    let name = &value[..end.unwrap_or(value.len())];
    let is_name = !name.is_empty() && name.iter().copied().all(is_token);
    std::str::from_utf8(name)
        .ok()
        .filter(|_| is_name)
        .map(Into::into)
}

/// Packages of a peer that are remembered: the registry has fewer.
const MAX_PACKAGES: usize = 32;
/// INFO requests that wait: more digits than anybody types while one is answered.
const MAX_WAITING: usize = 64;
