//! An event state compositor (RFC 3903, 6).

use sip::{HeaderName, Request, Response, Status, header::Expires};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Keeps what is published under entity tags, as a [`Proxy`](super::Proxy) hands it in.
#[derive(Debug, Default)]
pub struct Compositor {
    /// Until when each entity tag is good.
    tags: BTreeMap<String, Instant>,
    serial: u32,
}

impl Compositor {
    /// Begins without any publication.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many publications there are.
    pub fn published(&self, now: Instant) -> usize {
        self.tags.values().filter(|until| **until > now).count()
    }

    /// Loses all of them, as a restart does.
    pub fn restart(&mut self) {
        self.tags.clear();
    }

    /// Answers a PUBLISH.
    pub(super) fn publish(&mut self, now: Instant, request: &Request) -> Response {
        let headers = &request.headers;
        if headers.get(HeaderName::Event).is_none() {
            return Response::to_request(request, Status::BAD_EVENT, Some(TAG));
        }
        self.tags.retain(|_, until| *until > now);
        if let Some(tag) = headers.get(HeaderName::SipIfMatch) {
            let tag = String::from_utf8_lossy(tag);
            if self.tags.remove(&*tag).is_none() {
                // RFC 3903, 6, item 4
                let status = Status::CONDITIONAL_REQUEST_FAILED;
                return Response::to_request(request, status, Some(TAG));
            }
        }
        let wish = headers.typed::<Expires>().and_then(Result::ok);
        let seconds = wish.map_or(DEFAULT, |wish| wish.0).min(LONGEST);
        let mut response = Response::to_request(request, Status::OK, Some(TAG));
        self.serial += 1;
        let tag = format!("e{}", self.serial);
        response.headers.push(HeaderName::SipETag, tag.as_str());
        response.headers.push(HeaderName::Expires, seconds);
        if seconds > 0 {
            let life = Duration::from_secs(seconds.into());
            self.tags.insert(tag, now + life);
        }
        response
    }
}

const TAG: &str = "compositor";
const DEFAULT: u32 = 3_600;
const LONGEST: u32 = 7_200;
