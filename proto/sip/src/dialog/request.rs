//! Requests inside a dialog, both ways: RFC 3261, 12.1.1, 12.2.1.1 and 12.2.2.

use super::{
    Dialog, DialogError, Identifiers, Role, RouteSet, State, address, contact, is_secured,
    record_routes,
};
use crate::{
    HeaderName, Headers, Method, Request, Status, Uri,
    header::{CSeq, Value},
    uri::Scheme,
};

/// A request inside a dialog, still without Via, Contact and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InDialog {
    /// Request-URI, Route, Max-Forwards, From, To, Call-ID and CSeq.
    pub request: Request,
    /// Where it goes (RFC 3261, 8.1.2): the URI that is to be resolved.
    pub next_hop: Uri,
}

/// All numbers below 2³¹ are used up (RFC 3261, 8.1.1.5): the dialog can only be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no CSeq number left")]
pub struct Exhausted;

/// A request of the peer has a lower number than an earlier one: answer 500 (RFC 3261, 12.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("CSeq out of order")]
pub struct OutOfOrder;

impl OutOfOrder {
    /// The status that refuses the request.
    pub const fn status(self) -> Status {
        Status::SERVER_INTERNAL_ERROR
    }
}

impl Dialog {
    /// Makes the dialog of a request that arrived, which is about to be answered with `local_tag`
    /// (RFC 3261, 12.1.1). `is_secure_hop`: it came over TLS.
    ///
    /// It begins early; a 2xx [`accept`](Self::accept)s it.
    ///
    /// # Errors
    ///
    /// See [`DialogError`]; the answer is its [`status`](DialogError::status).
    pub fn from_request(
        request: &Request,
        local_tag: &str,
        is_secure_hop: bool,
    ) -> Result<Self, DialogError> {
        let headers = &request.headers;
        let (from, to) = (headers.from()?, headers.to()?);
        let call_id = headers.call_id()?;
        Ok(Self {
            identifiers: Identifiers::new(
                call_id,
                local_tag,
                from.tag(),
                &address(&to),
                &address(&from),
            ),
            role: Role::Callee,
            state: State::Early,
            local_sequence: None,
            remote_sequence: Some(headers.cseq()?.number),
            remote_target: match (contact(headers), from.tag()) {
                // RFC 2543, 6.13: Contact may be left out, and From says where its sender is.
                (Err(DialogError::Contact), None)
                    if headers.get(HeaderName::Contact).is_none()
                        && matches!(from.uri.scheme(), Scheme::Sip | Scheme::Sips) =>
                {
                    from.uri.to_uri()
                }
                (target, _) => target?,
            },
            routes: RouteSet::new(record_routes(headers), false)?,
            is_secure: is_secured(&request.uri, is_secure_hop),
        })
    }

    /// Makes the dialog of a NOTIFY that answers a SUBSCRIBE or REFER of ours with the number
    /// `sequence` (RFC 6665, 4.4.1): its route set is that of the NOTIFY, and it is confirmed.
    ///
    /// # Errors
    ///
    /// See [`DialogError`]; the answer is its [`status`](DialogError::status).
    pub fn from_notify(
        request: &Request,
        local_tag: &str,
        is_secure_hop: bool,
        sequence: u32,
    ) -> Result<Self, DialogError> {
        Ok(Self {
            role: Role::Caller,
            state: State::Confirmed,
            local_sequence: Some(sequence),
            ..Self::from_request(request, local_tag, is_secure_hop)?
        })
    }

    /// This side sends a 2xx: the dialog is confirmed.
    pub const fn accept(&mut self) {
        self.state = State::Confirmed;
    }

    /// Builds a request with the next number. ACK and CANCEL are not among them: see
    /// [`ack`](Self::ack) and [`Transactions::cancel`](crate::transaction::Transactions::cancel).
    ///
    /// # Errors
    ///
    /// [`Exhausted`]; nothing has changed.
    pub fn request(&mut self, method: Method) -> Result<InDialog, Exhausted> {
        let number = match self.local_sequence {
            None => FIRST,
            Some(last) => last
                .checked_add(1)
                .filter(|&next| next <= LAST)
                .ok_or(Exhausted)?,
        };
        self.local_sequence = Some(number);
        Ok(self.build(number, method))
    }

    /// Builds the ACK of a 2xx, with the number of its INVITE (RFC 3261, 13.2.2.4). Apart from a body,
    /// it wants the credentials of the INVITE (22.1).
    pub fn ack(&self, invite: u32) -> InDialog {
        self.build(invite, Method::Ack)
    }

    /// A request arrived: checks its number, and remembers it.
    ///
    /// ACK and CANCEL have the number of their INVITE, and are neither checked nor remembered.
    ///
    /// # Errors
    ///
    /// [`OutOfOrder`]; nothing has changed.
    pub fn handle_request(&mut self, request: &Request) -> Result<(), OutOfOrder> {
        if matches!(request.method, Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let number = request.headers.cseq().map_err(|_| OutOfOrder)?.number;
        if self.remote_sequence.is_some_and(|latest| number < latest) {
            return Err(OutOfOrder);
        }
        self.remote_sequence = Some(number);
        Ok(())
    }

    fn build(&self, number: u32, method: Method) -> InDialog {
        let mut request = Request::new(method.clone(), self.remote_target.clone());
        request.headers = Headers::with_capacity(USUAL_HEAD);
        let next_hop = self.routes.apply(&mut request, &self.remote_target);
        let headers = &mut request.headers;
        headers.push(HeaderName::MaxForwards, MAX_FORWARDS);
        headers.push(
            HeaderName::From,
            Tagged(self.local_address(), Some(self.local_tag())),
        );
        headers.push(
            HeaderName::To,
            Tagged(self.remote_address(), self.remote_tag()),
        );
        headers.push(HeaderName::CallId, self.call_id());
        headers.push(HeaderName::CSeq, CSeq::new(number, method));
        InDialog { request, next_hop }
    }
}

/// An address with the tag of its side.
struct Tagged<'a>(&'a [u8], Option<&'a str>);

impl Value for Tagged<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        let Self(address, tag) = self;
        out.extend_from_slice(address);
        // RFC 3261, 12.2.1.1: a null tag is left out.
        if let Some(tag) = tag {
            out.extend_from_slice(b";tag=");
            out.extend_from_slice(tag.as_bytes());
        }
    }
}

/// Room for what stands in every request, in one allocation.
const USUAL_HEAD: usize = 320;
/// RFC 3261, 8.1.1.6.
const MAX_FORWARDS: u32 = 70;
/// The first number of a side that has sent nothing yet; RFC 3261, 12.2.1.1 leaves it to us.
const FIRST: u32 = 1;
/// RFC 3261, 8.1.1.5: less than 2**31.
const LAST: u32 = (1 << 31) - 1;
