//! Answers that nobody asked for.

use super::{
    world::{answer, record, reply},
    *,
};

fn asking() -> (World, LookupId, ExchangeId, Bytes) {
    let mut world = World::new();
    let request = Request::Host {
        host: "sip1.example.com".parse().unwrap(),
        port: 5060,
        reach: crate::Reach::new(base::Transport::Udp, true, false),
    };
    let lookup = world.resolver.lookup(at(0), request);
    world.drain(at(0));
    let (exchange, query) = world.pending.remove(0);
    (world, lookup, exchange, query)
}

/// RFC 5452, 9.1.
#[test]
fn answers_from_elsewhere_or_to_something_else_are_not_believed() {
    let (mut world, lookup, exchange, query) = asking();
    let lie = reply(
        &query,
        0x8180,
        &[record("sip1.example.com", A, &[203, 0, 113, 66])],
        &[],
    );
    let mut wrong_id = lie.clone();
    wrong_id[0] ^= 1;
    let mut wrong_name = lie.clone();
    wrong_name[13] ^= 1;
    let mut wrong_kind = lie.clone();
    wrong_kind[query.len() - 3] = 28;
    let mut is_query = lie.clone();
    is_query[2] &= 0x7f;
    let elsewhere = world::server(2);
    let other_port = SocketAddr::new(ALL[0].ip(), 5353);
    for (from, bytes) in [
        (elsewhere, lie.clone()),
        (other_port, lie),
        (ALL[0], wrong_id),
        (ALL[0], wrong_name),
        (ALL[0], wrong_kind),
        (ALL[0], is_query),
        (ALL[0], Vec::new()),
    ] {
        let payload = bytes.into();
        let input = Input::Datagram {
            exchange,
            from,
            payload,
        };
        world.resolver.handle_input(at(1), input);
    }
    world.drain(at(1));
    assert!(world.is_open(lookup));
    let input = Input::Datagram {
        exchange,
        from: ALL[0],
        payload: answer(&query).into(),
    };
    world.resolver.handle_input(at(2), input);
    world.drain(at(2));
    assert_eq!(
        world.results(lookup).unwrap(),
        ["udp 192.0.2.1:5060 sip1.example.com"]
    );
    assert_eq!(world.resolver.cached(), 1);
}

/// RFC 5452, 9.3.
#[test]
fn who_guesses_often_makes_us_ask_over_tcp() {
    let (mut world, lookup, exchange, query) = asking();
    for guess in 0..16_u8 {
        let mut lie = answer(&query);
        lie[1] = lie[1].wrapping_add(guess + 1);
        let input = Input::Datagram {
            exchange,
            from: ALL[0],
            payload: lie.into(),
        };
        world.resolver.handle_input(at(1), input);
    }
    world.drain(at(1));
    assert_eq!(world.streams, 1);
    // The right id is too late over UDP: that socket is closed.
    let input = Input::Datagram {
        exchange,
        from: ALL[0],
        payload: answer(&query).into(),
    };
    world.resolver.handle_input(at(1), input);
    assert!(world.is_open(lookup));
    world.serve(at(2));
    assert!(world.results(lookup).is_ok());
}

#[test]
fn ids_are_not_guessable_from_those_before() {
    let mut world = World::new();
    for n in 0..40 {
        world.resolver.lookup(at(0), sip(&format!("h{n}.test")));
    }
    world.drain(at(0));
    let ids = world.sent.iter().map(|(_, query)| parts(query).0);
    let ids: Vec<u16> = ids.collect();
    let steps: std::collections::BTreeSet<u16> = ids
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert!(steps.len() > 30, "{ids:?}");
}

#[test]
fn a_connection_that_says_nonsense_is_a_failed_server() {
    for nonsense in [
        &b"\0\x05hello"[..],
        b"\0\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ] {
        let (mut world, lookup, exchange, query) = asking();
        let payload = reply(&query, 0x8380, &[], &[]).into();
        let from = ALL[0];
        let input = Input::Datagram {
            exchange,
            from,
            payload,
        };
        world.resolver.handle_input(at(1), input);
        world.drain(at(1));
        let (&stream, _) = world.sockets.first_key_value().unwrap();
        let payload = Bytes::from_static(nonsense);
        let input = Input::Bytes {
            exchange: stream,
            payload,
        };
        world.resolver.handle_input(at(2), input);
        // What is no whole message ends with the connection, at the latest.
        let input = Input::Failed { exchange: stream };
        world.resolver.handle_input(at(3), input);
        world.drain(at(3));
        assert_eq!(world.results(lookup), Err(LookupError::Refused));
        assert_eq!(world.resolver.stats(), Stats::default());
    }
}

#[test]
fn an_endless_connection_keeps_no_more_than_a_message() {
    let (mut world, _, exchange, query) = asking();
    let payload = reply(&query, 0x8380, &[], &[]).into();
    let from = ALL[0];
    let input = Input::Datagram {
        exchange,
        from,
        payload,
    };
    world.resolver.handle_input(at(1), input);
    world.drain(at(1));
    let (&stream, _) = world.sockets.first_key_value().unwrap();
    for _ in 0..100 {
        let payload = Bytes::from_static(&[0xff; 1_000]);
        let input = Input::Bytes {
            exchange: stream,
            payload,
        };
        world.resolver.handle_input(at(2), input);
    }
    world.drain(at(2));
    assert!(
        world.sockets.is_empty(),
        "the nonsense was seen as soon as it was whole"
    );
}
