//! The client machines inside the table.

use super::*;

#[test]
fn invite_without_any_answer() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Udp);
    let said = side.run(60_000);
    let sends = said
        .iter()
        .filter(|what| what.ends_with("send INVITE"))
        .count();
    // Seven in all, the first one without a time.
    assert_eq!(sends, 7);
    assert_eq!(said[7..], ["32000 timed out", "32000 terminated"]);
    assert!(
        side.sent
            .windows(2)
            .all(|pair| pair[0].as_ptr() == pair[1].as_ptr()),
        "the same bytes"
    );
    side.assert_empty();
}

#[test]
fn a_refused_invite_is_acknowledged_and_every_copy_again() {
    let mut side = Side::new();
    let id = side.call(0, INVITE, Transport::Udp);
    assert_eq!(side.receive(50, &answer(180, ";tag=b")), Some(id));
    side.receive(100, &answer(486, ";tag=b"));
    side.receive(600, &answer(486, ";tag=b"));
    // Another element answers, too: the first ACK is repeated.
    side.receive(700, &answer(503, ";tag=c"));
    let said = side.run(60_000);
    let expected = [
        "send INVITE",
        "response 180",
        "send ACK",
        "response 486",
        "send ACK",
        "send ACK",
        "32100 terminated",
    ];
    assert_eq!(said, expected);
    side.assert_empty();
    // RFC 3261, 17.1.1.3, the example; and 22.1.
    let ack = "ACK sip:bob@biloxi.com SIP/2.0\n\
        Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\n\
        Route: <sip:p1.atlanta.com;lr>, <sip:p2.biloxi.com;lr>\n\
        Max-Forwards: 70\n\
        From: Alice <sip:alice@atlanta.com>;tag=88sja8x\n\
        Call-ID: 987asjd97y7atg\n\
        CSeq: 986759 ACK\n\
        To: Bob <sip:bob@biloxi.com>;tag=b\n\
        Authorization: Digest username=\"alice\"\n\
        Content-Length: 0\n\n";
    assert_eq!(
        std::str::from_utf8(&side.sent[1]).unwrap(),
        ack.replace('\n', "\r\n")
    );
    assert_eq!(
        (&side.sent[2], &side.sent[3]),
        (&side.sent[1], &side.sent[1])
    );
}

#[test]
fn on_reliable_transports_a_refused_invite_ends_at_once() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Tcp);
    side.receive(100, &answer(404, ";tag=b"));
    assert_eq!(
        side.run(100),
        ["send INVITE", "send ACK", "response 404", "terminated"]
    );
    side.assert_empty();
}

#[test]
fn each_2xx_of_a_forked_invite_is_handed_over() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Udp);
    side.receive(100, &answer(200, ";tag=b"));
    side.receive(200, &answer(200, ";tag=c"));
    side.receive(600, &answer(200, ";tag=b"));
    // RFC 6026, figure 5: nothing else counts any more.
    side.receive(700, &answer(486, ";tag=d"));
    let said = side.run(60_000);
    assert_eq!(
        said,
        [
            "send INVITE",
            "response 200",
            "response 200",
            "response 200",
            "32100 terminated"
        ]
    );
    assert_eq!(side.receive(60_000, &answer(200, ";tag=b")), None);
    side.assert_empty();
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut side = Side::new();
    let id = side.call(0, INVITE, Transport::Udp);
    let way = path(Transport::Udp);
    assert_eq!(
        side.transactions.cancel(start(), id, way, None),
        Err(CancelError::TooEarly)
    );
    side.receive(100, &answer(100, ""));
    let cancel = side
        .transactions
        .cancel(start() + ms(200), id, way, None)
        .unwrap();
    let again = side.transactions.cancel(start() + ms(300), id, way, None);
    assert_eq!(again, Err(CancelError::Request(RequestError::BranchInUse)));
    // RFC 3261, 9.1: one Via, the INVITE's; its Route, its number, no To tag.
    let expected = "CANCEL sip:bob@biloxi.com SIP/2.0\n\
        Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\n\
        Route: <sip:p1.atlanta.com;lr>, <sip:p2.biloxi.com;lr>\n\
        Max-Forwards: 70\n\
        From: Alice <sip:alice@atlanta.com>;tag=88sja8x\n\
        Call-ID: 987asjd97y7atg\n\
        CSeq: 986759 CANCEL\n\
        To: Bob <sip:bob@biloxi.com>\n\
        Content-Length: 0\n\n";
    side.drain();
    assert_eq!(
        std::str::from_utf8(side.sent.last().unwrap()).unwrap(),
        expected.replace('\n', "\r\n")
    );
    let ok = answer(200, ";tag=p").replace("986759 INVITE", "986759 CANCEL");
    assert_eq!(side.receive(300, &ok), Some(cancel));
    assert_eq!(side.receive(400, &answer(487, ";tag=b")), Some(id));
    assert_eq!(
        side.transactions.cancel(start() + ms(500), id, way, None),
        Err(CancelError::TooLate)
    );
    side.run(60_000);
    assert_eq!(
        side.transactions
            .cancel(start() + ms(60_000), id, way, None),
        Err(CancelError::Unknown)
    );
    side.assert_empty();
}

