//! The server machines inside the table.

use super::*;

fn ack(tag: &str) -> String {
    INVITE.replace("INVITE", "ACK").replace(
        "To: Bob <sip:bob@biloxi.com>",
        &format!("To: Bob <sip:bob@biloxi.com>{tag}"),
    )
}

#[test]
fn trying_is_sent_after_200_ms_and_repeated() {
    let mut side = Side::new();
    let stamped = INVITE.replace("Max-Forwards", "Timestamp: 54\nMax-Forwards");
    let id = side.serve(0, &stamped, Transport::Udp);
    assert_eq!(side.run(500), ["200 send 100"]);
    let trying = String::from_utf8(side.sent[0].to_vec()).unwrap();
    // RFC 3261, 17.2.1 and 8.2.6.1.
    assert!(
        trying.contains("To: Bob <sip:bob@biloxi.com>\r\n") && trying.contains("Timestamp: 54\r\n"),
        "{trying}"
    );
    let again = side
        .transactions
        .handle_request(start() + ms(500), &request(&stamped));
    assert!(matches!(again, Incoming::Absorbed(same) if same == id));
    assert_eq!(side.run(500), ["send 100"]);
    assert_eq!(side.sent[0].as_ptr(), side.sent[1].as_ptr());
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut side = Side::new();
    let id = side.serve(0, INVITE, Transport::Udp);
    assert!(side.transactions.request_of(id).is_some());
    side.respond(100, id, 180).unwrap();
    side.respond(200, id, 486).unwrap();
    assert!(side.transactions.request_of(id).is_none());
    assert_eq!(side.respond(300, id, 200), Err(RespondError::WrongState));
    assert_eq!(side.respond(300, id, 180), Err(RespondError::WrongState));
    assert_eq!(side.run(1_000), ["send 180", "send 486", "700 send 486"]);
    side.transactions
        .handle_request(start() + ms(1_000), &request(INVITE));
    let ack = request(&ack(";tag=b"));
    let absorbed = side.transactions.handle_request(start() + ms(1_100), &ack);
    assert!(matches!(absorbed, Incoming::Absorbed(same) if same == id));
    side.transactions.handle_request(start() + ms(1_200), &ack);
    assert_eq!(side.run(60_000), ["send 486", "6100 terminated"]);
    assert!(
        side.sent[1..]
            .iter()
            .all(|copy| copy.as_ptr() == side.sent[1].as_ptr())
    );
    side.assert_empty();
}

#[test]
fn a_refusal_without_ack() {
    let mut side = Side::new();
    let id = side.serve(0, INVITE, Transport::Tcp);
    side.respond(0, id, 404).unwrap();
    assert_eq!(
        side.run(60_000),
        ["send 404", "32000 ack missing", "32000 terminated"]
    );
    side.assert_empty();
}

#[test]
fn an_accepted_invite_absorbs_its_copies_and_hands_acks_over() {
    let mut side = Side::new();
    let id = side.serve(0, INVITE, Transport::Udp);
    assert_eq!(
        side.transactions.repeat_success(start(), id),
        Err(RespondError::WrongState)
    );
    side.respond(100, id, 200).unwrap();
    side.transactions
        .handle_request(start() + ms(500), &request(INVITE));
    side.transactions
        .repeat_success(start() + ms(600), id)
        .unwrap();
    // A peer that gives the ACK of a 2xx the branch of its INVITE.
    let same_branch = side
        .transactions
        .handle_request(start() + ms(700), &request(&ack(";tag=b")));
    assert!(matches!(same_branch, Incoming::Ack(Some(same)) if same == id));
    // As it should be.
    let own_branch = ack(";tag=b").replace("kjshdyff", "other");
    let own_branch = side
        .transactions
        .handle_request(start() + ms(700), &request(&own_branch));
    assert!(matches!(own_branch, Incoming::Ack(None)));
    assert_eq!(
        side.run(60_000),
        ["send 200", "send 200", "32100 terminated"]
    );
    assert_eq!(side.sent[0].as_ptr(), side.sent[1].as_ptr());
    side.assert_empty();
}

#[test]
fn another_request_is_answered_again_until_timer_j() {
    let mut side = Side::new();
    let id = side.serve(0, &options(INVITE), Transport::Udp);
    side.transactions
        .handle_request(start() + ms(100), &request(&options(INVITE)));
    side.respond(200, id, 200).unwrap();
    side.transactions
        .handle_request(start() + ms(500), &request(&options(INVITE)));
    assert_eq!(side.respond(600, id, 200), Err(RespondError::WrongState));
    assert_eq!(
        side.run(60_000),
        ["send 200", "send 200", "32200 terminated"]
    );
    side.assert_empty();
    let reliable = side.serve(0, &options(INVITE), Transport::Tcp);
    side.respond(0, reliable, 200).unwrap();
    assert_eq!(side.run(0), ["send 200", "terminated"]);
    assert_eq!(side.respond(0, reliable, 200), Err(RespondError::Unknown));
    side.assert_empty();
}

#[test]
fn a_lost_connection_leaves_the_transaction_and_its_response_takes_another() {
    let mut side = Side::new();
    let id = side.serve(0, INVITE, Transport::Tcp);
    side.respond(0, id, 180).unwrap();
    side.transactions
        .handle_flow_down(start(), path(Transport::Tcp).flow, Some(LinkError::Reset));
    assert_eq!(side.run(0), ["send 180", "failed Reset"]);
    let other = Path {
        flow: FlowId::from_parts(0, 7),
        ..path(Transport::Tcp)
    };
    side.transactions.redirect(start(), id, other).unwrap();
    assert_eq!(side.transactions.path(id), Some(other));
    side.respond(10, id, 486).unwrap();
    side.transactions
        .handle_request(start() + ms(20), &request(&ack(";tag=b")));
    assert_eq!(side.run(20), ["send 180", "send 486", "terminated"]);
    side.assert_empty();
}

#[test]
fn clients_are_not_responded_to() {
    let mut side = Side::new();
    let id = side.call(0, INVITE, Transport::Udp);
    assert_eq!(side.respond(0, id, 200), Err(RespondError::Unknown));
    assert_eq!(
        side.transactions.repeat_success(start(), id),
        Err(RespondError::Unknown)
    );
    assert_eq!(
        side.transactions
            .redirect(start(), id, path(Transport::Udp)),
        Err(RespondError::Unknown)
    );
}
