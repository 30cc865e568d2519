//! Transactions without I/O: one created and completed, and the look-up among many.
//!
//! Messages are parsed before the clock starts: parsing has a benchmark of its own.

use base::{Rng, Transport};
use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box};
use sip::{
    Message, Method, Request, Response,
    transaction::{Config, Incoming, Outgoing, Path, Transactions},
};
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The request of a common call, without its body.
fn request(method: &str, branch: &str) -> Bytes {
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

fn parsed(bytes: Bytes) -> Request {
    match Message::parse(bytes) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn ok(request: &Request) -> Response {
    let response = Response::to_request(request, sip::Status::OK, Some("314159"));
    match Message::parse(response.to_bytes()) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn path() -> Path {
    let mut flows = base::Table::<sip::FlowId, ()>::new();
    Path {
        flow: flows.insert(()),
        to: "192.0.2.4:5060".parse().expect("an address"),
        transport: Transport::Udp,
    }
}

fn drain(transactions: &mut Transactions) {
    while let Some(output) = transactions.poll_output() {
        black_box(output);
    }
}

/// Holds `count` other transactions that wait.
fn crowd(now: Instant, count: usize) -> Transactions {
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

/// From the request to the end of timer K.
#[divan::bench(args = [0, 1_000, 100_000])]
fn client(bencher: Bencher<'_, '_>, others: usize) {
    let now = Instant::now();
    let mut transactions = crowd(now + Duration::from_secs(3_600), others);
    let message = request("OPTIONS", "z9hG4bK74bf9");
    let response = ok(&parsed(message.clone()));
    bencher
        .with_inputs(|| (message.clone(), response.clone()))
        .bench_local_values(|(message, response)| {
            let outgoing = Outgoing {
                path: path(),
                method: &Method::Options,
                branch: "z9hG4bK74bf9",
                message,
            };
            transactions
                .request(now, outgoing)
                .expect("the last one is gone");
            drain(&mut transactions);
            transactions.handle_response(now, response);
            drain(&mut transactions);
            transactions.handle_timeout(now + Duration::from_secs(5));
            drain(&mut transactions);
        });
    assert_eq!(transactions.clients(), others);
}

/// From the request to the end of timer J, the printing of the response included.
#[divan::bench(args = [0, 1_000, 100_000])]
fn server(bencher: Bencher<'_, '_>, others: usize) {
    let now = Instant::now();
    let mut transactions = crowd(now + Duration::from_secs(3_600), others);
    let request = parsed(request("OPTIONS", "z9hG4bK74bf9"));
    let response = ok(&request);
    bencher
        .with_inputs(|| request.clone())
        .bench_local_values(|request| {
            let Incoming::New(new) = transactions.handle_request(now, &request) else {
                panic!("the last one is gone");
            };
            let id = transactions
                .serve(now, new, path(), request)
                .expect("within the limits");
            transactions
                .respond(now, id, &response)
                .expect("no response yet");
            drain(&mut transactions);
            transactions.handle_timeout(now + Duration::from_secs(32));
            drain(&mut transactions);
        });
    assert_eq!(transactions.servers(), 0);
}

/// The creation of a server transaction alone.
#[divan::bench]
fn server_created(bencher: Bencher<'_, '_>) {
    let now = Instant::now();
    let transactions = RefCell::new(crowd(now, 0));
    let request = parsed(request("OPTIONS", "z9hG4bK74bf9"));
    let response = ok(&request);
    let last = Cell::new(None);
    let inputs = || {
        let mut transactions = transactions.borrow_mut();
        if let Some(id) = last.take() {
            transactions
                .respond(now, id, &response)
                .expect("no response yet");
            transactions.handle_timeout(now + Duration::from_secs(32));
            drain(&mut transactions);
        }
        request.clone()
    };
    bencher.with_inputs(inputs).bench_local_values(|request| {
        let mut transactions = transactions.borrow_mut();
        let Incoming::New(new) = transactions.handle_request(now, &request) else {
            panic!("the last one is gone");
        };
        last.set(transactions.serve(now, new, path(), request).ok());
    });
}

/// A retransmission finds its transaction among others.
#[divan::bench(args = [1, 1_000, 100_000])]
fn look_up(bencher: Bencher<'_, '_>, count: usize) {
    let now = Instant::now();
    let mut transactions = Transactions::new(Config::default(), &mut Rng::from_seed([1; 32]));
    let nth = |n: usize| parsed(request("OPTIONS", &format!("z9hG4bK{n}")));
    for n in 0..count {
        let request = nth(n);
        let Incoming::New(new) = transactions.handle_request(now, &request) else {
            panic!("it is new");
        };
        transactions
            .serve(now, new, path(), request)
            .expect("within the limits");
    }
    let mut rng = Rng::from_seed([2; 32]);
    let bound = u32::try_from(count).expect("few enough");
    bencher
        .with_inputs(|| nth(rng.below(bound) as usize))
        .bench_local_refs(|request| black_box(transactions.handle_request(now, request)));
}
