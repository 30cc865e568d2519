//! One m-line with all that stands below it.

use std::time::Duration;

use crate::{
    Attribute, Attributes, Bandwidth, Codec, Connection, Direction, Fmtp, Rtcp, RtpMap, Text, codec,
};

/// A media description: an m-line and the lines below it (RFC 8866, section 5.14; SDP-02).
///
/// Plain data, compared by value. Nothing here knows a kind of media: formats, protocol and kind are
/// text, kept letter by letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The kind of media: `audio`, `message`, …
    pub kind: Text,
    /// The port; 0 for a line that is refused or removed.
    pub port: u16,
    /// How many ports; 1 is not printed, 0 does not occur in a parsed description.
    pub port_count: u16,
    /// The transport protocol: `RTP/AVP`, `TCP/MSRP`, …
    pub protocol: Text,
    /// The formats in order of preference: payload numbers for RTP.
    pub formats: Vec<Text>,
    /// A title (`i=`); empty for no such line.
    pub info: Text,
    /// The addresses (`c=`); more than one only for layered multicast.
    pub connections: Vec<Connection>,
    /// Bandwidth (`b=`).
    pub bandwidth: Vec<Bandwidth>,
    /// The obsolete key line (`k=`), kept and not used; empty for none.
    pub key: Text,
    /// The attributes in their order, unknown ones included.
    pub attributes: Attributes,
}

impl Media {
    /// Makes an m-line without formats.
    pub fn new(kind: impl Into<Text>, port: u16, protocol: impl Into<Text>) -> Self {
        Self {
            kind: kind.into(),
            port,
            port_count: 1,
            protocol: protocol.into(),
            formats: Vec::new(),
            info: Text::default(),
            connections: Vec::new(),
            bandwidth: Vec::new(),
            key: Text::default(),
            attributes: Attributes::default(),
        }
    }

    /// Makes an m-line of RTP media with these codecs, the preferred one first.
    pub fn rtp(
        kind: impl Into<Text>,
        port: u16,
        protocol: impl Into<Text>,
        codecs: &[Codec],
    ) -> Self {
        let mut media = Self::new(kind, port, protocol);
        media.formats = codecs
            .iter()
            .map(|codec| codec::number(codec.payload_type))
            .collect();
        for codec in codecs {
            codec.describe(&mut media.attributes);
        }
        media
    }

    /// Makes the answer to an offered m-line that is refused (SES-26; RFC 3264, section 6).
    ///
    /// Port 0, kind, protocol and formats as offered, the connection line, and no attribute.
    pub fn refusal(offered: &Self, connection: Connection) -> Self {
        let mut media = Self::new(offered.kind.clone(), 0, offered.protocol.clone());
        media.formats.clone_from(&offered.formats);
        if media.formats.is_empty() {
            // RFC 3264, section 6: at least one format must be there, its meaning is ignored.
            media.formats.push(Text::from("0"));
        }
        media.connections.push(connection);
        media
    }

    /// Removes this stream in an offer of our own: port 0, no attributes, no bandwidth, the connection
    /// line stays (SES-26; RFC 3264, section 8.2).
    pub fn disable(&mut self) {
        self.port = 0;
        self.port_count = 1;
        self.info = Text::default();
        self.key = Text::default();
        self.bandwidth.clear();
        self.attributes.clear();
    }

    /// Tells whether the line is refused or removed.
    ///
    /// A line with `a=bundle-only` has port 0, too, and counts as removed: we never accept a bundle
    /// (RFC 9143, section 6).
    pub fn is_disabled(&self) -> bool {
        self.port == 0
    }

    /// Reads the direction that stands at this m-line; [`crate::Session::direction`] inherits.
    pub fn direction(&self) -> Option<Direction> {
        self.attributes.direction()
    }

    /// Sets the direction.
    pub fn set_direction(&mut self, direction: Direction) {
        self.attributes.set_direction(direction);
    }

    /// Walks the payload mappings.
    pub fn rtpmaps(&self) -> impl Iterator<Item = RtpMap> {
        self.attributes.iter().filter_map(RtpMap::read)
    }

    /// Reads the parameters of a format.
    pub fn fmtp(&self, format: &str) -> Option<Text> {
        let mut all = self.attributes.iter().filter_map(Fmtp::read);
        all.find(|fmtp| fmtp.format == *format)
            .map(|fmtp| fmtp.parameters)
    }

