//! Requests and responses, over one buffer.

pub mod body;
pub mod frame;
mod line;
mod parse;
mod print;
mod salvage;

pub use body::{Description, Unacceptable};
pub use salvage::{Salvaged, salvage};

use crate::{
    Headers, Method, ParseError, Status, Uri,
    header::{CSeq, ContactValue, HeaderName, MaxForwards, NameAddr, Value, Via},
};
use bytes::Bytes;
use bytestring::ByteString;

/// A SIP message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request (RFC 3261, 7.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Of whom.
    pub uri: Uri,
    /// The headers in order.
    pub headers: Headers,
    /// The body; the printer writes its length.
    pub body: Bytes,
}

/// A response (RFC 3261, 7.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The code.
    pub status: Status,
    /// The phrase for people; line ends in it are printed as spaces.
    pub reason: ByteString,
    /// The headers in order.
    pub headers: Headers,
    /// The body; the printer writes its length.
    pub body: Bytes,
}

impl Message {
    /// The headers of either.
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The headers of either, to change them.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }

    /// The body of either.
    pub const fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }

    /// Prints it; see [`Request::to_bytes`].
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// The session description that it carries; see [`body::description`].
    ///
    /// # Errors
    ///
    /// Why the body cannot be understood: 415 is the answer to a request.
    pub fn description(&self) -> Result<Option<Description>, Unacceptable> {
        body::description(self.headers(), self.body())
    }
}

impl Request {
    /// Makes a request without headers and body.
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// See [`Message::description`].
    ///
    /// # Errors
    ///
    /// Why the body cannot be understood: 415 is the answer.
    pub fn description(&self) -> Result<Option<Description>, Unacceptable> {
        body::description(&self.headers, &self.body)
    }

    /// Gives it a body of that type.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.insert(HeaderName::ContentType, content_type);
        self.body = body.into();
    }
}

impl Response {
    /// Makes a response with the usual phrase, without headers and body.
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            reason: ByteString::from_static(status.phrase()),
            headers: Headers::new(),
            body: Bytes::new(),
        }
    }

    /// Answers a request: copies what RFC 3261, 8.2.6 says, Timestamp for 100 included.
    ///
    /// `to_tag` is added to To if that has no tag yet; 100 needs none.
    pub fn to_request(request: &Request, status: Status, to_tag: Option<&str>) -> Self {
        Self::echo(&request.headers, status, to_tag)
    }

    pub(crate) fn echo(request: &Headers, status: Status, to_tag: Option<&str>) -> Self {
        let mut response = Self::new(status);
        response.headers = Headers::with_capacity(USUAL_ECHO);
        let headers = &mut response.headers;
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::To,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            match (name, to_tag) {
                (HeaderName::To, Some(tag)) if request.to().is_ok_and(|to| to.tag().is_none()) => {
                    let value = request.get(name).unwrap_or_default();
                    headers.push(name, Joined([value, b";tag=", tag.as_bytes()]));
                }
                _ => headers.copy_from(request, name),
            }
        }
        if status == Status::TRYING {
            // RFC 3261, 8.2.6.1
            headers.copy_from(request, HeaderName::Timestamp);
        }
        response
    }

    /// See [`Message::description`].
    ///
    /// # Errors
    ///
    /// Why the body cannot be understood.
    pub fn description(&self) -> Result<Option<Description>, Unacceptable> {
        body::description(&self.headers, &self.body)
    }

    /// Gives it a body of that type.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.insert(HeaderName::ContentType, content_type);
        self.body = body.into();
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// What every message has. Of a message that [`Message::parse`] accepted, these are all `Ok`,
/// but [`Headers::contact`] and [`Headers::max_forwards`] may be `None`.
impl Headers {
    /// The topmost Via.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn via(&self) -> Result<Via<'_>, ParseError> {
        self.require(HeaderName::Via)
    }

    /// From.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn from(&self) -> Result<NameAddr<'_>, ParseError> {
        self.require(HeaderName::From)
    }

    /// To.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn to(&self) -> Result<NameAddr<'_>, ParseError> {
        self.require(HeaderName::To)
    }

    /// CSeq.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        self.require(HeaderName::CSeq)
    }

    /// Call-ID.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        let value = self.get(HeaderName::CallId);
        parse::call_id(value.unwrap_or_default())
    }

    /// The first Contact, if there is one.
    ///
    /// # Errors
    ///
    /// It is malformed.
    pub fn contact(&self) -> Result<Option<ContactValue<'_>>, ParseError> {
        self.typed_as(HeaderName::Contact).transpose()
    }

    /// Max-Forwards, if there is one.
    ///
    /// # Errors
    ///
    /// It is malformed.
    pub fn max_forwards(&self) -> Result<Option<u8>, ParseError> {
        Ok(self.typed::<MaxForwards>().transpose()?.map(|hops| hops.0))
    }
}

/// Texts one behind the other.
struct Joined<'a>([&'a [u8]; 3]);

impl Value for Joined<'_> {
    fn write_to(&self, out: &mut Vec<u8>) {
        self.0.iter().for_each(|text| out.extend_from_slice(text));
    }
}

/// Room for the headers that a response copies and for some of its own.
const USUAL_ECHO: usize = 768;

/// Longest start line and headers: far above any real message, and offsets into it stay small.
pub const MAX_HEAD: usize = 64 * 1024;
/// Longest body: pictures in a MESSAGE or a long RLMI document fit, a film does not.
pub const MAX_BODY: usize = 1024 * 1024;
/// Most header lines: a request through 70 hops (Max-Forwards) brings a Via and a Record-Route of each.
pub const MAX_HEADERS: usize = 256;

#[cfg(test)]
mod tests;
