//! What descriptions say of ICE.

use super::describe::{Told, told};
use ice::Kind;

/// A description whose lines of media are these.
fn session(media: &str) -> sdp::Session {
    let text =
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
    sdp::Session::parse(text.as_bytes()).unwrap()
}

fn read(media: &str) -> Told {
    told(&session(media), 0)
}

const LINE: &str = "m=audio 4000 RTP/AVP 0\r\n";
const KEYS: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n";
const HOST: &str = "a=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host\r\n";

#[test]
fn candidates_that_are_of_no_use_are_left_out_and_duplicates_harm_nobody() {
    let media = format!(
        "{LINE}a=rtcp:4001\r\n{KEYS}{HOST}{HOST}\
         a=candidate:1 2 udp 2130706430 192.0.2.1 4001 typ host generation 0\r\n\
         a=candidate:2 1 TCP 2105458943 192.0.2.1 9 typ host tcptype active\r\n\
         a=candidate:3 1 UDP 2122260223 host.local 4000 typ host\r\n\
         a=candidate:4 1 UDP 1 192.0.2.1 4002 typ token\r\n\
         a=candidate:5 1 UDP 1694498815 198.51.100.7 0 typ srflx raddr 192.0.2.1 rport 4000\r\n\
         a=candidate:6 1 UDP 1694498815 198.51.100.7 4000 typ srflx raddr 192.0.2.1 rport 4000\r\n"
    );
    let Told::Description {
        description,
        is_modern,
    } = read(&media)
    else {
        panic!("{:?}", read(&media));
    };
    let kinds: Vec<(u8, Kind)> = description
        .candidates
        .iter()
        .map(|candidate| (candidate.component, candidate.kind))
        .collect();
    let host = (1, Kind::Host);
    assert_eq!(
        kinds,
        [host, host, (2, Kind::Host), (1, Kind::ServerReflexive)]
    );
    assert_eq!(
        description.candidates[3].related,
        "192.0.2.1:4000".parse().ok()
    );
    assert_eq!(description.credentials.ufrag, "abcd");
    assert!(!is_modern && !description.is_lite && !description.is_trickling);
}

/// RFC 8839, 4.2.5.
#[test]
fn an_address_that_is_no_candidate_is_a_mismatch() {
    let changed = format!("m=audio 4444 RTP/AVP 0\r\n{KEYS}{HOST}");
    assert_eq!(read(&changed), Told::Mismatch);
    let none = format!("{LINE}{KEYS}");
    assert_eq!(read(&none), Told::Mismatch);
    let rtcp = format!(
        "{LINE}a=rtcp:4444\r\n{KEYS}{HOST}a=candidate:1 2 UDP 2130706430 192.0.2.1 4001 typ host\r\n"
    );
    assert_eq!(read(&rtcp), Told::Mismatch);
    let said = format!("{LINE}a=ice-mismatch\r\n");
    assert_eq!(read(&said), Told::Mismatch);
    assert_eq!(read(LINE), Told::Nothing);
    let long = format!(
        "{LINE}a=ice-ufrag:abcd\r\na=ice-pwd:{}\r\n{HOST}",
        "a".repeat(257)
    );
    assert_eq!(read(&long), Told::Nothing);
    // One component: nothing is said of RTCP.
    let single = format!("{LINE}{KEYS}{HOST}");
    assert!(matches!(read(&single), Told::Description { .. }));
}

/// RFC 8840, 4.1.3: a null address and port 9 say that candidates will come.
#[test]
fn the_default_address_of_trickling_is_no_mismatch() {
    let media =
        format!("m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=ice-options:ice2 trickle\r\n{KEYS}");
    let Told::Description {
        description,
        is_modern,
    } = read(&media)
    else {
        panic!("{:?}", read(&media));
    };
    assert!(description.is_trickling && is_modern);
    assert!(!session(&media).is_held(0));
    let ended = format!("{media}a=end-of-candidates\r\n");
    assert_eq!(read(&ended), Told::Mismatch);
}

/// RFC 8839, 5.3 and 5.4: keys may stand at the level of the session; so does the word of a lite peer.
#[test]
fn keys_of_the_session_are_those_of_its_lines() {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=ice-lite\r\n{KEYS}{LINE}{HOST}"
    );
    let session = sdp::Session::parse(text.as_bytes()).unwrap();
    match told(&session, 0) {
        Told::Description { description, .. } => assert!(description.is_lite),
        other => panic!("{other:?}"),
    }
    assert_eq!(told(&session, 1), Told::Nothing);
}
