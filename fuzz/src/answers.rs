//! What hostile servers say: structured garbage that fits to what was asked.

use arbitrary::Unstructured;

/// A reply to a query of DNS (RFC 1035, 4): sane, wounded, or nonsense.
pub(crate) fn dns(query: &[u8], input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    if query.len() < HEADER || input.int_in_range(0..=7u8)? == 0 {
        return Ok(piece(input)?.to_vec());
    }
    let flags = *input.choose(&[
        0x8180u16, 0x8180, 0x8180, 0x8380, 0x8182, 0x8183, 0x8185, 0x8100,
    ])?;
    let records = input.int_in_range(0..=5u8)?;
    let is_kept = input.int_in_range(0..=7u8)? != 0;
    let mut reply = query[..2].to_vec();
    reply.extend(flags.to_be_bytes());
    reply.extend([0, 1, 0, records, 0, input.int_in_range(0..=1u8)?, 0, 0]);
    reply.extend(&query[HEADER..]);
    for _ in 0..=records {
        record(&mut reply, query, input)?;
    }
    if !is_kept {
        let at = usize::from(input.arbitrary::<u16>()?) % reply.len();
        reply[at] ^= input.arbitrary::<u8>()?;
    }
    Ok(reply)
}

fn record(
    reply: &mut Vec<u8>,
    query: &[u8],
    input: &mut Unstructured<'_>,
) -> arbitrary::Result<()> {
    // The name of the question, what it stands below, or a pointer anywhere.
    match input.int_in_range(0..=4u8)? {
        0 => reply.extend([0xC0 | input.int_in_range(0..=3u8)?, input.arbitrary()?]),
        1 => reply.push(0),
        _ => reply.extend([0xC0, 12]),
    }
    let asked = query.get(query.len() - 4..query.len() - 2);
    let asked = asked.map_or(1, |kind| u16::from_be_bytes([kind[0], kind[1]]));
    let kind = *input.choose(&[asked, asked, asked, 1, 2, 5, 6, 16, 28, 33, 35])?;
    reply.extend(kind.to_be_bytes());
    reply.extend([0, 1]);
    reply.extend(input.arbitrary::<u32>()?.to_be_bytes());
    let mut data = Vec::new();
    match (input.int_in_range(0..=5u8)?, kind) {
        (0, _) => data.extend(piece(input)?),
        (_, 1) => data.extend([192, 0, 2, input.arbitrary()?]),
        (_, 28) => data.extend([
            0x20,
            1,
            0xd,
            0xb8,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            input.arbitrary()?,
        ]),
        (_, 33) => {
            data.extend([0, input.arbitrary()?, 0, input.arbitrary()?]);
            data.extend(*input.choose(&[[0x13, 0xC4], [0, 0], [0xFF, 0xFF]])?);
            name(&mut data, input)?;
        }
        (_, 35) => {
            data.extend([0, input.arbitrary()?, 0, input.arbitrary()?]);
            let flags = *input.choose(&["s", "S", "u", "a", ""])?;
            let service = *input.choose(&["SIP+D2U", "sip+d2t", "SIPS+D2T", "SIP+D2S", "x"])?;
            for text in [flags, service, *input.choose(&["", "!^.*$!sip:x!"])?] {
                data.push(text.len() as u8);
                data.extend(text.bytes());
            }
            name(&mut data, input)?;
        }
        (_, 2 | 5 | 6) => {
            name(&mut data, input)?;
            if kind == 6 {
                data.push(0);
                data.extend([0; 16]);
                data.extend(input.arbitrary::<u32>()?.to_be_bytes());
            }
        }
        _ => {
            let text = *input.choose(&["https://xcap.example.com/root", "v=spf1", ""])?;
            data.push(text.len() as u8);
            data.extend(text.bytes());
        }
    }
    reply.extend((data.len() as u16).to_be_bytes());
    reply.extend(data);
    Ok(())
}

