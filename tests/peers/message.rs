//! SIP messages, read without the library that is tested.

/// A message as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) start: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The bytes on the wire.
    pub(crate) raw: Vec<u8>,
}

/// A message that was seen on its way.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Seconds.
    pub(crate) at: f64,
    /// True if we sent it, false if the peer did.
    pub(crate) is_ours: bool,
    pub(crate) message: Message,
}

impl Message {
    /// Reads a datagram: what is left after the head is the body.
    pub(crate) fn of_datagram(bytes: &[u8]) -> Option<Self> {
        let (head, body) = head(bytes)?;
        Self::new(head, &bytes[body..], bytes)
    }

    /// Reads the first message of a stream, and says how many bytes it has.
    pub(crate) fn of_stream(bytes: &[u8]) -> Option<(Self, usize)> {
        let (text, body) = head(bytes)?;
        let message = Self::new(text, b"", b"")?;
        let end = body + message.header("content-length")?.parse::<usize>().ok()?;
        let message = Self::new(text, bytes.get(body..end)?, &bytes[..end])?;
        Some((message, end))
    }

    fn new(head: &str, body: &[u8], raw: &[u8]) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        if !start.starts_with("SIP/2.0 ") && !start.ends_with(" SIP/2.0") {
            return None;
        }
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            match headers.last_mut() {
                Some((_, value)) if line.starts_with([' ', '\t']) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => {
                    let (name, value) = line.split_once(':')?;
                    headers.push((full_name(name.trim()), value.trim().to_owned()));
                }
            }
        }
        Some(Self {
            start,
            headers,
            body: body.to_vec(),
            raw: raw.to_vec(),
        })
    }

    /// The first header of a name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// All headers of a name in lower case.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Method and target of a request.
    pub(crate) fn request(&self) -> Option<(&str, &str)> {
        let rest = self.start.strip_suffix(" SIP/2.0")?;
        rest.split_once(' ')
    }

    pub(crate) fn is_request(&self, method: &str) -> bool {
        self.request().is_some_and(|(known, _)| known == method)
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub(crate) fn call_id(&self) -> &str {
        self.header("call-id").unwrap_or_default()
    }

    /// The branch of the topmost Via.
    pub(crate) fn branch(&self) -> &str {
        self.header("via")
            .and_then(|via| parameter(via, "branch"))
            .unwrap_or_default()
    }

    /// The tag of `from` or `to`.
    pub(crate) fn tag(&self, header: &str) -> Option<&str> {
        parameter(self.header(header)?, "tag")
    }

    pub(crate) fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("cseq")?.split_once(' ')?;
        Some((number.trim().parse().ok()?, method.trim()))
    }

    /// What a client transaction is known by: branch and method; ACK has its INVITE's.
    pub(crate) fn transaction(&self) -> (&str, &str) {
        (self.branch(), self.cseq().map_or("", |(_, method)| method))
    }

    /// The URI of the first Contact.
    pub(crate) fn contact(&self) -> Option<&str> {
        let value = self.header("contact")?;
        match value.split_once('<') {
            Some((_, rest)) => rest.split_once('>').map(|(uri, _)| uri),
            None => value.split(';').next(),
        }
    }
}

/// The messages in their order, without 100 and without those that came again.
pub(crate) fn ladder(messages: &[Seen]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut known: Vec<&[u8]> = Vec::new();
    for Seen { message, .. } in messages {
        if known.contains(&message.raw.as_slice()) || message.status() == Some(100) {
            continue;
        }
        known.push(&message.raw);
        let word = match (message.request(), message.status(), message.cseq()) {
            (Some((method, _)), ..) => method.to_owned(),
            (None, Some(status), Some((_, "INVITE"))) => status.to_string(),
            (None, status, cseq) => format!(
                "{}/{}",
                status.unwrap_or(0),
                cseq.map_or("", |(_, method)| method)
            ),
        };
        words.push(word);
    }
    words.join(" ")
}

/// A parameter of a header that has no `<` and `"` in it where parameters are.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let parameters = value.rsplit('>').next()?;
    parameters.split(';').skip(1).find_map(|parameter| {
        let (known, value) = parameter.split_once('=')?;
        known
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim())
    })
}

/// Start line and headers, and where the body begins.
fn head(bytes: &[u8]) -> Option<(&str, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, end + 4))
}

fn full_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let full = match name.as_str() {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        "c" => "content-type",
        "k" => "supported",
        "s" => "subject",
        _ => return name,
    };
    full.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:bob@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP \
        192.0.2.2:5060;branch=z9hG4bKa;rport\r\nFrom: \"A\"\r\n <sip:alice@192.0.2.2;x=y>;tag=one\r\n\
        To: <sip:bob@192.0.2.1>\r\ni: call\r\nCSeq: 7 INVITE\r\n\
        m: <sip:alice@192.0.2.2:5062>;q=1\r\nl: 3\r\n\r\nv=0";

    #[test]
    fn fields_are_found() {
        let message = Message::of_datagram(INVITE.as_bytes()).unwrap();
        assert_eq!(message.request(), Some(("INVITE", "sip:bob@192.0.2.1")));
        assert_eq!(message.status(), None);
        assert_eq!(message.transaction(), ("z9hG4bKa", "INVITE"));
        assert_eq!(
            (message.tag("from"), message.tag("to")),
            (Some("one"), None)
        );
        assert_eq!(message.contact(), Some("sip:alice@192.0.2.2:5062"));
        assert_eq!(message.cseq(), Some((7, "INVITE")));
        assert_eq!(
            (message.call_id(), message.body.as_slice()),
            ("call", &b"v=0"[..])
        );
    }

    #[test]
    fn a_stream_is_cut_where_messages_end() {
        let bytes = [
            INVITE.as_bytes(),
            b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ]
        .concat();
        assert_eq!(Message::of_stream(&bytes[..INVITE.len() - 1]), None);
        let (_, length) = Message::of_stream(&bytes).unwrap();
        assert_eq!(length, INVITE.len());
        assert_eq!(
            Message::of_stream(&bytes[length..]).unwrap().0.status(),
            Some(200)
        );
    }

    #[test]
    fn what_is_no_message_is_none() {
        assert_eq!(Message::of_datagram(b"\r\n\r\n"), None);
        assert_eq!(
            Message::of_datagram(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"),
            None
        );
    }
}
