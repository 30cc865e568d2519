//! Ways that reports take: ahead of the response, from several notifiers, to another address.

use super::{
    LIFE, PATIENCE, document, end, grant, label, on_subscribe, publish, subscribe, tell, until,
    watched,
};
use crate::runs::{LOSSES, Matrix, Proxied};
use simulator::{Stage, server::Proxy};
use sip::{Message, Method};
use sipsimple::sip::usage::subscription::State;
use std::{collections::BTreeSet, net::IpAddr, time::Duration};

/// RFC 6665, 4.1.2.4: the first two responses get lost, so that the report is faster.
#[test]
fn sub_08_notify_before_the_response() {
    Matrix {
        proxy: Proxied::Always,
        losses: &LOSSES[..2],
        ..Matrix::new("NOTIFY before 2xx")
    }
    .run("told", |stage| {
        let (proxy, bob) = (stage.proxy.unwrap(), stage.bob());
        stage
            .world
            .command(proxy, "lose responses", |proxy: &mut Proxy, _| {
                let mut lost = 0;
                proxy.set_filter(move |message| {
                    let Message::Response(response) = message else {
                        return false;
                    };
                    let cseq = response.headers.cseq();
                    let is_meant = cseq.is_ok_and(|cseq| cseq.method == Method::Subscribe);
                    lost += u32::from(is_meant);
                    is_meant && lost <= 2
                });
            });
        publish(stage, bob, "presence");
        grant(stage, bob, Duration::from_millis(10), "open");
        let id = subscribe(stage, "presence");
        let is_open = until(stage, id, PATIENCE, |known| known.document == "open");
        let known = watched(stage).remove(&id);
        let states = known.iter().flat_map(|known| &known.states);
        let states: Vec<State> = states.copied().collect();
        // A report that gets lost as well comes again later than a response.
        let is_lossless = stage.setup().loss() == 0.0;
        let is_first = states.starts_with(&[State::Sent, State::Active]) || !is_lossless;
        let is_told = is_open && is_first;
        match end(stage, id) {
            Ok(()) => label(is_told, known.as_ref()),
            Err(label) => label,
        }
    });
}

/// RFC 6665, 4.1.4: every phone that a SUBSCRIBE is forked to is a subscription, where the package says
/// so; else the first one counts. They end together.
fn forked(package: &'static str, expected: usize) {
    Matrix {
        proxy: Proxied::Always,
        losses: &LOSSES[..2],
        phones: 3,
        ..Matrix::new(package)
    }
    .run("told", move |stage| {
        for (phone, text) in stage
            .phones
            .clone()
            .into_iter()
            .zip(["first", "second", "third"])
        {
            publish(stage, phone, package);
            grant(stage, phone, Duration::from_millis(10), text);
        }
        let id = subscribe(stage, package);
        let has_all = |stage: &Stage| {
            let all = watched(stage);
            let told = all.values().filter(|known| !known.is_over);
            let documents: BTreeSet<&str> = told.map(|known| known.document.as_str()).collect();
            documents.len() == expected && !documents.contains("")
        };
        until(stage, id, PATIENCE, |known| !known.document.is_empty());
        for _ in 0..400 {
            if has_all(stage) {
                break;
            }
            stage.world.run_for(Duration::from_millis(100));
        }
        let is_told = has_all(stage);
        let all = watched(stage);
        let forks = all.values().filter(|known| known.of == Some(id));
        let is_told = is_told && (stage.setup().loss() > 0.0 || forks.count() == expected - 1);
        match end(stage, id) {
            Ok(()) if watched(stage).values().all(|known| known.is_over) => {
                label(is_told, all.get(&id))
            }
            Ok(()) => "a fork is left".to_owned(),
            Err(label) => label,
        }
    });
}

#[test]
fn sub_08_forks_of_a_package_that_wants_them() {
    forked("dialog", 3);
}

#[test]
fn sub_08_forks_of_a_package_that_wants_one() {
    forked("presence", 1);
}

/// APP-20: whoever moves, reports go on, and the subscription is the same.
fn moved(notifier: bool) {
    Matrix {
        losses: &LOSSES[..2],
        one_in: 2,
        ..Matrix::new("moved subscription")
    }
    .run("told", move |stage| {
        let bob = stage.bob();
        publish(stage, bob, "presence");
        on_subscribe(stage, bob, Duration::from_millis(10), |agent, now, id| {
            let _ = agent.accept_subscription(now, id, document("open"));
        });
        let id = subscribe(stage, "presence");
        if !until(stage, id, PATIENCE, |known| known.document == "open") {
            return "never open".to_owned();
        }
        stage.world.run_for(Duration::from_secs(5));
        let mover = if notifier { bob } else { stage.alice };
        stage
            .world
            .set_addresses(mover, &[IpAddr::from([10, 0, 0, 77])]);
        stage.world.run_for(Duration::from_secs(5));
        tell(stage, bob, "moved");
        let is_lossless = stage.setup().loss() == 0.0;
        let limit = match is_lossless {
            true => Duration::from_secs(1),
            false => PATIENCE,
        };
        let is_told = until(stage, id, limit, |known| known.document == "moved");
        let known = watched(stage).remove(&id).unwrap_or_default();
        let is_same = known.failures.is_empty();
        let end = end(stage, id);
        match end {
            Ok(()) => label(is_told && (is_same || !is_lossless), Some(&known)),
            Err(label) => label,
        }
    });
}

#[test]
fn app_20_the_subscriber_moves_to_another_network() {
    moved(false);
}

#[test]
fn app_20_the_notifier_moves_to_another_network() {
    moved(true);
}

/// RFC 6665, 4.1.2.4: who says 200 and never reports is given up, and asked again later.
#[test]
fn sub_08_a_notifier_that_never_reports() {
    Matrix {
        proxy: Proxied::Always,
        losses: &LOSSES[..1],
        ..Matrix::new("no NOTIFY")
    }
    .run("told", |stage| {
        let (proxy, bob) = (stage.proxy.unwrap(), stage.bob());
        stage
            .world
            .command(proxy, "lose reports", |proxy: &mut Proxy, _| {
                proxy.set_filter(|message| {
                    matches!(message, Message::Request(request) if request.method == Method::Notify)
                });
            });
        publish(stage, bob, "presence");
        grant(stage, bob, Duration::from_millis(10), "open");
        let begun = stage.world.elapsed();
        let id = subscribe(stage, "presence");
        until(stage, id, PATIENCE, |known| !known.failures.is_empty());
        let after = (stage.world.elapsed() - begun).as_secs();
        stage
            .world
            .command(proxy, "lose nothing", |proxy: &mut Proxy, _| {
                proxy.set_filter(|_| false);
            });
        let is_told = until(stage, id, PATIENCE, |known| known.document == "open");
        let known = watched(stage).remove(&id).unwrap_or_default();
        let is_so = after == 32
            && known.failures.len() == 1
            && known.failures[0].0 == "no NOTIFY"
            && known.failures[0].1.is_some();
        stage.world.run_for(LIFE);
        match end(stage, id) {
            Ok(()) => label(is_told && is_so, Some(&known)),
            Err(label) => label,
        }
    });
}
