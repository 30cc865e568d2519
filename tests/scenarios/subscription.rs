//! One agent subscribes, others report: through loss, proxies, forks, restarts and moves.

mod ends;
mod ways;

use crate::runs::Matrix;
use simulator::{HostId, Stage};
use sipsimple::{
    agent::{Subscribe, SubscriptionId, UserAgent},
    event::{Event, IncomingSubscriptionEvent, SubscriptionEvent},
    sip::{Description, NotifierId, Package, usage::subscription::State},
};
use std::{collections::BTreeMap, time::Duration};

/// Lets a host report on a package.
pub(crate) fn publish(stage: &mut Stage, host: HostId, package: &str) {
    let types = vec![TYPE.to_owned()];
    let package = Package::new(package, types);
    stage
        .agent(host, "add package", |agent, now| {
            agent.add_package(now, package)
        })
        .unwrap();
}

fn document(text: &str) -> Option<Description> {
    Some(Description {
        content_type: TYPE.to_owned(),
        body: text.to_owned().into(),
    })
}

/// Does something with every subscription that comes to a host, a while after it came.
fn on_subscribe(
    stage: &mut Stage,
    host: HostId,
    after: Duration,
    act: impl Fn(&mut UserAgent, std::time::Instant, NotifierId) + 'static,
) {
    let came = |event: &Event| {
        matches!(
            event,
            Event::IncomingSubscription(_, IncomingSubscriptionEvent::GotSubscribe(_))
        )
    };
    stage
        .world
        .react(host, after, came, move |world, host, event| {
            if let Event::IncomingSubscription(id, _) = event {
                world.command(host, "reaction", |agent: &mut UserAgent, now| {
                    act(agent, now, *id);
                });
            }
        });
}

/// Makes a host grant every subscription with a document.
pub(crate) fn grant(stage: &mut Stage, host: HostId, after: Duration, text: &'static str) {
    on_subscribe(stage, host, after, move |agent, now, id| {
        // It may be over by now.
        let _ = agent.accept_subscription(now, id, document(text));
    });
}

/// Subscribes to the callee.
fn subscribe(stage: &mut Stage, package: &str) -> SubscriptionId {
    let subscribe = Subscribe::new(stage.bob_uri(), package);
    stage.agent(stage.alice, "subscribe", |agent, now| {
        agent.subscribe(now, subscribe).unwrap()
    })
}

fn unsubscribe(stage: &mut Stage, id: SubscriptionId) {
    stage.agent(stage.alice, "unsubscribe", |agent, now| {
        // What has failed for good needs no end.
        let _ = agent.unsubscribe(now, id);
    });
}

/// What a subscriber knows of a subscription.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Watched {
    of: Option<SubscriptionId>,
    pub(crate) states: Vec<State>,
    /// The last document.
    pub(crate) document: String,
    pub(crate) reports: usize,
    /// Why it failed, and after how many seconds it is tried again.
    pub(crate) failures: Vec<(String, Option<f64>)>,
    pub(crate) is_over: bool,
}

/// All subscriptions of the caller.
fn watched(stage: &Stage) -> BTreeMap<SubscriptionId, Watched> {
    watched_by(stage, stage.alice)
}

/// All subscriptions of a host.
pub(crate) fn watched_by(stage: &Stage, host: HostId) -> BTreeMap<SubscriptionId, Watched> {
    let mut all: BTreeMap<SubscriptionId, Watched> = BTreeMap::new();
    for told in &stage.world.host(host).inbox().notifications {
        let Event::Subscription(id, event) = &told.event else {
            continue;
        };
        let known = all.entry(*id).or_default();
        assert!(!known.is_over, "{event:?} after the end");
        match event {
            SubscriptionEvent::DidFork { of } => known.of = Some(*of),
            SubscriptionEvent::ChangedState { state, .. } => known.states.push(*state),
            SubscriptionEvent::GotNotify { content } => {
                known.reports += 1;
                let body = content.as_ref().map(|content| content.body.to_vec());
                known.document = String::from_utf8(body.unwrap_or_default()).unwrap();
            }
            SubscriptionEvent::DidFail {
                error, retry_after, ..
            } => {
                known.failures.push((error.clone(), *retry_after));
                known.is_over = retry_after.is_none();
            }
            SubscriptionEvent::DidEnd => known.is_over = true,
            _ => {}
        }
    }
    all
}

/// Runs until it is so with a subscription of the caller, at most so long.
fn until(
    stage: &mut Stage,
    id: SubscriptionId,
    limit: Duration,
    is_so: impl Fn(&Watched) -> bool,
) -> bool {
    let end = stage.world.elapsed() + limit;
    loop {
        let is_reached = watched(stage).get(&id).is_some_and(&is_so);
        if is_reached || stage.world.elapsed() >= end {
            return is_reached;
        }
        stage.world.run_for(STEP);
    }
}

