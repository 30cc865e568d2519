//! What names a dialog, and the index that finds it.

use crate::{DialogId, Request, Response};
use base::{Index, Rng};
use smallvec::SmallVec;

/// What a dialog is found by: Call-ID and both tags (RFC 3261, 12). Addresses are not part of it, as
/// they may change in mid-dialog (RFC 4916).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DialogKey(SmallVec<[u8; INLINE]>);

impl DialogKey {
    /// Puts a key together; `None` is the null tag of a peer that gave none.
    ///
    /// Tags are tokens and compared in any case (RFC 3261, 7.3.1), Call-IDs are not (20.8).
    pub fn new(call_id: &str, local_tag: &str, remote_tag: Option<&str>) -> Self {
        let mut key = SmallVec::new();
        for tag in [local_tag, remote_tag.unwrap_or_default()] {
            key.extend_from_slice(tag.as_bytes());
            key.push(b'\n');
        }
        key.make_ascii_lowercase();
        key.extend_from_slice(call_id.as_bytes());
        Self(key)
    }

    /// The dialog that a request from the peer belongs to; `None` without To tag.
    pub fn of_request(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        let (from, to) = (headers.from().ok()?, headers.to().ok()?);
        Some(Self::new(headers.call_id().ok()?, to.tag()?, from.tag()))
    }

    /// The dialog that a response of the peer belongs to, or makes; `None` without From tag.
    pub fn of_response(response: &Response) -> Option<Self> {
        let headers = &response.headers;
        let (from, to) = (headers.from().ok()?, headers.to().ok()?);
        Some(Self::new(headers.call_id().ok()?, from.tag()?, to.tag()))
    }
}

/// All dialogs of an endpoint by what the wire says.
#[derive(Debug)]
pub struct DialogIndex {
    index: Index<DialogKey, DialogId>,
}

impl DialogIndex {
    /// Makes an empty index, keyed from `rng`.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            index: Index::new(rng),
        }
    }

    /// Enters a dialog, and returns the one that had its key.
    pub fn insert(&mut self, key: DialogKey, dialog: DialogId) -> Option<DialogId> {
        self.index.insert(key, dialog)
    }

    /// Finds a dialog.
    pub fn get(&self, key: &DialogKey) -> Option<DialogId> {
        self.index.get(key).copied()
    }

    /// Takes a dialog out.
    pub fn remove(&mut self, key: &DialogKey) -> Option<DialogId> {
        self.index.remove(key)
    }

    /// How many dialogs there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// The identifiers of a dialog in one piece of memory.
#[derive(Clone)]
pub(super) struct Identifiers {
    text: Box<[u8]>,
    /// Where each but the last ends.
    ends: [u32; 4],
}

impl Identifiers {
    pub(super) fn new(
        call_id: &str,
        local_tag: &str,
        remote_tag: Option<&str>,
        local_address: &[u8],
        remote_address: &[u8],
    ) -> Self {
        let remote_tag = remote_tag.unwrap_or_default();
        let parts = [
            call_id.as_bytes(),
            local_tag.as_bytes(),
            remote_tag.as_bytes(),
            local_address,
            remote_address,
        ];
        let mut text = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
        let mut ends = [0; 4];
        for (n, part) in parts.into_iter().enumerate() {
            text.extend_from_slice(part);
            if let Some(end) = ends.get_mut(n) {
                *end = u32::try_from(text.len()).expect("shorter than the head of a message");
            }
        }
        Self {
            text: text.into(),
            ends,
        }
    }

    pub(super) fn call_id(&self) -> &str {
        self.text(0)
    }

    pub(super) fn local_tag(&self) -> &str {
        self.text(1)
    }

    pub(super) fn remote_tag(&self) -> Option<&str> {
        Some(self.text(2)).filter(|tag| !tag.is_empty())
    }

    pub(super) fn local_address(&self) -> &[u8] {
        self.part(3)
    }

    pub(super) fn remote_address(&self) -> &[u8] {
        self.part(4)
    }

    fn text(&self, nth: usize) -> &str {
        std::str::from_utf8(self.part(nth)).expect("made of text")
    }

    fn part(&self, nth: usize) -> &[u8] {
        let place = |n: usize| {
            self.ends
                .get(n)
                .map_or(self.text.len(), |&end| end as usize)
        };
        let start = if nth == 0 { 0 } else { place(nth - 1) };
        &self.text[start..place(nth)]
    }
}

impl std::fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tag = self.remote_tag().unwrap_or("-");
        write!(f, "{} {} {tag}", self.call_id(), self.local_tag())
    }
}

/// Holds two tags and a Call-ID without the heap.
const INLINE: usize = 80;
