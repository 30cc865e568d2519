//! Transactions without I/O: one created and completed, and the look-up among many.
//!
//! Messages are parsed before the clock starts: parsing has a benchmark of its own.

use crate::measure::transaction::{self, crowd, drain, ok, parsed, path, request};
use base::Rng;
use divan::{Bencher, black_box};
use sip::transaction::{Config, Incoming, Transactions};
use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

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
            transaction::client(&mut transactions, now, message, response);
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
            transaction::server(&mut transactions, now, request, &response);
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
