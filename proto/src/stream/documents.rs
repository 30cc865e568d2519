//! What the documents' `AudioStream`, SDP objects, `RTPTransport` and `AudioTransport` are called here.
//!
//! The documents have two objects below the stream, a transport of RTP and one of audio on top, each with
//! events of its own that the stream passes on. Here the stream is one machine: its transport is a part of it
//! that nobody holds, and what the lower two would say is said by the stream, once. A requirement that stands
//! at "application" is met by the `audio` crate, which has the samples; that crate knows no SIP, and this
//! one no sound.
//!
//! # AudioStream (requirements 6)
//!
//! | ID | here |
//! |---|---|
//! | AUS-01 | [`AudioStream`](super::audio::AudioStream) over the one transport that it has. Media that come before the answer to our offer wait for it, 32 packets at most (RFC 3264, 5.1); those under keys of the description, too, since the key that opens them stands in the answer alone (RFC 4568, 5.1.1) |
//! | AUS-02 | the description that [`MediaStream::offer`](super::MediaStream::offer) gives: the codecs of [`MediaSettings::codecs`](super::MediaSettings::codecs), `a=rtcp`, `a=crypto`, `a=candidate`, the direction |
//! | AUS-03 | [`sdp::Candidate`] reads such priorities; those that we give are of RFC 8445, 5.1.2.1 |
//! | AUS-04 | application: a port belongs to the mixer that it was added to |
//! | AUS-05 | application: a bridge for each stream, with the track of the stream in it, and a recorder while [`AudioStream::recording`](super::audio::AudioStream::recording) |
//! | AUS-06, AUS-07 | [`Record::Start`](super::audio::Record::Start), [`MediaSettings::recordings_directory`](super::MediaSettings::recordings_directory), [`RecordingInfo::is_paused`](super::audio::RecordingInfo::is_paused) |
//! | AUS-08 | [`Record::Stop`](super::audio::Record::Stop) |
//! | AUS-09 | [`SendDtmf`](super::audio::SendDtmf) |
//! | AUS-10 | [`SendDtmfError`](super::audio::SendDtmfError): told, not swallowed; [`DigitMode::Info`](super::DigitMode::Info) is the other way |
//! | AUS-11 | [`AudioStream::format`](super::audio::AudioStream::format), [`is_srtp_active`](super::audio::AudioStream::is_srtp_active), [`encryption`](super::audio::AudioStream::encryption), [`ice`](super::audio::AudioStream::ice) |
//! | AUS-12 | [`AudioStream::local_address`](super::audio::AudioStream::local_address) |
//! | AUS-13 | [`AudioStream::remote_address_described`](super::audio::AudioStream::remote_address_described) |
//! | AUS-14 | [`AudioStream::remote_address_received`](super::audio::AudioStream::remote_address_received) |
//! | AUS-15 | [`IcePair::local_type`](super::IcePair::local_type) and `remote_type` of [`IceInfo::rtp`](super::IceInfo::rtp) |
//! | AUS-16 | [`RecordingInfo::filename`](super::audio::RecordingInfo::filename) |
//! | AUS-17 | [`StreamEvent::DidChangeHoldState`](crate::event::StreamEvent::DidChangeHoldState) |
//! | AUS-18 | [`StreamEvent::WillStartRecordingAudio`](crate::event::StreamEvent::WillStartRecordingAudio) |
//! | AUS-19 | [`StreamEvent::DidStartRecordingAudio`](crate::event::StreamEvent::DidStartRecordingAudio), [`RecordingAudioDidFail`](crate::event::StreamEvent::RecordingAudioDidFail) |
//! | AUS-20 | [`StreamEvent::WillStopRecordingAudio`](crate::event::StreamEvent::WillStopRecordingAudio) |
//! | AUS-21 | [`StreamEvent::DidStopRecordingAudio`](crate::event::StreamEvent::DidStopRecordingAudio) |
//! | AUS-22 | [`StreamEvent::DidChangeRtpParameters`](crate::event::StreamEvent::DidChangeRtpParameters) |
//! | AUS-23 | [`StreamEvent::GotDtmf`](crate::event::StreamEvent::GotDtmf) |
//! | AUS-24 | [`StreamEvent::IceNegotiationStateDidChange`](crate::event::StreamEvent::IceNegotiationStateDidChange) |
//! | AUS-25 | [`StreamEvent::IceNegotiationDidSucceed`](crate::event::StreamEvent::IceNegotiationDidSucceed) |
//! | AUS-26 | [`StreamEvent::IceNegotiationDidFail`](crate::event::StreamEvent::IceNegotiationDidFail) |
//! | AUS-27 | [`MediaSettings::ice_fallback`](super::MediaSettings::ice_fallback), off by default |
//! | AUS-28 | [`StreamOutput::Renegotiate`](super::StreamOutput::Renegotiate), for peers that do not say `ice2` (RFC 8839, 4.4.1.2.2) |
//! | AUS-29 | [`MediaStream::update`](super::MediaStream::update) with another address of the peer |
//! | AUS-30 | [`Hold`](super::Hold), [`MediaStream::set_hold`](super::MediaStream::set_hold) |
//! | AUS-31 | [`StreamEvent::DidTimeout`](crate::event::StreamEvent::DidTimeout) after [`MediaSettings::rtp_timeout`](super::MediaSettings::rtp_timeout) |
//! | AUS-32 | [`Refusal`](super::Refusal); six transport protocols are taken |
//! | AUS-33 | [`MediaSettings::codecs`](super::MediaSettings::codecs), in order |
//! | AUS-34 | [`rtp::KeepAlive`] every [`MediaSettings::rtp_keepalive`](super::MediaSettings::rtp_keepalive), where neither ICE nor RTCP on the same port keeps the way |
//!
//! # SDP objects (requirements 32)
//!
//! | ID | here |
//! |---|---|
//! | SDP-01 | [`sdp::Session`], [`sdp::Origin`] |
//! | SDP-02 | [`sdp::Media`] |
//! | SDP-03 | [`sdp::Session::direction`], which the session's own is inherited by |
//! | SDP-04 | [`sdp::Connection`] |
//! | SDP-05 | [`sdp::Attribute`] |
//! | SDP-06 | values are changed by their owner alone; events have the text as it was on the wire, [`SdpText`](crate::event::SdpText) |
//! | SDP-07 | [`sdp::Bandwidth`], [`sdp::Media::codecs`], [`sdp::Session::parse`], [`sdp::Session::print`], [`sdp::negotiate_codecs`] |
//! | SDP-08 | [`sdp::Session`] that continues the one before it |
//! | SDP-09 | either family in every address |
//!
//! # RTPTransport (requirements 33)
//!
//! | ID | here |
//! |---|---|
//! | RTP-01 | two slots of a stream, [`StreamOutput::Open`](super::StreamOutput::Open) |
//! | RTP-02 | [`MediaSettings`](super::MediaSettings): `encryption`, `ice`, `stun_servers`, `turn_servers`; the address is that of the route to the peer, [`StreamEnv::local_address`](super::StreamEnv::local_address) |
//! | RTP-03 | [`MediaStream::prepare`](super::MediaStream::prepare) |
//! | RTP-04 | [`MediaStream::offer`](super::MediaStream::offer), [`MediaStream::answer`](super::MediaStream::answer) |
//! | RTP-05 | [`MediaStream::start`](super::MediaStream::start); the answerer's description is complete before it (DIS-13) |
//! | RTP-06, RTP-07 | the order of calls of [`MediaStream`](super::MediaStream) |
//! | RTP-08 | [`AudioStream::transport_state`](super::audio::AudioStream::transport_state), the addresses of AUS-12 to AUS-14, [`AudioStream::settings`](super::audio::AudioStream::settings) |
//! | RTP-09 | the stream describes all of its m-line itself |
//! | RTP-10 | [`StreamError::NotEncrypted`](super::StreamError::NotEncrypted), or a [`Refusal`](super::Refusal) of the offer |
//! | RTP-11 | `RTPTransportDidInitialize`: [`StreamOutput::Prepared`](super::StreamOutput::Prepared), told as [`StreamEvent::DidInitialize`](crate::event::StreamEvent::DidInitialize) |
//! | RTP-12 | `RTPTransportDidFail`: [`StreamOutput::Failed`](super::StreamOutput::Failed), told as [`StreamEvent::DidFail`](crate::event::StreamEvent::DidFail) |
//! | RTP-13 | a server that fails is done without; with [`IcePolicy::RelayOnly`](super::IcePolicy::RelayOnly) only a stream without any relay fails |
//! | RTP-14 | the events of AUS-24 to AUS-26, under the names of the stream |
//! | RTP-15 | [`MediaSettings::rtp_port_range`](super::MediaSettings::rtp_port_range) |
//! | RTP-16 | the RFCs stand where they are followed |
//!
//! # AudioTransport (requirements 34)
//!
//! | ID | here |
//! |---|---|
//! | AUT-01 | [`AudioStream`](super::audio::AudioStream) has packets and reports; the codec and [`rtp::JitterBuffer`] are run by the application's track |
//! | AUT-02 | [`AudioOptions::codecs`](super::audio::AudioOptions::codecs); an offer of the peer is answered, not started at once |
//! | AUT-03 | [`MediaStream::offer`](super::MediaStream::offer), [`MediaStream::answer`](super::MediaStream::answer) |
//! | AUT-04 | [`MediaStream::start`](super::MediaStream::start) |
//! | AUT-05 | [`MediaStream::end`](super::MediaStream::end) |
//! | AUT-06 | [`MediaStream::set_hold`](super::MediaStream::set_hold) and [`MediaStream::update`](super::MediaStream::update): the direction follows from both sides' wishes |
//! | AUT-07 | [`SendDtmf`](super::audio::SendDtmf) |
//! | AUT-08 | [`is_active`](super::audio::AudioStream::is_active), [`is_started`](super::audio::AudioStream::is_started), [`format`](super::audio::AudioStream::format), [`direction`](super::audio::AudioStream::direction) |
//! | AUT-09 | `RTPAudioTransportGotDTMF`: [`StreamEvent::GotDtmf`](crate::event::StreamEvent::GotDtmf) |
//! | AUT-10 | [`AudioStream::statistics`](super::audio::AudioStream::statistics); `RTPAudioTransportDidTimeout` is [`StreamEvent::DidTimeout`](crate::event::StreamEvent::DidTimeout); application: a port has its volume and its place |
//! | AUT-11 | application: a track sends nothing below a level, if that is wished for |

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    /// The IDs of a row's first cell, ranges apart.
    fn ids(cell: &str) -> impl Iterator<Item = &str> {
        cell.split(',').map(str::trim)
    }

    /// AUS, SDP, RTP and AUT: each has its row, and no row is of something else.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test reads its material")]
    fn every_requirement_has_its_row() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/requirements.md");
        let Ok(document) = fs::read_to_string(path) else {
            return;
        };
        let rows: BTreeSet<&str> = include_str!("documents.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | "))
            .filter_map(|row| row.split(" | ").next())
            .flat_map(ids)
            .filter(|id| *id != "ID")
            .collect();
        let mut wanted = BTreeSet::new();
        for line in document.lines() {
            for piece in line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                let is_ours = ["AUS-", "SDP-", "RTP-", "AUT-"]
                    .iter()
                    .any(|prefix| piece.starts_with(prefix));
                let number = piece.get(4..).unwrap_or_default();
                if is_ours && number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit()) {
                    wanted.insert(piece);
                }
            }
        }
        assert_eq!(rows, wanted);
        assert!(wanted.len() >= 70, "{}", wanted.len());
    }
}
