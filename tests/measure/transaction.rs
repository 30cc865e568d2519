//! Transactions without I/O.
//!
//! Messages are parsed before: parsing has a measurement of its own.

use super::Operation;
use base::{Rng, Transport};
use bytes::Bytes;
use sip::{
    Message, Method, Request, Response,
    transaction::{Config, Incoming, Outgoing, Path, Transactions},
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// The request of a common call, without its body.
pub(crate) fn request(method: &str, branch: &str) -> Bytes {
    let text = format!(
        "{method} sip:bob@biloxi.example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch={branch};rport\r\n\
        Max-Forwards: 70\r\n\
        From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
        To: Bob <sip:bob@biloxi.example.com>\r\n\
        Call-ID: 3848276298220188511@atlanta.example.com\r\n\
        CSeq: 2 {method}\r\n\
        Contact: <sip:alice@client.atlanta.example.com>\r\n\
        User-Agent: bench\r\n\
        Content-Length: 0\r\n\r\n"
    );
    Bytes::from(text)
}

pub(crate) fn parsed(bytes: Bytes) -> Request {
    match Message::parse(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn ok(request: &Request) -> Response {
    let response = Response::to_request(request, sip::Status::OK, Some("314159"));
    match Message::parse(response.to_bytes()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn path() -> Path {
    let mut flows = base::Table::<sip::FlowId, ()>::new();
    Path {
        flow: flows.insert(()),
        to: "192.0.2.4:5060".parse().expect("an address"),
        transport: Transport::Udp,
    }
}

pub(crate) fn drain(transactions: &mut Transactions) {
    while let Some(output) = transactions.poll_output() {
        black_box(output);
    }
}

/// Holds `count` other transactions that wait.
pub(crate) fn crowd(now: Instant, count: usize) -> Transactions {
    let mut transactions = Transactions::new(Config::default(), &mut Rng::from_seed([1; 32]));
    for n in 0..count {
        let branch = format!("z9hG4bKcrowd{n}");
        let message = Bytes::from_static(b"OPTIONS");
        let outgoing = Outgoing {
            path: path(),
            method: &Method::Options,
            branch: &branch,
            message,
        };
        transactions
            .request(now, outgoing)
            .expect("within the limits");
        drain(&mut transactions);
    }
    transactions
}

/// One client transaction, from the request to the end of timer K.
pub(crate) fn client(
    transactions: &mut Transactions,
    now: Instant,
    message: Bytes,
    response: Response,
) {
    let outgoing = Outgoing {
        path: path(),
        method: &Method::Options,
        branch: "z9hG4bK74bf9",
        message,
    };
    transactions
        .request(now, outgoing)
        .expect("the last one is gone");
    drain(transactions);
    transactions.handle_response(now, response);
    drain(transactions);
    transactions.handle_timeout(now + Duration::from_secs(5));
    drain(transactions);
}

/// One server transaction, from the request to the end of timer J, the printing of the response included.
pub(crate) fn server(
    transactions: &mut Transactions,
    now: Instant,
    request: Request,
    response: &Response,
) {
    let Incoming::New(new) = transactions.handle_request(now, &request) else {
        panic!("the last one is gone");
    };
    let id = transactions
        .serve(now, new, path(), request)
        .expect("within the limits");
    transactions
        .respond(now, id, response)
        .expect("no response yet");
    drain(transactions);
    transactions.handle_timeout(now + Duration::from_secs(32));
    drain(transactions);
}

pub(crate) fn operations(full: bool) -> Vec<Operation> {
    let counts = [0, 1_000, 100_000]
        .into_iter()
        .filter(|&others| full || others == 0);
    counts
        .flat_map(|others| {
            let ready = move || {
                #[allow(clippy::disallowed_methods, reason = "the origin of virtual time")]
                let now = Instant::now();
                let transactions = crowd(now + Duration::from_secs(3_600), others);
                let message = request("OPTIONS", "z9hG4bK74bf9");
                let request = parsed(message.clone());
                let response = ok(&request);
                (transactions, now, message, request, response)
            };
            [
                Operation::new(
                    format!("transaction/client, beside {others}"),
                    1,
                    move || {
                        let (mut transactions, now, message, _, response) = ready();
                        move || client(&mut transactions, now, message.clone(), response.clone())
                    },
                ),
                Operation::new(
                    format!("transaction/server, beside {others}"),
                    1,
                    move || {
                        let (mut transactions, now, _, request, response) = ready();
                        move || server(&mut transactions, now, request.clone(), &response)
                    },
                ),
            ]
        })
        .collect()
}
