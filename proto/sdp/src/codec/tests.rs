use super::*;
use crate::Media;
use crate::Session;

fn codecs(lines: &str) -> Vec<Codec> {
    let text = format!("v=0\no=- 1 1 IN IP4 192.0.2.1\n{lines}");
    let session = Session::parse(text.as_bytes()).expect("a description");
    session.media[0].codecs()
}

fn shown(codecs: &[Codec]) -> Vec<String> {
    let show = |codec: &Codec| {
        let Codec {
            payload_type,
            name,
            clock_rate,
            channels,
            ..
        } = codec;
        format!("{payload_type} {name}/{clock_rate}/{channels}")
    };
    codecs.iter().map(show).collect()
}

fn opus(payload_type: u8) -> Codec {
    Codec {
        channels: 2,
        ..Codec::new(payload_type, "opus", 48_000)
    }
}

fn event(payload_type: u8, clock_rate: u32) -> Codec {
    Codec::new(payload_type, "telephone-event", clock_rate)
}

/// What an answer lists for these codecs of ours.
fn answer(offer: &str, ours: &[Codec], order: Preference) -> Vec<String> {
    let agreed = negotiate_codecs(&codecs(offer), ours, order);
    for pair in &agreed {
        assert_eq!(
            pair.local.payload_type, pair.remote.payload_type,
            "RFC 3264, section 6.1"
        );
    }
    let local: Vec<Codec> = agreed.into_iter().map(|pair| pair.local).collect();
    shown(&local)
}

#[test]
fn static_numbers_need_no_mapping() {
    let listed = codecs("m=audio 9 RTP/AVP 0 3 8 9 13 18 10 1 99 8 x 128\n");
    let expected = [
        "0 PCMU/8000/1",
        "3 GSM/8000/1",
        "8 PCMA/8000/1",
        "9 G722/8000/1",
        "13 CN/8000/1",
        "18 G729/8000/1",
        "10 L16/44100/2",
    ];
    assert_eq!(shown(&listed), expected);
}

#[test]
fn a_mapping_goes_before_the_table() {
    let listed = codecs(
        "m=audio 9 RTP/AVP 8 0 97 98 99\na=rtpmap:0 pcmu\na=rtpmap:97 Opus/48000/2\n\
         a=fmtp:97 useinbandfec=1\na=rtpmap:98 broken\na=rtpmap:8 L16/16000\n",
    );
    assert_eq!(
        shown(&listed),
        ["8 L16/16000/1", "0 PCMU/8000/1", "97 Opus/48000/2"]
    );
    assert_eq!(listed[2].parameters, Some(Text::from("useinbandfec=1")));
}

#[test]
fn our_order_or_theirs() {
    // AUS-33.
    let offer = "m=audio 9 RTP/AVP 0 8 9\n";
    let ours = [
        Codec::new(9, "g722", 8000),
        Codec::new(8, "PCMA", 8000),
        Codec::new(3, "GSM", 8000),
    ];
    assert_eq!(
        answer(offer, &ours, Preference::Ours),
        ["9 g722/8000/1", "8 PCMA/8000/1"]
    );
    assert_eq!(
        answer(offer, &ours, Preference::Theirs),
        ["8 PCMA/8000/1", "9 g722/8000/1"]
    );
}

#[test]
fn the_offered_numbers_are_used() {
    let offer = "m=audio 9 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 iLBC/8000\n";
    let ours = [Codec::new(96, "iLBC", 8000), opus(111)];
    assert_eq!(
        answer(offer, &ours, Preference::Ours),
        ["97 iLBC/8000/1", "96 opus/48000/2"]
    );
}

#[test]
fn rate_and_channels_part_codecs() {
    let offer = "m=audio 9 RTP/AVP 96 97\na=rtpmap:96 speex/16000\na=rtpmap:97 opus/48000\n";
    let ours = [Codec::new(96, "speex", 8000), opus(97)];
    assert_eq!(answer(offer, &ours, Preference::Ours), [""; 0]);
}

#[test]
fn events_go_with_a_codec_of_their_clock() {
    // RFC 4733, section 2.1; interop.md: one event format per clock rate is offered.
    let offer = "m=audio 9 RTP/AVP 101 0 96 102\na=rtpmap:96 opus/48000/2\n\
                 a=rtpmap:101 telephone-event/48000\na=rtpmap:102 telephone-event/8000\n";
    let events = [event(100, 48_000), event(101, 8_000)];
    let with = |codec: Codec| [events.as_slice(), &[codec]].concat();
    let order = Preference::Ours;
    let pcmu = answer(offer, &with(Codec::new(0, "PCMU", 8000)), order);
    assert_eq!(pcmu, ["0 PCMU/8000/1", "102 telephone-event/8000/1"]);
    let opus = answer(offer, &with(opus(111)), order);
    assert_eq!(opus, ["96 opus/48000/2", "101 telephone-event/48000/1"]);
    // Without a codec there is nothing that events could go with: the line is refused.
    assert_eq!(answer(offer, &events, order), [""; 0]);
    let noise = answer(
        "m=audio 9 RTP/AVP 13 8\n",
        &codecs("m=audio 9 RTP/AVP 13 8\n"),
        order,
    );
    assert_eq!(noise, ["8 PCMA/8000/1", "13 CN/8000/1"]);
}

#[test]
fn the_answerers_numbers_are_used_towards_it() {
    // Wire rules, Media: an answerer may choose other numbers than the offerer.
    let offered = [opus(96), event(97, 48_000), Codec::new(0, "PCMU", 8000)];
    let answered = codecs(
        "m=audio 9 RTP/AVP 111 110\na=rtpmap:111 OPUS/48000/2\na=rtpmap:110 telephone-event/48000\n",
    );
    let agreed = match_codecs(&offered, &answered, Answerer::Remote);
    let numbers: Vec<(u8, u8)> = agreed
        .iter()
        .map(|pair| (pair.send_payload_type(), pair.receive_payload_type()))
        .collect();
    assert_eq!(numbers, [(111, 96), (110, 97)]);
    let mirrored = match_codecs(&answered, &offered, Answerer::Local);
    for (pair, mirror) in agreed.iter().zip(&mirrored) {
        assert_eq!((&pair.local, &pair.remote), (&mirror.remote, &mirror.local));
    }
}

#[test]
fn two_of_the_same_codec_keep_their_numbers() {
    let two = [Codec::new(96, "AMR", 8000), Codec::new(97, "AMR", 8000)];
    let swapped = [two[1].clone(), two[0].clone()];
    let agreed = match_codecs(&two, &swapped, Answerer::Remote);
    assert!(
        agreed
            .iter()
            .all(|pair| pair.local.payload_type == pair.remote.payload_type)
    );
    assert_eq!(agreed.len(), 2);
}

#[test]
fn a_line_describes_its_codecs() {
    let parameters = Some(Text::from("0-15"));
    let codecs = [
        Codec::new(8, "PCMA", 8000),
        opus(96),
        Codec {
            parameters,
            ..event(101, 8000)
        },
    ];
    let media = Media::rtp("audio", 4000, "RTP/AVP", &codecs);
    let lines: Vec<&str> = media.attributes.iter().map(Attribute::as_str).collect();
    let expected = [
        "rtpmap:8 PCMA/8000",
        "rtpmap:96 opus/48000/2",
        "rtpmap:101 telephone-event/8000",
        "fmtp:101 0-15",
    ];
    assert_eq!(lines, expected);
    assert_eq!(media.codecs(), codecs);
}
