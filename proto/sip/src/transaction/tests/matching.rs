//! RFC 3261, 17.1.3, 17.2.3, 9.2 and 8.2.2.2.

use super::*;

fn is_new(side: &mut Side, text: &str) -> bool {
    matches!(
        side.transactions.handle_request(start(), &request(text)),
        Incoming::New(_)
    )
}

fn new(side: &mut Side, text: &str) -> NewRequest {
    match side.transactions.handle_request(start(), &request(text)) {
        Incoming::New(new) => new,
        other @ (Incoming::Absorbed(_) | Incoming::Ack(_)) => panic!("{other:?}"),
    }
}

#[test]
fn responses_match_by_branch_and_method() {
    let mut side = Side::new();
    let id = side.call(0, INVITE, Transport::Udp);
    assert_eq!(
        side.receive(0, &answer(180, ";tag=b").replace("kjshdyff", "other")),
        None
    );
    assert_eq!(
        side.receive(
            0,
            &answer(200, ";tag=b").replace("986759 INVITE", "986759 CANCEL")
        ),
        None
    );
    // Tokens in any case (7.3.1); tags and sent-by do not matter.
    let odd = answer(180, "")
        .replace("z9hG4bKkjshdyff", "Z9hg4bkKJSHDYFF")
        .replace(";tag=88sja8x", "");
    assert_eq!(side.receive(0, &odd), Some(id));
}

#[test]
fn requests_match_by_branch_sent_by_and_method() {
    let mut side = Side::new();
    side.serve(0, INVITE, Transport::Udp);
    let same = INVITE
        .replace("z9hG4bKkjshdyff", "z9hg4bKKJSHDYFF")
        .replace("pc33.atlanta", "PC33.Atlanta");
    assert!(!is_new(&mut side, &same));
    // All that is not compared may differ.
    assert!(!is_new(
        &mut side,
        &INVITE
            .replace("987asjd97y7atg", "else")
            .replace("88sja8x", "else")
    ));
    assert!(is_new(&mut side, &INVITE.replace("kjshdyff", "else")));
    assert!(is_new(
        &mut side,
        &INVITE.replace("pc33.atlanta.com;", "pc33.atlanta.com:5062;")
    ));
    assert!(is_new(&mut side, &INVITE.replace("pc33", "pc34")));
    assert!(is_new(&mut side, &INVITE.replace("INVITE", "OPTIONS")));
}

/// Without the magic cookie, as RFC 2543 peers send.
fn old(text: &str) -> String {
    text.replace("branch=z9hG4bKkjshdyff", "branch=1")
}

#[test]
fn requests_of_rfc_2543_match_by_all_their_parts() {
    let mut side = Side::new();
    let invite = old(INVITE);
    let id = side.serve(0, &invite, Transport::Udp);
    assert!(!is_new(&mut side, &invite));
    for (from, to) in [
        ("sip:bob@biloxi.com SIP/2.0", "sip:bob@biloxi.org SIP/2.0"),
        ("88sja8x", "else"),
        ("987asjd97y7atg", "else"),
        ("986759", "986760"),
        ("pc33", "pc34"),
        ("UDP", "TCP"),
        ("branch=1", "branch=2"),
        (";branch=1", ""),
        (
            "To: Bob <sip:bob@biloxi.com>",
            "To: Bob <sip:bob@biloxi.com>;tag=b",
        ),
    ] {
        assert!(is_new(&mut side, &invite.replace(from, to)), "{from}");
    }
    // The ACK carries the To tag of our response.
    side.respond(0, id, 486).unwrap();
    let ack = invite.replace("INVITE", "ACK");
    let tagged = |tag: &str| {
        ack.replace(
            "To: Bob <sip:bob@biloxi.com>",
            &format!("To: <sip:bob@biloxi.com>;tag={tag}"),
        )
    };
    let stray = side
        .transactions
        .handle_request(start(), &request(&tagged("c")));
    assert!(matches!(stray, Incoming::Ack(None)));
    let absorbed = side
        .transactions
        .handle_request(start(), &request(&tagged("b")));
    assert!(matches!(absorbed, Incoming::Absorbed(same) if same == id));
    assert_eq!(side.run(60_000), ["send 486", "5000 terminated"]);
    side.assert_empty();
}

