//! SDP: whatever is read is printed and read again as the same.

use sdp::{Candidate, Fragment, Session};

/// Parses a description, prints it, parses it again and asks it all that it can be asked; and the same text as
/// a part of one.
///
/// # Panics
/// The second reading differs from the first, a limit is exceeded, or a query panics.
pub fn sdp(data: &[u8]) {
    let fragment = Fragment::parse(data);
    if let Ok(fragment) = &fragment {
        ask(fragment);
    }
    let Ok(session) = Session::parse(data) else {
        return;
    };
    // A whole description is a part, too.
    let fragment = fragment.expect("what is read as a whole is read as a part");
    assert_eq!(fragment.attributes, session.attributes);
    assert_eq!(fragment.media, session.media);
    assert!(session.media.len() <= sdp::MAX_MEDIA);
    let attributes: usize = session
        .media
        .iter()
        .map(|media| media.attributes.len())
        .sum();
    assert!(session.attributes.len() + attributes <= sdp::MAX_ATTRIBUTES);

    let printed = session.print();
    // Bytes that are no UTF-8 become three each, so that a text near the limit may exceed it.
    if printed.len() <= sdp::MAX_TEXT {
        let again = Session::parse(printed.as_bytes()).expect("what is printed is read");
        assert_eq!(again, session);
        assert_eq!(again.print(), printed);
    }
    for (index, media) in session.media.iter().enumerate() {
        assert!(media.formats.len() <= sdp::MAX_FORMATS);
        let codecs = media.codecs();
        assert!(
            codecs
                .iter()
                .all(|codec| codec.payload_type < 128 && codec.clock_rate > 0)
        );
        let address = session.media_address(index);
        assert!(address.is_none_or(|address| !address.ip().is_unspecified()));
        let _ = (
            session.rtcp_address(index),
            session.is_held(index),
            session.direction(index),
        );
        let _ = (
            media.ptime(),
            media.maxptime(),
            media.mid(),
            media.rtp_profile(),
        );
    }
}

fn ask(fragment: &Fragment) {
    assert!(fragment.media.len() <= sdp::MAX_MEDIA);
    for (index, media) in fragment.media.iter().enumerate() {
        assert!(fragment.section(None, index).is_some());
        assert!(fragment.section(media.mid(), index).is_some());
        let lines = media.attributes.all("candidate");
        let addresses = lines
            .filter_map(Candidate::read)
            .filter_map(|line| line.udp_address());
        let _ = addresses.count();
    }
    assert!(fragment.section(None, fragment.media.len()).is_none());
}
