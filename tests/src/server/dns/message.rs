//! Messages as RFC 1035, 4 has them, without compression.

/// A query for one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Query {
    pub(super) id: u16,
    /// In lower case, without the final dot.
    pub(super) name: String,
    pub(super) kind: u16,
}

impl Query {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let is_query = word(2)? & 0xF800 == 0;
        if !is_query || word(4)? != 1 {
            return None;
        }
        let mut at = HEADER;
        let mut labels = Vec::new();
        loop {
            let len = usize::from(*bytes.get(at)?);
            at += 1;
            if len == 0 {
                break;
            }
            let label = bytes.get(at..at + len)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += len;
        }
        Some(Self {
            id: word(0)?,
            name: labels.join("."),
            kind: word(at)?,
        })
    }
}

/// A record, its data as it stands in a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) kind: u16,
    pub(super) ttl: u32,
    pub(super) data: Vec<u8>,
}

/// A reply to a [`Query`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reply {
    pub(super) id: u16,
    pub(super) question: Query,
    pub(super) truncated: bool,
    pub(super) recursion_available: bool,
    pub(super) code: u8,
    pub(super) answers: Vec<Record>,
    pub(super) authority: Vec<Record>,
    pub(super) additional: Vec<Record>,
}

impl Reply {
    pub(super) fn new(query: &Query) -> Self {
        Self {
            id: query.id,
            question: query.clone(),
            truncated: false,
            recursion_available: true,
            code: 0,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    pub(super) fn refused(query: &Query, code: u8) -> Self {
        Self {
            code,
            ..Self::new(query)
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // QR, RD.
        let mut flags = 0x8100 | u16::from(self.code);
        if self.truncated {
            flags |= 0x0200;
        }
        if self.recursion_available {
            flags |= 0x0080;
        }
        let sections = [&self.answers, &self.authority, &self.additional];
        let count = |records: &Vec<Record>| u16::try_from(records.len()).unwrap_or(u16::MAX);
        let mut bytes = Vec::new();
        for word in [self.id, flags, 1].into_iter().chain(sections.map(count)) {
            bytes.extend(word.to_be_bytes());
        }
        put_name(&mut bytes, &self.question.name);
        bytes.extend(self.question.kind.to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        for record in sections.into_iter().flatten() {
            put_name(&mut bytes, &record.name);
            bytes.extend(record.kind.to_be_bytes());
            bytes.extend(INTERNET.to_be_bytes());
            bytes.extend(record.ttl.to_be_bytes());
            let len = u16::try_from(record.data.len()).unwrap_or(u16::MAX);
            bytes.extend(len.to_be_bytes());
            bytes.extend(&record.data);
        }
        bytes
    }
}

/// RFC 1035, 3.1
pub(super) fn put_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        put_text(bytes, label);
    }
    bytes.push(0);
}

/// RFC 1035, 3.3: a length and so many bytes.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend(text.bytes());
}

const HEADER: usize = 12;
const INTERNET: u16 = 1;