#[test]
fn a_cancelled_invite_without_final_response_is_given_up() {
    let mut side = Side::new();
    let id = side.call(0, INVITE, Transport::Tcp);
    side.receive(100, &answer(180, ";tag=b"));
    side.transactions
        .cancel(start() + ms(1_000), id, path(Transport::Tcp), None)
        .unwrap();
    side.receive(
        1_100,
        &answer(200, ";tag=p").replace("986759 INVITE", "986759 CANCEL"),
    );
    let said = side.run(60_000);
    assert_eq!(
        said[said.len() - 2..],
        ["33000 timed out", "33000 terminated"]
    );
    side.assert_empty();
}

#[test]
fn another_request_over_either_transport() {
    let mut side = Side::new();
    side.call(0, &options(INVITE), Transport::Udp);
    side.receive(600, &options(&answer(200, ";tag=b")));
    side.receive(650, &options(&answer(200, ";tag=b")));
    let said = side.run(60_000);
    // Timer E at 500 ms was late: the response at 600 ms was handed in first.
    assert_eq!(said, ["send OPTIONS", "response 200", "5600 terminated"]);
    side.assert_empty();

    side.call(0, &options(INVITE), Transport::Tls);
    side.receive(600, &options(&answer(200, ";tag=b")));
    assert_eq!(
        side.run(600),
        ["send OPTIONS", "response 200", "terminated"]
    );
    side.assert_empty();
}

#[test]
fn the_loss_of_each_message_of_another_request() {
    for lost in 0..4 {
        let (mut client, mut server) = (Side::new(), Side::new());
        let id = client.call(0, &options(INVITE), Transport::Udp);
        let mut served = None;
        let mut messages = 0;
        for step in 0..80 {
            let at = step * 500;
            client.run(at);
            for message in std::mem::take(&mut client.sent) {
                messages += 1;
                if messages - 1 == lost {
                    continue;
                }
                let text = String::from_utf8(message.to_vec())
                    .unwrap()
                    .replace('\r', "");
                if served.is_none() {
                    let id = server.serve(at, &text, Transport::Udp);
                    let ok = response(&options(&answer(200, ";tag=b")));
                    server
                        .transactions
                        .respond(start() + ms(at), id, &ok)
                        .unwrap();
                    served = Some(id);
                } else {
                    server
                        .transactions
                        .handle_request(start() + ms(at), &request(&text));
                }
            }
            server.run(at);
            for message in std::mem::take(&mut server.sent) {
                messages += 1;
                if messages - 1 == lost {
                    continue;
                }
                let text = String::from_utf8(message.to_vec())
                    .unwrap()
                    .replace('\r', "");
                assert_eq!(client.receive(at, &text), Some(id));
            }
        }
        client.assert_empty();
        server.assert_empty();
    }
}

#[test]
fn transport_errors_end_what_waits() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Udp);
    side.call(0, &options(INVITE), Transport::Udp);
    side.run(0);
    let Path { flow, to, .. } = path(Transport::Udp);
    let elsewhere = "192.0.2.5:5060".parse().unwrap();
    side.transactions
        .handle_undeliverable(start(), flow, elsewhere, LinkError::Refused);
    side.transactions
        .handle_flow_down(start(), FlowId::from_parts(0, 2), Some(LinkError::Reset));
    assert_eq!(side.run(0), [""; 0]);
    side.transactions
        .handle_undeliverable(start(), flow, to, LinkError::Refused);
    let said = side.run(0);
    assert_eq!(
        said,
        [
            "failed Refused",
            "terminated",
            "failed Refused",
            "terminated"
        ]
    );
    side.assert_empty();
}

#[test]
fn a_connection_closed_in_good_order_leaves_the_timers_to_decide() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Tcp);
    let flow = path(Transport::Tcp).flow;
    side.transactions
        .handle_flow_down(start() + ms(100), flow, None);
    assert_eq!(
        side.run(60_000),
        ["send INVITE", "32000 timed out", "32000 terminated"]
    );
    // A ringing call outlives even a reset: the response may take another connection.
    side.call(0, INVITE, Transport::Tcp);
    side.receive(100, &answer(180, ";tag=b"));
    side.transactions
        .handle_flow_down(start() + ms(200), flow, Some(LinkError::Reset));
    side.receive(300, &answer(200, ";tag=b"));
    assert_eq!(
        side.run(60_000),
        [
            "send INVITE",
            "response 180",
            "response 200",
            "32300 terminated"
        ]
    );
}

#[test]
fn a_branch_is_used_once() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Udp);
    let outgoing = Outgoing {
        path: path(Transport::Udp),
        method: &Method::Invite,
        branch: "z9hG4bKKJSHDYFF",
        message: Bytes::from_static(b"x"),
    };
    assert_eq!(
        side.transactions.request(start(), outgoing),
        Err(RequestError::BranchInUse)
    );
}
