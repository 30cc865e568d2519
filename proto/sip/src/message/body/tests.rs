use super::*;

fn headers(lines: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

/// The body that is found as session description.
fn found(content: &[(&str, &str)], body: &str) -> Result<Option<String>, Unacceptable> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let found = description(&headers(content), &body)?;
    Ok(found.map(|description| {
        assert_eq!(description.content_type, "application/sdp");
        String::from_utf8(description.body.to_vec()).unwrap()
    }))
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

fn multipart(subtype: &str, parts: &[(&str, &str)]) -> Result<Option<String>, Unacceptable> {
    let mut body = String::from("preamble, ignored\r\n");
    for (head, content) in parts {
        body += &format!("--b1\r\n{head}\r\n{content}\r\n");
    }
    body += "--b1--\r\nepilogue";
    found(
        &[("Content-Type", &format!("multipart/{subtype};boundary=b1"))],
        &body,
    )
}

#[test]
fn a_description_alone() {
    assert_eq!(found(&[], ""), Ok(None));
    assert_eq!(
        found(&[("c", "Application / SDP ; charset=x")], SDP),
        Ok(Some(SDP.into()))
    );
    assert_eq!(
        found(
            &[("c", "application/sdp"), ("Content-Disposition", "Session")],
            SDP
        ),
        Ok(Some(SDP.into()))
    );
    assert_eq!(
        found(&[], SDP),
        Ok(Some(SDP.into())),
        "without a type, by how it begins"
    );
    assert_eq!(found(&[], "hello"), Err(Unacceptable::Type));
    assert_eq!(found(&[("c", "text/plain")], SDP), Err(Unacceptable::Type));
    assert_eq!(found(&[("c", "sdp")], SDP), Err(Unacceptable::Type));
}

#[test]
fn disposition_and_encoding() {
    let sdp = ("c", "application/sdp");
    let early = ("Content-Disposition", "early-session");
    assert_eq!(found(&[sdp, early], SDP), Err(Unacceptable::Type));
    assert_eq!(
        found(
            &[
                sdp,
                ("Content-Disposition", "early-session;handling=optional")
            ],
            SDP
        ),
        Ok(None)
    );
    assert_eq!(
        found(
            &[
                ("c", "image/png"),
                ("Content-Disposition", "icon;handling=optional")
            ],
            "x"
        ),
        Ok(None)
    );
    assert_eq!(
        found(&[sdp, ("e", "gzip")], SDP),
        Err(Unacceptable::Encoding)
    );
    assert_eq!(
        found(&[sdp, ("Content-Encoding", "Identity")], SDP),
        Ok(Some(SDP.into()))
    );
    assert_eq!(
        found(
            &[
                sdp,
                ("e", "gzip"),
                ("Content-Disposition", "session;handling=optional")
            ],
            SDP
        ),
        Ok(None)
    );
}

/// RFC 5621, 3: all parts are processed together.
#[test]
fn mixed_and_unknown_multiparts() {
    let sdp = ("Content-Type: application/sdp\r\n", SDP);
    let location = (
        "Content-Type: application/pidf+xml\r\nContent-Disposition: render;handling=optional\r\n",
        "<x/>",
    );
    let required = ("Content-Type: application/isup\r\n", "\x01");
    let early = (
        "Content-Type: application/sdp\r\nContent-Disposition: early-session;handling=optional\r\n",
        "v=0 early",
    );
    for subtype in ["mixed", "signed"] {
        assert_eq!(multipart(subtype, &[sdp, location]), Ok(Some(SDP.into())));
        assert_eq!(
            multipart(subtype, &[early, location, sdp]),
            Ok(Some(SDP.into()))
        );
        assert_eq!(
            multipart(subtype, &[sdp, required]),
            Err(Unacceptable::Type)
        );
        assert_eq!(multipart(subtype, &[location]), Ok(None));
    }
}

/// RFC 2046, 5.1.4: the last alternative that is understood.
#[test]
fn alternatives() {
    let sdp = ("Content-Type: application/sdp\r\n", SDP);
    let other = ("Content-Type: application/sdpng\r\n", "<x/>");
    let better = ("Content-Type: application/sdp\r\n", "v=0 better");
    assert_eq!(
        multipart("alternative", &[sdp, other]),
        Ok(Some(SDP.into()))
    );
    assert_eq!(
        multipart("alternative", &[sdp, better]),
        Ok(Some("v=0 better".into()))
    );
    assert_eq!(multipart("alternative", &[other]), Err(Unacceptable::Type));
}

/// RFC 2387: the root is what the others hang on.
#[test]
fn related() {
    let sdp = (
        "Content-Type: application/sdp\r\nContent-ID: <2@h>\r\n",
        SDP,
    );
    let picture = ("Content-Type: image/png\r\nContent-ID: <1@h>\r\n", "x");
    assert_eq!(multipart("related", &[sdp, picture]), Ok(Some(SDP.into())));
    assert_eq!(
        multipart("related", &[picture, sdp]),
        Err(Unacceptable::Type)
    );
    assert_eq!(
        multipart("related;start=\"<2@h>\"", &[picture, sdp]),
        Ok(Some(SDP.into()))
    );
}

#[test]
fn nested() {
    let inner = format!("--b2\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b2--");
    let part = (
        "Content-Type: multipart/mixed;boundary=\"b2\"\r\n",
        inner.as_str(),
    );
    assert_eq!(multipart("mixed", &[part]), Ok(Some(SDP.into())));
    let mut content = SDP.to_owned();
    let mut kind = "application/sdp".to_owned();
    for depth in 0..8 {
        content = format!("--n{depth}\r\nContent-Type: {kind}\r\n\r\n{content}\r\n--n{depth}--");
        kind = format!("multipart/mixed;boundary=n{depth}");
        let expected = if depth < MAX_DEPTH {
            Ok(Some(SDP.into()))
        } else {
            Err(Unacceptable::Malformed)
        };
        assert_eq!(found(&[("c", &kind)], &content), expected, "{depth}");
    }
}

#[test]
fn delimiters() {
    let cut = |body: &'static str| {
        let parts = parts(&Bytes::from(body), "b");
        parts.map(|parts| {
            parts
                .iter()
                .map(|part| String::from_utf8(part.body.to_vec()).unwrap())
                .collect::<Vec<_>>()
        })
    };
    let expect = |texts: &[&str]| {
        Ok(texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>())
    };
    assert_eq!(
        cut("--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"),
        expect(&["one", "two"])
    );
    assert_eq!(cut("--b\n\none\n--b--"), expect(&["one"]));
    assert_eq!(
        cut("--b \t\r\n\r\n--bx\r\n--b--"),
        expect(&["--bx"]),
        "a word that begins like the boundary"
    );
    assert_eq!(cut("--b\r\n\r\na\r\n\r\n--b--"), expect(&["a\r\n"]));
    assert_eq!(cut("--b\r\n\r\n\r\n--b--"), expect(&[""]));
    assert_eq!(cut("--b--"), expect(&[]));
    for bad in [
        "",
        "no delimiter",
        "--b",
        "--b\r\n\r\nopen",
        "--b\r\nno header\r\n\r\n\r\n--b--",
        "--c--",
    ] {
        assert_eq!(cut(bad), Err(Unacceptable::Malformed), "{bad:?}");
    }
    let many = |count: usize| Bytes::from("--b\r\n\r\nx\r\n".repeat(count) + "--b--");
    assert_eq!(
        parts(&many(MAX_PARTS), "b").map(|parts| parts.len()),
        Ok(MAX_PARTS)
    );
    assert_eq!(
        parts(&many(MAX_PARTS + 1), "b"),
        Err(Unacceptable::Malformed)
    );
    assert_eq!(
        found(&[("c", "multipart/mixed")], "--b--"),
        Err(Unacceptable::Malformed)
    );
}
