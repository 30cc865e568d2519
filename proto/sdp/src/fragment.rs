//! A part of a description (RFC 8840, section 9): what is told of candidates between offers and answers.

use crate::{Attributes, Media};

/// The body `application/trickle-ice-sdpfrag`: attributes, and pseudo m-lines with theirs.
///
/// Made by [`Fragment::parse`]. Of a pseudo m-line only its attributes mean anything; the rest may repeat
/// what was offered or be a default (RFC 8840, section 4.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fragment {
    /// What stands before the first pseudo m-line, and holds for all of them.
    pub attributes: Attributes,
    /// The pseudo m-lines, in their order.
    pub media: Vec<Media>,
}

impl Fragment {
    /// Finds the pseudo m-line that is about an m-line of the description: by its identification tag
    /// (RFC 8840, section 4.4). One without a tag stands for the m-line at its place, and so does each
    /// where the description itself has no tags; RFC 8840 demands them of both.
    pub fn section(&self, mid: Option<&str>, index: usize) -> Option<&Media> {
        let is_named = |media: &&Media| mid.is_some() && media.mid() == mid;
        self.media.iter().find(is_named).or_else(|| {
            let media = self.media.get(index)?;
            (mid.is_none() || media.mid().is_none()).then_some(media)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, Candidate, ParseErrorKind};

    fn read(text: &str) -> Fragment {
        Fragment::parse(text.as_bytes()).expect("a fragment")
    }

    /// RFC 8840, figure 7, as it stands there but for the breaks in its lines.
    const EXAMPLE: &str = "a=ice-pwd:asd88fgpdd777uzjYhagZg\r\n\
        a=ice-ufrag:8hhY\r\n\
        m=audio 9 RTP/AVP 0\r\n\
        a=mid:1\r\n\
        a=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::1 5000 typ host\r\n\
        a=candidate:2 1 UDP 1694498815 192.0.2.3 5010 typ srflx raddr 192.0.2.1 rport 8998\r\n\
        a=end-of-candidates\r\n\
        m=audio 9 RTP/AVP 0\r\n\
        a=mid:2\r\n\
        a=candidate:1 1 UDP 2130706432 2001:db8:a0b:12f0::1 6000 typ host\r\n";

    #[test]
    fn rfc_8840_its_example() {
        let fragment = read(EXAMPLE);
        assert_eq!(fragment.attributes.value("ice-ufrag"), Some("8hhY"));
        assert!(!fragment.attributes.has("end-of-candidates"));
        let candidates = |mid: &str| -> Vec<u16> {
            let section = fragment.section(Some(mid), 7).expect("a section");
            let all = section.attributes.all("candidate");
            all.filter_map(Candidate::read)
                .map(|one| one.port)
                .collect()
        };
        assert_eq!(
            (candidates("1"), candidates("2")),
            (vec![5000, 5010], vec![6000])
        );
        let ended = |index: usize| fragment.media[index].attributes.has("end-of-candidates");
        assert_eq!([ended(0), ended(1)], [true, false]);
    }

    #[test]
    fn tags_count_and_then_places() {
        let fragment = read(EXAMPLE);
        assert_eq!(fragment.section(Some("2"), 0), fragment.media.get(1));
        assert_eq!(fragment.section(Some("audio"), 0), None);
        // The description has no tags.
        assert_eq!(fragment.section(None, 1), fragment.media.get(1));
        assert_eq!(fragment.section(None, 2), None);
        // The fragment has none.
        let bare = read("m=audio 9 RTP/AVP 0\nm=video 9 RTP/AVP 0\na=mid:v\n");
        assert_eq!(bare.section(Some("a"), 0), bare.media.first());
        assert_eq!(bare.section(Some("a"), 1), None);
        assert_eq!(bare.section(Some("v"), 0), bare.media.get(1));
    }

    #[test]
    fn what_a_fragment_may_lack_and_may_not_be() {
        assert_eq!(read(""), Fragment::default());
        let ended = read("\na=End-Of-Candidates");
        assert!(ended.attributes.has("end-of-candidates"));
        assert!(ended.media.is_empty());
        // What has no place in a fragment means nothing there.
        let whole = read("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=x\r\nt=1 2\r\nq\r\na=ice-lite\r\n");
        assert_eq!(whole.attributes.0, [Attribute::flag("ice-lite")]);
        let kind = |text: &str| Fragment::parse(text.as_bytes()).unwrap_err().kind;
        assert_eq!(kind("m=audio\r\n"), ParseErrorKind::Malformed);
        let many = format!(
            "m=audio 9 RTP/AVP 0\r\n{}",
            "a=candidate:1\r\n".repeat(1_025)
        );
        assert_eq!(kind(&many), ParseErrorKind::TooMany);
        assert_eq!(kind(&"m=a 9 b 0\r\n".repeat(65)), ParseErrorKind::TooMany);
        assert_eq!(kind(&"x".repeat(65_537)), ParseErrorKind::TooMany);
    }
}
