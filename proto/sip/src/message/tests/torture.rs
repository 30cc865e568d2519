//! Messages of RFC 4475 and RFC 5118, as their texts print them.

use super::*;
use base::Host;

/// RFC 4475, 3.1.1.1: everything that white space, folding, compact forms and quoting allow.
#[test]
fn folded_compact_and_quoted() {
    let text = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
        TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
        MaX-fOrWaRdS: 0068\r\n\
        Call-ID: wsinv.ndaksdj@192.0.2.1\r\n\
        Content-Length   : 4\r\n\
        cseq: 0009\r\n  INVITE\r\n\
        Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
        s :\r\n\
        NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
        UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
        Content-Type: application/sdp\r\n\
        Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / \
        UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\
        \r\nv=0\r\nrest";
    let request = request(text);
    let headers = &request.headers;
    assert_eq!(headers.to().unwrap().tag(), Some("1918181833n"));
    let from = headers.from().unwrap();
    assert_eq!(
        (from.display_name().as_deref(), from.tag()),
        (Some("J Rosenberg \\\""), Some("98asjd8"))
    );
    assert_eq!(headers.max_forwards(), Ok(Some(68)));
    assert_eq!(headers.cseq(), Ok(CSeq::new(9, Method::Invite)));
    let vias: Vec<Via<'_>> = headers
        .list(HeaderName::Via)
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        vias.iter()
            .map(|via| (via.transport(), via.host(), via.branch()))
            .collect::<Vec<_>>(),
        [
            ("UDP", "192.0.2.2", Some("390skdjuw")),
            ("TCP", "spindle.example.com", Some("z9hG4bK9ikj8")),
            ("UDP", "192.168.255.111", Some("z9hG4bK30239")),
        ]
    );
    assert_eq!(
        headers.get("newfangledheader"),
        Some(&b"newfangled value continued newfangled value"[..])
    );
    assert_eq!(
        headers.get("UnknownHeaderWithUnusualValue"),
        Some(&b";;,,;;,;"[..])
    );
    assert_eq!(headers.get(HeaderName::Subject), Some(&b""[..]));
    let Ok(Some(ContactValue::Address(contact))) = headers.contact() else {
        panic!("a contact");
    };
    assert_eq!(
        contact.display_name().as_deref(),
        Some("Quoted string \"\"")
    );
    assert_eq!(
        (
            contact.params.token("newparam"),
            contact.params.contains("secondparam")
        ),
        (Some("newvalue"), true)
    );
    assert_eq!(contact.params.token("q"), Some("0.33"));
    assert_eq!(request.body, "v=0\r");
    // Printed without folds, read the same.
    let printed = request.to_bytes();
    assert!(!printed.windows(3).any(|w| w == b"\r\n " || w == b"\r\n\t"));
    assert_eq!(parse(&printed).unwrap(), Message::Request(request));
}