fn name(data: &mut Vec<u8>, input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    match input.int_in_range(0..=5u8)? {
        0 => data.push(0),
        1 => data.extend([0xC0, 12]),
        2 => data.extend([0xC0 | input.int_in_range(0..=3u8)?, input.arbitrary()?]),
        n => {
            let label = [b'a' + n, b'0' + input.int_in_range(0..=9u8)?];
            data.push(2);
            data.extend(label);
            data.extend([0xC0, 12]);
        }
    }
    Ok(())
}

/// A response to a request of SIP, with headers that registrars, presence servers and proxies write.
pub(crate) fn sip(request: &str, input: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    if input.int_in_range(0..=15u8)? == 0 {
        return Ok(piece(input)?.to_vec());
    }
    let line = *input.choose(&STATUS)?;
    let mut text = format!("SIP/2.0 {line}\r\n");
    let mut contact = "<sip:x@192.0.2.9>";
    for header in request.split("\r\n").take_while(|line| !line.is_empty()) {
        let Some((name, value)) = header.split_once(": ") else {
            continue;
        };
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" => text += &format!("{header}\r\n"),
            "To" if value.contains("tag=") => text += &format!("{header}\r\n"),
            "To" => text += &format!("{header};tag=t\r\n"),
            "Contact" => contact = value,
            _ => {}
        }
    }
    for _ in 0..input.int_in_range(0..=4u8)? {
        let n: u16 = input.arbitrary()?;
        let seconds = *input.choose(&[u32::from(n), u32::from(n % 90), u32::MAX, 0])?;
        text += &match input.int_in_range(0..=16u8)? {
            0 => format!("Contact: {contact};expires={seconds}\r\n"),
            1 => format!(
                "Contact: <sip:other@192.0.2.{}>;expires={seconds}\r\n",
                n % 256
            ),
            2 => format!("Expires: {seconds}\r\n"),
            3 => format!("Min-Expires: {seconds}\r\n"),
            4 => format!("Retry-After: {seconds} (later);duration={n}\r\n"),
            5 => format!("SIP-ETag: e{n}\r\n"),
            6 => format!("Service-Route: <sip:192.0.2.{};lr>\r\n", n % 256),
            7 => "Path: <sip:192.0.2.8;lr;ob>\r\nRequire: outbound\r\n".to_owned(),
            8 => format!("Flow-Timer: {seconds}\r\n"),
            9 => challenge("WWW-Authenticate", input)?,
            10 => challenge("Proxy-Authenticate", input)?,
            11 => format!("Authentication-Info: nextnonce=\"{n}\", rspauth=\"{seconds:x}\"\r\n"),
            12 => "Unsupported: path, outbound, gruu\r\n".to_owned(),
            13 => format!("P-Associated-URI: <sip:other{n}@example.com>\r\n"),
            14 => format!("Accept: text/plain\r\nWarning: 399 x \"{n}\"\r\n"),
            15 => format!("Date: Sat, 13 Nov 2010 23:29:{:02} GMT\r\n", n % 100),
            _ => format!("{}\r\n", String::from_utf8_lossy(piece(input)?)),
        };
    }
    let body = match request.starts_with("INVITE ") {
        true => *input.choose(&["", ANSWER, HELD, SEALED])?,
        false => "",
    };
    if !body.is_empty() {
        text += "Contact: <sip:192.0.2.9>\r\nContent-Type: application/sdp\r\n";
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    let mut bytes = text.into_bytes();
    if input.int_in_range(0..=7u8)? == 0 {
        let at = usize::from(input.arbitrary::<u16>()?) % bytes.len();
        bytes.splice(at..at, piece(input)?.iter().copied());
    }
    Ok(bytes)
}