    /// Lists the codecs in the order of the formats (SDP-07).
    ///
    /// A number without a mapping has its meaning of RFC 3551, section 6; one that has none, a format
    /// that is no payload number, and the second of two equal numbers are left out.
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = Vec::with_capacity(self.formats.len());
        let maps: Vec<RtpMap> = self.rtpmaps().collect();
        for format in &self.formats {
            let Some(payload_type) = format.parse().ok().filter(|number| *number < 128) else {
                continue;
            };
            if codecs
                .iter()
                .any(|codec| codec.payload_type == payload_type)
            {
                continue;
            }
            let codec = match maps.iter().find(|map| map.payload_type == payload_type) {
                Some(map) => Some(Codec {
                    payload_type,
                    name: map.encoding.clone(),
                    clock_rate: map.clock_rate,
                    channels: map.channels,
                    parameters: None,
                }),
                None => codec::static_codec(payload_type),
            };
            codecs.extend(codec.map(|codec| Codec {
                parameters: self.fmtp(format),
                ..codec
            }));
        }
        codecs
    }

    /// Reads how much media the other side shall put into one packet (RFC 8866, section 6.4).
    pub fn ptime(&self) -> Option<Duration> {
        milliseconds(self.attributes.value("ptime")?)
    }

    /// Reads how much media the other side may put into one packet at most (RFC 8866, section 6.5).
    pub fn maxptime(&self) -> Option<Duration> {
        milliseconds(self.attributes.value("maxptime")?)
    }

    /// Reads where RTCP goes, if the description says (RFC 3605).
    pub fn rtcp(&self) -> Option<Rtcp> {
        self.attributes.iter().find_map(Rtcp::read)
    }

    /// Tells whether RTCP may share the port of RTP (RFC 5761, section 5.1.1).
    pub fn has_rtcp_mux(&self) -> bool {
        self.attributes.has("rtcp-mux")
    }

    /// Reads the identification tag (RFC 5888, section 4).
    pub fn mid(&self) -> Option<&str> {
        self.attributes.value("mid")
    }

    /// Names the m-line (RFC 5888, section 4); `None` takes its name away.
    pub fn set_mid(&mut self, mid: Option<&str>) {
        self.attributes.remove("mid");
        if let Some(mid) = mid {
            self.attributes.push(Attribute::new("mid", mid));
        }
    }

    /// Reads the transport protocol as one of RTP; `None` for any other.
    pub fn rtp_profile(&self) -> Option<RtpProfile> {
        RtpProfile::from_protocol(&self.protocol)
    }
}

/// What a transport protocol of RTP says about security and feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpProfile {
    /// Media is encrypted (SRTP): the `S` of `SAVP`.
    pub secure: bool,
    /// Early feedback is allowed (RFC 4585): the `F` of `AVPF`.
    pub feedback: bool,
    /// The keys come from DTLS (RFC 5764): `UDP/TLS/` stands before.
    pub dtls: bool,
}

impl RtpProfile {
    /// Reads a protocol, in any case: RTP/AVP, RTP/AVPF, RTP/SAVP, RTP/SAVPF, UDP/TLS/RTP/SAVP and
    /// UDP/TLS/RTP/SAVPF.
    pub fn from_protocol(protocol: &str) -> Option<Self> {
        let (_, profile) = PROFILES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(protocol))?;
        Some(*profile)
    }
}

/// Milliseconds, cut to whole ones: peers write `20` and `20.0`.
fn milliseconds(text: &str) -> Option<Duration> {
    let whole = text.split(['.', ' ']).next()?;
    let count = whole.parse().ok().filter(|count: &u16| *count != 0)?;
    Some(Duration::from_millis(count.into()))
}

const PROFILES: [(&str, RtpProfile); 6] = [
    ("RTP/AVP", profile(false, false, false)),
    ("RTP/AVPF", profile(false, true, false)),
    ("RTP/SAVP", profile(true, false, false)),
    ("RTP/SAVPF", profile(true, true, false)),
    ("UDP/TLS/RTP/SAVP", profile(true, false, true)),
    ("UDP/TLS/RTP/SAVPF", profile(true, true, true)),
];

const fn profile(secure: bool, feedback: bool, dtls: bool) -> RtpProfile {
    RtpProfile {
        secure,
        feedback,
        dtls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Session;

    fn media(lines: &str) -> Media {
        let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{lines}");
        Session::parse(text.as_bytes())
            .expect("a description")
            .media
            .remove(0)
    }

    #[test]
    fn packet_times() {
        let media = media("m=audio 1 RTP/AVP 0\na=ptime:20.0\na=maxptime: 150 \n");
        assert_eq!(media.ptime(), Some(Duration::from_millis(20)));
        assert_eq!(media.maxptime(), Some(Duration::from_millis(150)));
        for bad in ["0", "-20", "x", "65536", ""] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_refused_line_is_bare() {
        // SES-26: port 0, a connection line, no attributes; token and formats as offered.
        let offered = media("m=Audio 4000/2 rtp/Avp 0 96\nb=AS:64\na=rtpmap:96 x/1\na=sendonly\n");
        let connection = Connection::new("192.0.2.7".parse().unwrap());
        let refusal = Media::refusal(&offered, connection.clone());
        let origin = crate::Origin::new(1, "192.0.2.7".parse().unwrap());
        let text = Session::assemble(origin, vec![refusal]).print();
        assert!(
            text.ends_with("m=Audio 0 rtp/Avp 0 96\r\nc=IN IP4 192.0.2.7\r\n"),
            "{text}"
        );
        let bare = media("m=image 9 udptl\n");
        assert_eq!(Media::refusal(&bare, connection).formats, ["0"]);
    }

    #[test]
    fn a_removed_line_is_bare() {
        let mut line = media(
            "m=audio 4000/2 RTP/AVP 0\ni=x\nc=IN IP4 192.0.2.7\nb=AS:64\nk=prompt\na=sendonly\n",
        );
        line.disable();
        let connection = Connection::new("192.0.2.7".parse().unwrap());
        let mut expected = Media::new("audio", 0, "RTP/AVP");
        expected.formats.push("0".into());
        expected.connections.push(connection);
        assert_eq!(line, expected);
    }

    #[test]
    fn profiles_of_rtp() {
        let profile = |name| RtpProfile::from_protocol(name);
        assert_eq!(
            profile("udp/tls/rtp/savpf"),
            Some(self::profile(true, true, true))
        );
        assert_eq!(profile("RTP/AVP"), Some(self::profile(false, false, false)));
        for other in ["TCP/MSRP", "UDP/TLS", "TCP/RTP/AVP", "udptl", ""] {
            assert_eq!(profile(other), None, "{other}");
        }
    }
}
