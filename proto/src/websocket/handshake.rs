//! The opening handshake of a client (RFC 6455, 4.1; RFC 7118, 4.1).

use super::CloseCode;
use base::{HostPort, Rng};
use data_encoding::BASE64;
use sha1::{Digest as _, Sha1};

/// What a handshake waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Expected {
    /// The value of Sec-WebSocket-Accept.
    accept: String,
}

/// Why a server is none for SIP: its status, or 101 with headers that are not those of RFC 6455.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Refused(pub(super) u16);

/// Writes the request.
pub(super) fn request(host: &HostPort, path: &str, rng: &mut Rng) -> (Expected, String) {
    let mut nonce = [0; 16];
    rng.fill(&mut nonce);
    let key = BASE64.encode(&nonce);
    let text = format!(
        "GET {path} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    let accept = accept(&key);
    (Expected { accept }, text)
}

/// What a server makes of a key (RFC 6455, 4.2.2).
pub(crate) fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(GUID);
    BASE64.encode(&hash.finalize())
}

impl Expected {
    /// Reads the response; `None` if it is not whole, otherwise its length.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Option<usize>, Refused> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_RESPONSE => return Ok(None),
            Ok(httparse::Status::Partial) | Err(_) => {
                return Err(Refused(CloseCode::PROTOCOL_ERROR.0));
            }
        };
        let code = response.code.unwrap_or_default();
        match code == 101 && self.is_met(response.headers) {
            true => Ok(Some(length)),
            false => Err(Refused(code)),
        }
    }

    /// RFC 6455, 4.1, 1 to 6; RFC 7118, 4.1: a server that does not choose `sip` does not speak it.
    fn is_met(&self, headers: &[httparse::Header<'_>]) -> bool {
        let values = |name: &'static str| {
            let named = headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name));
            named.map(|header| header.value.trim_ascii())
        };
        let one = |name| {
            let mut values = values(name);
            values.next().filter(|_| values.next().is_none())
        };
        let has_token = |name, token: &str| {
            let mut tokens = values(name).flat_map(|value| value.split(|&byte| byte == b','));
            tokens.any(|value| value.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
        };
        one("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
            && has_token("connection", "upgrade")
            && one("sec-websocket-accept") == Some(self.accept.as_bytes())
            && one("sec-websocket-protocol")
                .is_some_and(|value| value.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()))
            // None was asked for.
            && values("sec-websocket-extensions").next().is_none()
    }
}

/// RFC 7118, 4.1
const SUBPROTOCOL: &str = "sip";
/// RFC 6455, 1.3
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Servers send half a dozen.
const MAX_HEADERS: usize = 64;
/// A longer response is no answer to this request.
pub(super) const MAX_RESPONSE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, 1.3.
    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
