use super::*;
use proptest::prelude::*;

fn uri(text: &str) -> Uri {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn debug_shows_no_password() {
    let uri: Uri = "sip:alice:hunter2@example.com".parse().unwrap();
    let parts = uri.to_parts().unwrap();
    assert_eq!(parts.password.as_deref(), Some("hunter2"));
    for shown in [
        format!("{uri:?}"),
        format!("{:?}", uri.as_ref()),
        format!("{parts:?}"),
    ] {
        assert!(
            shown.contains("alice") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

/// RFC 3261, 19.1.4, the examples and one pair for every sentence of the rules.
#[test]
fn comparison_table() {
    let equivalent = [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("SIP:a@h", "sip:a@h"),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("sip:a@h;%6Cr", "sip:a@h;lr"),
        ("sip:a@h;x=%41", "sip:a@h;X=a"),
        ("sip:a%2fb@h", "sip:a%2Fb@h"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        (
            "tel:+1;ext=5;phone-context=X",
            "TEL:+1;Phone-Context=x;ext=5",
        ),
        ("soap.beep://a", "SOAP.beep://a"),
        ("sip:h;x=1;x=2", "sip:h;x=1"),
        ("tel:1;x=1;X=2", "tel:1;x=1;x=2"),
        // What may not stand there unescaped means the escaped one.
        ("sip:h;x=a:b:c@d", "sip:h;x=a:b:c%40d"),
        (
            "sip:a@h?Replaces=1@2;to-tag=3",
            "sip:a@h?replaces=1%402%3Bto-tag%3D3",
        ),
    ];
    let different = [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:a@h", "sips:a@h"),
        ("sip:a@h", "sip:h"),
        ("sip:a@h", "sip:a:@h"),
        ("sip:a:b@h", "sip:a:B@h"),
        ("sip:a@h;user=phone", "sip:a@h"),
        ("sip:a@h;ttl=1", "sip:a@h"),
        ("sip:a@h;method=INVITE", "sip:a@h"),
        ("sip:a@h;maddr=239.255.255.1", "sip:a@h"),
        ("sip:a@h;lr", "sip:a@h;lr=on"),
        ("sip:a%3Bb@h", "sip:a;b@h"),
        ("sip:a@h?x=1&x=1", "sip:a@h?x=1&x=2"),
        ("tel:+1", "tel:1"),
        (
            "tel:7042;phone-context=example.com",
            "tel:7042;phone-context=example.org",
        ),
        ("tel:7042;phone-context=example.com", "tel:7042"),
        ("urn:a", "urn:A"),
        ("tel:1", "sip:1@h"),
    ];
    for (a, b) in equivalent {
        assert!(
            uri(a).equivalent(&uri(b)) && uri(b).equivalent(&uri(a)),
            "{a} = {b}"
        );
        assert_eq!(a == b, uri(a) == uri(b), "== compares text");
    }
    for (a, b) in different {
        assert!(
            !uri(a).equivalent(&uri(b)) && !uri(b).equivalent(&uri(a)),
            "{a} ≠ {b}"
        );
    }
    for (a, b) in equivalent.iter().chain(&different) {
        assert!(uri(a).equivalent(&uri(a)) && uri(b).equivalent(&uri(b)));
    }
}

#[test]
fn a_thousand_parameters_are_compared_in_their_order() {
    let long: String = (0..1_000).map(|n| format!(";p{n}")).collect();
    let a = uri(&format!("sip:a@h{long}"));
    assert!(a.equivalent(&a));
    assert!(a.equivalent(&uri(&format!("sip:a@h{}", long.replace(";p", ";%70")))));
    assert!(a.equivalent(&uri(&format!("sip:a@h{}", long.to_uppercase()))));
    assert!(!a.equivalent(&uri(&format!("sip:a@h;q{long}"))));
    assert!(!a.equivalent(&uri(&format!("sip:a@h{long};q"))));
    let tel = uri(&format!("tel:1{long}"));
    assert!(tel.equivalent(&tel) && !tel.equivalent(&uri("tel:1")));
    let headers: String = (0..1_000).map(|n| format!("&h{n}=")).collect();
    let with_headers = uri(&format!("sip:a@h?{}", &headers[1..]));
    assert!(with_headers.equivalent(&with_headers));
    let renamed = uri(&format!("sip:a@h?{}", headers[1..].replace("h7=", "i7=")));
    assert!(!with_headers.equivalent(&renamed));
}

#[test]
fn parts_of_a_full_uri() {
    let text = "sips:al%20ice;x?y:se%3Acret@[2001:db8::9:1]:5071;transport=TCP;lr;Maddr=239.255.255.1?Subject=a%20b&To=";
    let uri = uri(text);
    let view = uri.as_ref();
    assert_eq!(
        (view.scheme(), view.scheme_str(), uri.is_secure()),
        (Scheme::Sips, "sips", true)
    );
    assert_eq!(view.user(), Some("al%20ice;x?y"));
    assert_eq!(view.user_text().as_deref(), Some("al ice;x?y"));
    assert_eq!(view.password(), Some("se%3Acret"));
    assert_eq!(view.host_str(), "[2001:db8::9:1]");
    assert_eq!(uri.host_port().unwrap().to_string(), "[2001:db8::9:1]:5071");
    assert_eq!(uri.transport(), Some(Transport::Tcp));
    assert!(uri.params().contains("LR") && !uri.params().contains("r"));
    assert_eq!(
        uri.params().get("maddr").unwrap().value,
        Some("239.255.255.1")
    );
    assert_eq!(
        uri.headers().get("subject").unwrap().text().as_deref(),
        Some("a b")
    );
    assert_eq!(uri.headers().iter().count(), 2);
    assert_eq!(uri.to_string(), text);
    assert_eq!(uri.to_parts().unwrap().to_string(), text);
    assert_eq!(
        format!("{uri:?}"),
        text.replace(":se%3Acret", ":…").replace("sips", "<sips") + ">",
        "no password in a log"
    );
}

#[test]
fn minimal_and_other_uris() {
    let bare = uri("sip:atlanta.com");
    assert_eq!(
        (bare.user(), bare.port(), bare.params().is_empty()),
        (None, None, true)
    );
    assert_eq!(bare.host(), Some(Host::Name("atlanta.com".into())));
    let tel = uri("tel:863-1234;phone-context=+1-914-555");
    assert_eq!(
        (tel.scheme(), tel.user(), tel.host()),
        (Scheme::Tel, Some("863-1234"), None)
    );
    assert_eq!(
        tel.params().get("phone-context").unwrap().value,
        Some("+1-914-555")
    );
    let other = uri("soap.beep://192.0.2.103:3002");
    assert_eq!(
        (other.scheme(), other.as_ref().scheme_str()),
        (Scheme::Other, "soap.beep")
    );
    assert_eq!(other.as_ref().opaque(), "//192.0.2.103:3002");
    assert_eq!(
        (other.user(), other.host(), other.to_parts()),
        (None, None, None)
    );
}

#[test]
fn what_peers_send_beside_the_grammar() {
    assert_eq!(uri("sip:*31#5551234@h").user(), Some("*31#5551234"));
    assert_eq!(
        uri("sip:jürgen@h").as_ref().user_text().as_deref(),
        Some("jürgen")
    );
    assert!(uri("sip:jürgen@h").equivalent(&uri("sip:j%C3%BCrgen@h")));
    assert_eq!(
        uri("sip:a@h;x=Zm9v==;y").params().get("x").unwrap().value,
        Some("Zm9v==")
    );
    assert_eq!(uri("sip:a@h;x=").params().get("x").unwrap().value, Some(""));
    assert_eq!(uri("sip:a@_sip._udp.h").as_ref().host_str(), "_sip._udp.h");
    // RFC 5118, 4.10
    assert_eq!(
        uri("sip:a@[2001:db8:::192.0.2.1]").host(),
        uri("sip:a@[2001:db8::192.0.2.1]").host()
    );
}

#[test]
fn what_is_no_uri() {
    for (bad, at) in [
        ("", 0),
        ("sip", 0),
        (":a@h", 0),
        ("1sip:a@h", 0),
        ("sip:", 4),
        ("sip:@h", 4),
        ("sip:a@", 6),
        ("sip:a b@h", 5),
        ("sip:a@h ", 7),
        ("sip:a@h:", 8),
        ("sip:a@h:x", 8),
        ("sip:a@h:65536", 8),
        ("sip:a@[::1", 6),
        ("sip:a@[::g]", 6),
        ("sip:a@[]", 6),
        ("sip:a%4@h", 5),
        ("sip:a@h;", 8),
        ("sip:a@h;;x", 8),
        ("sip:a@h;x=%zz", 10),
        ("sip:a@h?", 8),
        ("sip:a@h?x", 9),
        ("sip:a@h?x=1&", 12),
        ("sip:a@h<", 7),
        ("sip:a\"@h", 5),
        ("sip:a@h\r\nX: y", 7),
        ("tel:", 4),
        ("tel:---", 4),
        ("tel:12 34", 6),
        ("http:", 5),
        ("http://a b", 8),
        ("http://a>", 8),
    ] {
        assert_eq!(
            bad.parse::<Uri>().map_err(|error| error.at),
            Err(at),
            "{bad:?}"
        );
    }
    assert!(UriRef::parse(b"sip:\xff@h").is_err());
    let long = format!("sip:{}@h", "a".repeat(65_536));
    assert!(long.parse::<Uri>().is_err());
}

/// URI-07, after the SDK's FrozenSIPURI.matches.
#[test]
fn loose_match() {
    let uri = uri("sip:alice@example.com:5070;transport=tcp;lr");
    for address in [
        "alice",
        "alice@example.com",
        "alice@EXAMPLE.com:5070",
        "sip:alice",
        "sip:alice@example.com;transport=tcp",
        "alice;transport=TCP;lr",
        "%61lice",
        "alice:5070",
    ] {
        assert!(uri.matches(address), "{address}");
    }
    for address in [
        "bob",
        "Alice",
        "alice@example.org",
        "alice@example.com:5060",
        "sips:alice",
        "alice;transport=udp",
        "alice;lr=1",
        "alice;ttl=1",
        "",
        "@example.com",
        "example.com",
    ] {
        assert!(!uri.matches(address), "{address}");
    }
    assert!(
        "sip:a@[2001:db8::1]:5070"
            .parse::<Uri>()
            .unwrap()
            .matches("a@[2001:db8:0::1]")
    );
    assert!(
        !"tel:alice"
            .parse::<Uri>()
            .is_ok_and(|tel| tel.matches("alice"))
    );
}

#[test]
fn no_part_leaks_into_another() {
    let mut parts = SipUri::new(Host::Name("example.com".into()));
    parts.user = Some("a@b:c d;e%zz%41\r\nX: y>é".into());
    parts.password = Some("p@w".into());
    parts.set_param("na me;x=", Some("v;w=?&\""));
    parts.set_param("lr", None);
    parts.headers.push(("a&b=".into(), "c=d&e?".into()));
    let uri = parts.to_uri().unwrap();
    assert_eq!(
        uri.as_ref().user_text().as_deref(),
        Some("a@b:c d;e%zzA\r\nX: y>é")
    );
    assert_eq!(uri.as_ref().host_str(), "example.com");
    let param = uri.params().iter().next().unwrap();
    assert_eq!(unescape(param.name), "na me;x=");
    assert_eq!(param.text().as_deref(), Some("v;w=?&\""));
    assert!(uri.params().contains("lr"));
    let header = uri.headers().iter().next().unwrap();
    assert_eq!(
        (&*unescape(header.name), &*header.text().unwrap()),
        ("a&b=", "c=d&e?")
    );
    assert_eq!(uri.headers().iter().count(), 1);
    parts.host = Host::Name("h;evil=1\r\n".into());
    assert!(parts.to_uri().is_err());
}

#[test]
fn parts_may_be_changed() {
    let mut parts = uri("sip:alice@example.com;transport=udp;lr")
        .to_parts()
        .unwrap();
    parts.set_transport(Some(Transport::Tls));
    parts.remove_param("LR");
    parts.port = Some(5071);
    assert_eq!(
        parts.to_uri().unwrap().as_str(),
        "sip:alice@example.com:5071;transport=tls"
    );
    parts.set_transport(None);
    assert_eq!(
        Uri::try_from(parts).unwrap().as_str(),
        "sip:alice@example.com:5071"
    );
}

#[test]
fn a_detached_uri_is_the_same() {
    let message = Bytes::from_static(b"xxsip:alice@example.comxx");
    let sliced = Uri::from_bytes(message.slice(2..23)).unwrap();
    assert_eq!(sliced, sliced.detached());
    assert_ne!(
        sliced.as_str().as_ptr(),
        sliced.detached().as_str().as_ptr()
    );
}

prop_compose! {
    fn host()(host in prop_oneof![
        "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]{1,6}){0,2}".prop_map(|name| name.parse().unwrap()),
        any::<std::net::Ipv4Addr>().prop_map(|ip| Host::Ip(ip.into())),
        any::<std::net::Ipv6Addr>().prop_map(|ip| Host::Ip(ip.into())),
    ]) -> Host { host }
}

prop_compose! {
    pub(crate) fn sip_uri()(
        secure in any::<bool>(),
        user in proptest::option::of(("[^%]{1,12}", proptest::option::of("[^%]{0,6}"))),
        host in host(),
        port in any::<Option<u16>>(),
        params in proptest::collection::vec(("[^%]{1,6}", proptest::option::of("[^%]{0,8}")), 0..4),
        headers in proptest::collection::vec(("[^%]{1,6}", "[^%]{0,8}"), 0..3),
    ) -> SipUri {
        let (user, password) = user.unzip();
        SipUri { secure, user, password: password.flatten(), host, port, params, headers }
    }
}

proptest! {
    #[test]
    fn printing_and_reading_give_the_same(parts in sip_uri()) {
        let frozen = parts.to_uri().unwrap();
        let again = frozen.to_parts().unwrap();
        prop_assert_eq!(&again.to_string(), frozen.as_str());
        let view = frozen.as_ref();
        prop_assert_eq!(view.user_text().map(Cow::into_owned), parts.user);
        prop_assert_eq!(view.password().map(|p| unescape(p).into_owned()), parts.password);
        prop_assert_eq!((view.host(), view.port()), (Some(parts.host), parts.port));
        let params: Vec<_> = view
            .params()
            .iter()
            .map(|p| (unescape(p.name).into_owned(), p.text().map(Cow::into_owned)))
            .collect();
        prop_assert_eq!(params, parts.params);
        prop_assert_eq!(view.headers().iter().count(), parts.headers.len());
        prop_assert!(frozen.equivalent(&frozen));
    }

    #[test]
    fn any_text_is_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let text = [b"sip:", &text[..]].concat();
        if let Ok(uri) = UriRef::parse(&text) {
            prop_assert_eq!(uri.as_str().as_bytes(), &text[..]);
            prop_assert!(uri.equivalent(uri));
            let printed = uri.to_parts().unwrap().to_uri().unwrap();
            prop_assert!(uri.equivalent(printed.as_ref()), "{} {}", uri, printed);
        }
    }
}
