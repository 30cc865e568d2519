//! The messages of the generator, which knows nothing of the stack that it drives.

use std::net::SocketAddr;

/// A description of the usual size.
pub(super) const SDP: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\ns=-\r\n\
    c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

/// A request of a transaction or a call with a number: `to` is the whole value of To.
pub(super) fn request(
    method: &str,
    uri: &str,
    to: &str,
    number: u64,
    sequence: u32,
    from: SocketAddr,
) -> String {
    let (content, body) = match method {
        "INVITE" => ("Content-Type: application/sdp\r\n", SDP),
        "MESSAGE" => ("Content-Type: text/plain\r\n", "Good morning."),
        _ => ("", ""),
    };
    // The ACK of a 2xx and a BYE are transactions of their own (RFC 3261, 13.2.2.4).
    format!(
        "{method} {uri} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK{number}{method};rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Load\" <sip:load@{from}>;tag=load{number}\r\n\
         To: {to}\r\n\
         Call-ID: {number}@load\r\n\
         CSeq: {sequence} {method}\r\n\
         Contact: <sip:load@{from}>\r\n\
         User-Agent: load\r\n\
         {content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The value of a header, as it stands.
pub(super) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let lines = message.split("\r\n").take_while(|line| !line.is_empty());
    let mut lines = lines.filter_map(|line| line.split_once(':'));
    lines
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The URI of a Contact.
pub(super) fn contact(message: &str) -> Option<&str> {
    let value = header(message, "Contact")?;
    let (_, rest) = value.split_once('<')?;
    rest.split_once('>').map(|(uri, _)| uri)
}

/// The number in a Call-ID.
pub(super) fn number(message: &str) -> Option<u64> {
    header(message, "Call-ID")?.split_once('@')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let from = "127.0.0.1:5062".parse().unwrap();
        let text = request("INVITE", "sip:a@b", "<sip:a@b>;tag=1", 17, 2, from);
        assert_eq!(header(&text, "to"), Some("<sip:a@b>;tag=1"));
        assert_eq!(contact(&text), Some("sip:load@127.0.0.1:5062"));
        assert_eq!(number(&text), Some(17));
        let message = sipsimple::sip::Message::parse(text.into_bytes().into());
        assert!(message.is_ok());
    }
}