/// RFC 4475, 3.1.1.2 (intmeth).
#[test]
fn wide_range_of_characters() {
    let uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let text = [
        format!("{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\r\n").as_bytes(),
        b"To: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7F\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\r\n",
        "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\"\
         ;tag=_token~1'+`*%!-.\r\nCall-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\n"
            .as_bytes(),
        format!("CSeq: 139122385 {method}\r\nMax-Forwards: 255\r\n").as_bytes(),
        "extensionHeader-!.%*+_`'~: \u{feff}大停電\r\nContent-Length: 0\r\n\r\n".as_bytes(),
    ]
    .concat();
    let request = request(&text);
    assert_eq!(
        (request.method.as_str(), request.uri.as_str()),
        (method, uri)
    );
    assert_eq!(
        request.uri.user(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        request.uri.as_ref().password(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    assert_eq!(
        request.headers.via().unwrap().branch(),
        Some("z9hG4bK-.!%66*_+`'~")
    );
    let to = request.headers.to().unwrap();
    assert_eq!(
        to.display_name().as_deref(),
        Some("BEL:\x07 NUL:\0 DEL:\x7f")
    );
    let from = request.headers.from().unwrap();
    assert_eq!(
        from.display_name().as_deref(),
        Some("token1~` token2'+_ token3*%!.-")
    );
    assert_eq!(
        from.params.text("FROMPARAM''~+*_!.-%").as_deref(),
        Some("работающий")
    );
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        request.headers.call_id(),
        Ok("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{")
    );
    assert_eq!(
        request.headers.get("extensionheader-!.%*+_`'~"),
        Some("\u{feff}大停電".as_bytes())
    );
    assert_eq!(request.to_bytes(), text);
}

/// RFC 4475, 3.1.1.4 (escnull), 3.3.13 (cparam02), 3.3.4 (unksm2).
#[test]
fn contacts_of_all_sorts() {
    let contacts = |lines: &str| {
        let request = request(with(
            "Content-Length",
            &format!("{lines}\r\nContent-Length"),
        ));
        let list = request.headers.list::<NameAddr<'_>>(HeaderName::Contact);
        list.map(|contact| contact.unwrap().uri.to_uri())
            .collect::<Vec<Uri>>()
    };
    let nulls =
        contacts("Contact: <sip:%00@host5.example.com>\r\nContact: <sip:%00%00@host5.example.com>");
    let users: Vec<String> = nulls
        .iter()
        .map(|uri| uri.as_ref().user_text().unwrap().into_owned())
        .collect();
    assert_eq!(users, ["\0", "\0\0"]);
    assert!(!nulls[0].equivalent(&nulls[1]));
    let inside = contacts("m: <sip:+19725552222@gw1.example.net;unknownparam>");
    assert!(inside[0].params().contains("unknownparam"));
    let name = contacts("Contact: <name:John_Smith>");
    assert_eq!(name[0].as_ref().scheme_str(), "name");
}

/// RFC 4475, 3.3.7 (regaut01), 3.2.1 (badbranch), 3.3.10 (bcast), 3.1.2.5 (scalarlg), 3.4.1 (inv2543).
#[test]
fn the_rest_of_the_torture_chamber() {
    let auth = request(with(
        "Content-Length",
        "Authorization: NoOneKnowsThisScheme opaque-data=here\r\nContent-Length",
    ));
    let auth = auth
        .headers
        .get(HeaderName::Authorization)
        .unwrap()
        .to_vec();
    assert_eq!(auth, b"NoOneKnowsThisScheme opaque-data=here");
    let cookie_only = request(with("z9hG4bKhjhs8ass877", "z9hG4bK"));
    assert_eq!(cookie_only.headers.via().unwrap().branch(), Some("z9hG4bK"));
    assert!(
        !cookie_only.headers.via().unwrap().has_cookie(),
        "a cookie without an id behind it is none"
    );
    let bcast = response(
        with(
            "OPTIONS sip:bob@example.com SIP/2.0\r\n",
            "SIP/2.0 200 OK\r\n",
        )
        .replacen(
            "Max",
            "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\nMax",
            1,
        ),
    );
    assert_eq!(bcast.headers.values(HeaderName::Via).count(), 2);
    let scalar = with(
        "OPTIONS sip:bob@example.com SIP/2.0\r\n",
        "SIP/2.0 503 Service Unavailable\r\n",
    )
    .replace("63104", "9292394834772304023312");
    assert_eq!(error(scalar).kind, ErrorKind::OutOfRange);
    let old = request(
        "INVITE sip:UserB@example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP iftgw.example.com\r\n\
         From: <sip:+13035551111@ift.client.example.net;user=phone>\r\n\
         Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\r\n\
         To: sip:+16505552222@ss1.example.net;user=phone\r\n\
         Call-ID: inv2543.1717@ift.client.example.com\r\n\
         CSeq: 56 INVITE\r\n\
         Content-Type: application/sdp\r\n\r\nv=0\r\n",
    );
    assert_eq!(
        (
            old.headers.via().unwrap().branch(),
            old.headers.from().unwrap().tag()
        ),
        (None, None)
    );
    assert_eq!(
        old.headers.to().unwrap().params.token("user"),
        Some("phone"),
        "without brackets it is the header's"
    );
    assert_eq!(old.body, "v=0\r\n");
}

/// RFC 5118, 4.2, 4.3, 4.5, 4.9.
#[test]
fn ipv6_everywhere() {
    let uri = |uri: &str| {
        parse(with("sip:bob@example.com", uri)).map(|message| match message {
            Message::Request(request) => (request.uri.host(), request.uri.port()),
            Message::Response(_) => panic!("a request"),
        })
    };
    assert_eq!(
        uri("sip:2001:db8::10").unwrap_err().status(),
        Status::BAD_REQUEST
    );
    let ambiguous = "2001:db8::10:5070".parse().map(Host::Ip).ok();
    assert_eq!(uri("sip:[2001:db8::10:5070]"), Ok((ambiguous, None)));
    let clear = "2001:db8::10".parse().map(Host::Ip).ok();
    assert_eq!(uri("sip:[2001:db8::10]:5070"), Ok((clear, Some(5070))));
    let received = request(with(
        "pc33.example.com",
        "[2001:db8::9:1];received=2001:db8::9:255",
    ));
    assert_eq!(
        received.headers.via().unwrap().received(),
        "2001:db8::9:255".parse().ok()
    );
    let mapped = request(with("pc33.example.com", "[::ffff:192.0.2.10]:19823"));
    let via = mapped.headers.via().unwrap();
    assert_eq!(
        (via.host(), via.port),
        ("[::ffff:192.0.2.10]", Some(19_823))
    );
}
