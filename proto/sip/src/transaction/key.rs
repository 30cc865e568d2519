//! Which transaction a message belongs to: RFC 3261, 17.1.3, 17.2.3, 9.2 and 8.2.2.2.

use crate::{Method, Request, Response, TransactionId, header::Via};
use smallvec::SmallVec;

/// What a transaction is found by. The sort of key stands first, fields are divided by line ends,
/// which no text can contain; numbers have their fixed length.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key(SmallVec<[u8; INLINE]>);

impl Key {
    /// RFC 3261, 17.1.3: the branch that we made, and the method of CSeq.
    pub(super) fn client(branch: &str, method: &Method) -> Self {
        let mut key = Self::begin(b'c');
        key.push_folded(branch.as_bytes());
        key.push(method.as_str().as_bytes());
        key
    }

    /// The client transaction that a response belongs to; `None` if it cannot be ours.
    pub(super) fn of_response(response: &Response) -> Option<Self> {
        let branch = response.headers.via().ok()?.branch()?;
        let method = response.headers.cseq().ok()?.method;
        Some(Self::client(branch, &method))
    }

    /// The server transaction that a request belongs to.
    pub(super) fn of_request(request: &Request) -> Self {
        // RFC 3261, 17.2.3: "except for ACK, where the method of the request is INVITE".
        let has_cookie = request.headers.via().is_ok_and(|via| via.has_cookie());
        match (has_cookie, &request.method) {
            (true, Method::Ack) => Self::server(request, &Method::Invite),
            (true, method) => Self::server(request, method),
            (false, method) => Self::old(request, method, None),
        }
    }

    /// The transaction that a CANCEL is meant for, were it of this method (RFC 3261, 9.2).
    pub(super) fn of_cancelled(cancel: &Request, method: &Method) -> Self {
        match cancel.headers.via().is_ok_and(|via| via.has_cookie()) {
            true => Self::server(cancel, method),
            false => Self::old(cancel, method, None),
        }
    }

    /// What the ACK of `response` will be found by if it has no cookie; `None` if it will have one.
    pub(super) fn of_ack_without_cookie(invite: &Request, response: &Response) -> Option<Self> {
        let has_cookie = invite.headers.via().is_ok_and(|via| via.has_cookie());
        let to = response.headers.to().ok()?.tag().unwrap_or_default();
        (!has_cookie).then(|| Self::old(invite, &Method::Ack, Some(to)))
    }

    /// What all copies of a merged request have in common (RFC 3261, 8.2.2.2); `None` for requests
    /// that cannot be merged.
    pub(super) fn of_merge(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        // CANCEL goes hop by hop along each branch (9.2); ACK is never answered.
        if matches!(request.method, Method::Cancel | Method::Ack)
            || headers.to().ok()?.tag().is_some()
        {
            return None;
        }
        let from = headers.from().ok()?;
        let mut key = Self::begin(b'm');
        key.push_folded(from.tag().unwrap_or_default().as_bytes());
        key.push(headers.call_id().ok()?.as_bytes());
        key.push_number(headers.cseq().ok()?.number);
        key.push(request.method.as_str().as_bytes());
        Some(key)
    }

    /// Branch, sent-by and method.
    fn server(request: &Request, method: &Method) -> Self {
        let mut key = Self::begin(b's');
        if let Ok(via) = request.headers.via() {
            key.push_folded(via.branch().unwrap_or_default().as_bytes());
            key.push_sent_by(&via);
        }
        key.push(method.as_str().as_bytes());
        key
    }

    /// The rule for requests of RFC 2543: Request-URI, tags, Call-ID, CSeq and the topmost Via.
    fn old(request: &Request, method: &Method, to_tag: Option<&str>) -> Self {
        let headers = &request.headers;
        let mut key = Self::begin(b'o');
        key.push(request.uri.as_str().as_bytes());
        let to = headers.to().ok().and_then(|to| to.tag());
        key.push_folded(to_tag.or(to).unwrap_or_default().as_bytes());
        let from = headers.from().ok().and_then(|from| from.tag());
        key.push_folded(from.unwrap_or_default().as_bytes());
        key.push(headers.call_id().unwrap_or_default().as_bytes());
        key.push_number(headers.cseq().map_or(0, |cseq| cseq.number));
        if let Ok(via) = headers.via() {
            key.push_folded(via.transport().as_bytes());
            key.push_sent_by(&via);
            key.push_folded(via.branch().unwrap_or_default().as_bytes());
        }
        key.push(method.as_str().as_bytes());
        key
    }

    fn begin(sort: u8) -> Self {
        let mut key = Self(SmallVec::new());
        key.0.push(sort);
        key
    }

    fn push(&mut self, field: &[u8]) {
        self.0.push(b'\n');
        self.0.extend_from_slice(field);
    }

    /// RFC 3261, 7.3.1: tokens and hosts are compared in any case.
    fn push_folded(&mut self, field: &[u8]) {
        self.0.push(b'\n');
        let start = self.0.len();
        self.0.extend_from_slice(field);
        self.0[start..].make_ascii_lowercase();
    }

    fn push_number(&mut self, number: u32) {
        self.push(&number.to_be_bytes());
    }

    /// Host and port as written: a port that is missing is not the port by default, as all copies of
    /// a request, its ACK and its CANCEL carry the very same Via.
    fn push_sent_by(&mut self, via: &Via<'_>) {
        self.push_folded(via.host().as_bytes());
        if let Some(port) = via.port {
            self.0.push(b':');
            self.0.extend_from_slice(&port.to_be_bytes());
        }
    }
}

/// A request that belongs to no transaction yet.
#[derive(Debug)]
pub struct NewRequest {
    pub(super) key: Key,
    pub(super) merge: Option<Key>,
    pub(super) merged_with: Option<TransactionId>,
    pub(super) cancels: Option<TransactionId>,
}

impl NewRequest {
    /// The ongoing transaction of another copy of this request, which came another way: the answer is
    /// 482 (RFC 3261, 8.2.2.2).
    pub const fn merged_with(&self) -> Option<TransactionId> {
        self.merged_with
    }

    /// The transaction that this CANCEL is meant for; if there is none, the answer is 481 (RFC 3261, 9.2).
    pub const fn cancels(&self) -> Option<TransactionId> {
        self.cancels
    }
}

/// Holds a branch, a sent-by and a method without the heap.
const INLINE: usize = 80;
