//! An event state compositor (RFC 3903, 6).

use bytes::Bytes;
use sip::{HeaderName, Request, Response, Status, header::Expires};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Keeps what is published under entity tags, as a [`Proxy`](super::Proxy) or a
/// [`Presence`](super::Presence) server hands it in.
#[derive(Debug, Default)]
pub struct Compositor {
    /// By the number of their entity tags.
    publications: BTreeMap<u32, Publication>,
    serial: u32,
}

#[derive(Debug)]
struct Publication {
    /// Whose state it is.
    user: String,
    document: Document,
    /// Until when its entity tag is good.
    until: Instant,
}

/// What is published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Document {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Compositor {
    /// Begins without any publication.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many publications there are.
    pub fn published(&self, now: Instant) -> usize {
        self.alive(now).count()
    }

    /// Loses all of them, as a restart does.
    pub fn restart(&mut self) {
        self.publications.clear();
    }

    /// The state of a user: of several publications the last one (RFC 3903, 6 leaves the composition to
    /// us).
    pub(super) fn state(&self, now: Instant, user: &str) -> Option<&Document> {
        let of_user = self.alive(now).filter(|known| known.user == user);
        of_user.last().map(|known| &known.document)
    }

    /// When the next publication is over.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.publications.values().map(|known| known.until).min()
    }

    /// Forgets what is over; returns whose state that was.
    pub(super) fn expire(&mut self, now: Instant) -> BTreeSet<String> {
        let mut users = BTreeSet::new();
        self.publications.retain(|_, known| {
            let is_over = known.until <= now;
            if is_over {
                users.insert(known.user.clone());
            }
            !is_over
        });
        users
    }

    /// Answers a PUBLISH.
    pub(super) fn publish(&mut self, now: Instant, request: &Request) -> Response {
        let headers = &request.headers;
        let refuse = |status| Response::to_request(request, status, Some(TAG));
        if headers.get(HeaderName::Event).is_none() {
            return refuse(Status::BAD_EVENT);
        }
        let user = request.uri.user().unwrap_or_default();
        let before = match headers.get(HeaderName::SipIfMatch) {
            None => None,
            Some(tag) => {
                let is_good = |known: &&Publication| known.until > now && known.user == user;
                let tag = number_of(tag);
                let known = tag.and_then(|tag| self.publications.get(&tag).filter(is_good));
                let Some(document) = known.map(|known| known.document.clone()) else {
                    // RFC 3903, 6, item 4
                    return refuse(Status::CONDITIONAL_REQUEST_FAILED);
                };
                self.publications.retain(|known, _| Some(*known) != tag);
                Some(document)
            }
        };
        let content_type = headers.get(HeaderName::ContentType);
        let content_type = String::from_utf8_lossy(content_type.unwrap_or_default());
        let body = request.body.clone();
        // RFC 3903, 4.1: without a body it is the one of before that lives on.
        let Some(document) = before.filter(|_| body.is_empty()).or_else(|| {
            (!body.is_empty()).then(|| Document {
                content_type: content_type.into_owned(),
                body,
            })
        }) else {
            return refuse(Status::BAD_REQUEST);
        };
        let wish = headers.typed::<Expires>().and_then(Result::ok);
        let seconds = wish.map_or(DEFAULT, |wish| wish.0).min(LONGEST);
        let mut response = refuse(Status::OK);
        self.serial += 1;
        response
            .headers
            .push(HeaderName::SipETag, format!("e{}", self.serial).as_str());
        response.headers.push(HeaderName::Expires, seconds);
        if seconds > 0 {
            let publication = Publication {
                user: user.to_owned(),
                document,
                until: now + Duration::from_secs(seconds.into()),
            };
            self.publications.insert(self.serial, publication);
        }
        response
    }

    fn alive(&self, now: Instant) -> impl Iterator<Item = &Publication> {
        self.publications
            .values()
            .filter(move |known| known.until > now)
    }
}

fn number_of(tag: &[u8]) -> Option<u32> {
    std::str::from_utf8(tag)
        .ok()?
        .strip_prefix('e')?
        .parse()
        .ok()
}

const TAG: &str = "compositor";
const DEFAULT: u32 = 3_600;
const LONGEST: u32 = 7_200;