/// RFC 6026, 6: in Accepted, the ACK without cookie goes up.
#[test]
fn the_ack_of_rfc_2543_for_a_2xx_is_handed_over() {
    let mut side = Side::new();
    let id = side.serve(0, &old(INVITE), Transport::Udp);
    side.respond(0, id, 200).unwrap();
    let ack = old(INVITE).replace("INVITE", "ACK").replace(
        "To: Bob <sip:bob@biloxi.com>",
        "To: <sip:bob@biloxi.com>;tag=b",
    );
    let up = side.transactions.handle_request(start(), &request(&ack));
    assert!(matches!(up, Incoming::Ack(Some(same)) if same == id));
    side.run(60_000);
    side.assert_empty();
}

#[test]
fn cancel_is_found_beside_its_invite() {
    for invite in [INVITE.to_owned(), old(INVITE)] {
        let mut side = Side::new();
        let id = side.serve(0, &invite, Transport::Udp);
        let cancel = invite.replace("INVITE", "CANCEL");
        let found = new(&mut side, &cancel);
        assert_eq!((found.cancels(), found.merged_with()), (Some(id), None));
        // It is a transaction of its own.
        let own = side.serve(0, &cancel, Transport::Udp);
        assert_ne!(own, id);
        assert!(!is_new(&mut side, &cancel));
        let other = cancel
            .replace("branch=z9hG4bKkj", "branch=z9hG4bKkk")
            .replace("branch=1", "branch=3");
        assert_eq!(new(&mut side, &other).cancels(), None);
    }
    let mut side = Side::new();
    let id = side.serve(0, &options(INVITE), Transport::Udp);
    assert_eq!(
        new(&mut side, &INVITE.replace("INVITE", "CANCEL")).cancels(),
        Some(id)
    );
}

#[test]
fn a_request_that_comes_two_ways_is_merged() {
    let mut side = Side::new();
    let first = side.serve(0, INVITE, Transport::Udp);
    let copy = INVITE.replace("kjshdyff", "other");
    assert_eq!(new(&mut side, &copy).merged_with(), Some(first));
    // Served or not, the first stays the one.
    side.serve(0, &copy, Transport::Udp);
    assert_eq!(
        new(&mut side, &INVITE.replace("kjshdyff", "third")).merged_with(),
        Some(first)
    );
    // A second try is no copy, nor is a request inside a dialog.
    assert_eq!(
        new(
            &mut side,
            &copy.replace("986759", "986760").replace("other", "x")
        )
        .merged_with(),
        None
    );
    let inside = copy.replace(
        "To: Bob <sip:bob@biloxi.com>",
        "To: Bob <sip:bob@biloxi.com>;tag=b",
    );
    assert_eq!(
        new(&mut side, &inside.replace("other", "y")).merged_with(),
        None
    );
    // Once the first is over, it is a request like any other.
    side.respond(0, first, 486).unwrap();
    side.run(32_000);
    assert_eq!(
        new(&mut side, &INVITE.replace("kjshdyff", "fourth")).merged_with(),
        None
    );
}

#[test]
fn peers_without_tags() {
    let mut side = Side::new();
    let bare = INVITE.replace(";tag=88sja8x", "");
    let id = side.serve(0, &bare, Transport::Udp);
    assert_eq!(
        new(&mut side, &bare.replace("kjshdyff", "other")).merged_with(),
        Some(id)
    );
    assert_eq!(
        new(&mut side, &INVITE.replace("kjshdyff", "other")).merged_with(),
        None
    );
}