/// The subscriptions to a host that are not over.
fn subscribers(stage: &Stage, host: HostId) -> Vec<NotifierId> {
    let mut alive = Vec::new();
    for told in &stage.world.host(host).inbox().notifications {
        match &told.event {
            Event::IncomingSubscription(id, IncomingSubscriptionEvent::GotSubscribe(_)) => {
                alive.push(*id);
            }
            Event::IncomingSubscription(id, IncomingSubscriptionEvent::DidEnd { .. }) => {
                alive.retain(|other| other != id);
            }
            _ => {}
        }
    }
    alive
}

/// Tells all subscribers of a host, and those to come.
pub(crate) fn tell(stage: &mut Stage, host: HostId, text: &str) {
    for id in subscribers(stage, host) {
        stage.agent(host, "notify", |agent, now| {
            // What has just come is told when it is granted.
            let _ = agent.notify_subscriber(now, id, document(text));
        });
    }
}

/// Ends a subscription, and waits until neither side has anything of it: a SUBSCRIBE that got lost leaves
/// the other side to its expiry.
fn end(stage: &mut Stage, id: SubscriptionId) -> Result<(), String> {
    unsubscribe(stage, id);
    if !until(stage, id, Duration::from_secs(100), |known| known.is_over) {
        return Err("no end".to_owned());
    }
    stage.world.run_for(LIFE);
    for host in stage.phones.clone() {
        let alive = subscribers(stage, host);
        if !alive.is_empty() {
            return Err(format!("{} subscribers left", alive.len()));
        }
    }
    Ok(())
}

/// What a scenario says: what it should, or what else.
fn label(is_so: bool, known: Option<&Watched>) -> String {
    match is_so {
        true => "told".to_owned(),
        false => format!("{known:?}"),
    }
}

/// SUB-03, SUB-04, SUB-06, SUB-07, SUB-09: granted at once or after a while, told of changes, and ended.
#[test]
fn sub_03_04_06_07_09_a_subscription_from_its_beginning_to_its_end() {
    Matrix::new("subscription").run("told", |stage| {
        let bob = stage.bob();
        publish(stage, bob, "presence");
        let is_undecided = stage.setup().seed % 2 == 1;
        if is_undecided {
            on_subscribe(stage, bob, Duration::from_millis(200), |agent, now, id| {
                let _ = agent.pend_subscription(now, id);
            });
        }
        grant(stage, bob, Duration::from_secs(2), "open");
        let id = subscribe(stage, "presence");
        let is_open = until(stage, id, PATIENCE, |known| known.document == "open");
        let known = watched(stage).remove(&id).unwrap_or_default();
        let mut is_told = is_open;
        // By its own time: whoever lost a report hears the next, or subscribes anew.
        for text in ["away", "busy", "open again"] {
            tell(stage, bob, text);
            stage.world.run_for(Duration::from_secs(40));
        }
        is_told &= until(stage, id, PATIENCE, |known| {
            ["open again", "open"].contains(&known.document.as_str())
        });
        if stage.setup().loss() == 0.0 {
            let pending = known.states.contains(&State::Pending);
            is_told &= pending == is_undecided && watched(stage)[&id].document == "open again";
        }
        let last = watched(stage).remove(&id);
        match end(stage, id) {
            Ok(()) => label(is_told, last.as_ref()),
            Err(label) => label,
        }
    });
}

/// SUB-08, RFC 6665, 4.1.2.2: renewed as long as it is wanted.
#[test]
fn sub_08_a_subscription_outlives_many_of_its_lives() {
    Matrix {
        one_in: 4,
        ..Matrix::new("long subscription")
    }
    .run("told", |stage| {
        let bob = stage.bob();
        publish(stage, bob, "presence");
        grant(stage, bob, Duration::from_millis(10), "open");
        let id = subscribe(stage, "presence");
        stage.world.run_for(Duration::from_secs(2_000));
        let known = watched(stage).remove(&id);
        let stands = |known: &Watched| known.states.last() == Some(&State::Active);
        let mut is_told = known.as_ref().is_some_and(stands);
        if stage.setup().loss() == 0.0 {
            is_told &= known
                .as_ref()
                .is_some_and(|known| known.failures.is_empty());
        }
        match end(stage, id) {
            Ok(()) => label(is_told, known.as_ref()),
            Err(label) => label,
        }
    });
}

const TYPE: &str = "application/pidf+xml";
const STEP: Duration = Duration::from_millis(100);
/// What was granted, and 64·T1 for the last report.
const LIFE: Duration = Duration::from_secs(340);
/// For several whole transactions, and the pause between them.
const PATIENCE: Duration = Duration::from_secs(200);