/// A request within what a request of the agent has begun or would like to, of its subscription or call; nothing
/// for a request that begins nothing.
pub(crate) fn request(
    ours: &str,
    input: &mut Unstructured<'_>,
) -> arbitrary::Result<Option<Vec<u8>>> {
    let header = |name: &str| {
        let mut lines = ours.split("\r\n");
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let (Some(from), Some(to), Some(call)) = (header("From"), header("To"), header("Call-ID"))
    else {
        return Ok(None);
    };
    let tag = *input.choose(&[";tag=t", ";tag=t", ";tag=other", ""])?;
    let tag = if to.contains("tag=") { "" } else { tag };
    let (number, branch): (u8, u8) = (input.arbitrary()?, input.arbitrary()?);
    let method = match ours.split(' ').next() {
        Some("SUBSCRIBE") => "NOTIFY",
        Some("INVITE") => *input.choose(&["BYE", "INVITE", "INFO", "UPDATE"])?,
        _ => return Ok(None),
    };
    let mut text = format!(
        "{method} sip:agent@192.0.2.4 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK{branch}\r\n\
         From: {to}{tag}\r\nTo: {from}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n\
         Max-Forwards: 70\r\nContact: <sip:192.0.2.9:5062>\r\n"
    );
    let body = match method {
        "NOTIFY" => {
            let event = header("Event").unwrap_or("presence");
            let event = *input.choose(&[event, event, event, "other"])?;
            let state = *input.choose(&STATES)?;
            let seconds: u16 = input.arbitrary()?;
            text += &format!("Event: {event}\r\nSubscription-State: {state}{seconds}\r\n");
            let (kind, body) = *input.choose(&DOCUMENTS)?;
            text += kind;
            body
        }
        "INVITE" | "UPDATE" => {
            text += "Content-Type: application/sdp\r\n";
            *input.choose(&[ANSWER, HELD, SEALED, ""])?
        }
        _ => "",
    };
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    Ok(Some(text.into_bytes()))
}

fn challenge(name: &str, input: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let realm = *input.choose(&["example.com", "x", ""])?;
    let algorithm = *input.choose(&["MD5", "SHA-256", "SHA-512-256", "MD5-sess", "none"])?;
    let qop = *input.choose(&["", ", qop=\"auth\"", ", qop=\"auth-int,auth\"", ", qop=x"])?;
    let stale = *input.choose(&["", ", stale=TRUE", ", opaque=\"\""])?;
    let nonce: u8 = input.arbitrary()?;
    Ok(format!(
        "{name}: Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}{qop}{stale}\r\n"
    ))
}

/// Some bytes: a length of one byte, and what follows.
pub(crate) fn piece<'a>(input: &mut Unstructured<'a>) -> arbitrary::Result<&'a [u8]> {
    let len = usize::from(input.arbitrary::<u8>()?).min(input.len());
    input.bytes(len)
}

const HEADER: usize = 12;
/// States of a subscription, up to a number of seconds (RFC 6665, 4.1.3).
const STATES: [&str; 8] = [
    "active;expires=",
    "pending;expires=",
    "terminated;reason=deactivated;x=",
    "terminated;reason=probation;retry-after=",
    "terminated;reason=rejected;x=",
    "terminated;reason=timeout;x=",
    "terminated;reason=giveup;retry-after=",
    "waiting;expires=",
];
/// The header of what a notification says, and that.
const DOCUMENTS: [(&str, &str); 3] = [
    ("", ""),
    (
        "Content-Type: application/pidf+xml\r\n",
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:a@example.com\"/>",
    ),
    (
        "Content-Type: application/simple-message-summary\r\n",
        "Messages-Waiting: yes\r\n",
    ),
];
const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0 8\r\n";
const HELD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
    m=audio 40002 RTP/AVP 8\r\na=sendonly\r\n";
/// What nobody has offered.
const SEALED: &str = "v=0\r\no=- 2 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
    m=audio 40000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 \
    inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n";
const STATUS: [&str; 18] = [
    "100 Trying",
    "183 Progress",
    "200 OK",
    "200 OK",
    "200 OK",
    "202 Accepted",
    "301 Moved",
    "401 Unauthorized",
    "401 Unauthorized",
    "407 Proxy Authentication Required",
    "408 Timeout",
    "412 Conditional Request Failed",
    "413 Too Large",
    "420 Bad Extension",
    "423 Interval Too Brief",
    "439 First Hop Lacks Outbound Support",
    "481 No",
    "503 Service Unavailable",
];
