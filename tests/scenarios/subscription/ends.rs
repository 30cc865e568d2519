//! How subscriptions come to an end that nobody has asked for, and what follows.

use super::{
    PATIENCE, Watched, end, grant, label, on_subscribe, publish, subscribe, subscribers, until,
    watched,
};
use crate::runs::{LOSSES, Matrix};
use simulator::Crash;
use sipsimple::{
    agent::UserAgent,
    sip::usage::{notifier::Reason, subscription::State},
};
use std::time::Duration;

/// What the caller is told with each reason: when it is tried again.
const REASONS: [(Reason, Option<u32>, Again); 9] = [
    (Reason::Deactivated, None, Again::At(0.0, 0.0)),
    (Reason::Deactivated, Some(60), Again::At(0.0, 0.0)),
    (Reason::Timeout, None, Again::At(0.0, 0.0)),
    (Reason::Probation, Some(60), Again::At(60.0, 60.0)),
    (Reason::Probation, None, Again::At(15.0, 30.0)),
    (Reason::Giveup, Some(60), Again::At(60.0, 60.0)),
    (Reason::Rejected, Some(60), Again::Never),
    (Reason::Noresource, None, Again::Never),
    (Reason::Invariant, None, Again::Never),
];

#[derive(Clone, Copy, Debug)]
enum Again {
    Never,
    /// Between so many seconds.
    At(f64, f64),
}

impl Again {
    fn is(self, told: Option<f64>) -> bool {
        match (self, told) {
            (Self::Never, told) => told.is_none(),
            (Self::At(least, most), Some(told)) => (least..=most).contains(&told),
            (Self::At(..), None) => false,
        }
    }
}

/// RFC 6665, 4.1.3: each reason with its consequence, by seed. A last report that got lost is an expiry,
/// or a refresh that finds nothing: at once.
#[test]
fn acc_39_every_reason_of_an_end_has_its_consequence() {
    let matrix = Matrix {
        losses: &LOSSES[..2],
        ..Matrix::new("reasons")
    };
    matrix.run("told", |stage| {
        let bob = stage.bob();
        let (reason, retry_after, again) = REASONS[stage.setup().seed as usize % REASONS.len()];
        publish(stage, bob, "presence");
        grant(stage, bob, Duration::from_millis(10), "open");
        let id = subscribe(stage, "presence");
        if !until(stage, id, PATIENCE, |known| known.document == "open") {
            return "never open".to_owned();
        }
        stage.world.run_for(Duration::from_secs(5));
        for subscriber in subscribers(stage, bob) {
            stage.agent(bob, "terminate", |agent, now| {
                let _ = agent.terminate_subscription(now, subscriber, reason, retry_after);
            });
        }
        let before = watched(stage)[&id].reports;
        let has_failed = until(stage, id, Duration::from_secs(400), |known| {
            !known.failures.is_empty()
        });
        let known = watched(stage).remove(&id).unwrap_or_default();
        let told = known.failures.last().cloned().unwrap_or_default();
        let is_lost = !told.0.starts_with("terminated");
        let mut is_so = has_failed && (is_lost || again.is(told.1));
        is_so &= stage.setup().loss() > 0.0 || !is_lost;
        if told.1.is_some() {
            // It comes back.
            is_so &= until(stage, id, PATIENCE, |known| {
                known.reports > before + 1 && known.document == "open"
            });
        } else {
            stage.world.run_for(PATIENCE);
            is_so &= subscribers(stage, bob).is_empty();
        }
        let known = watched(stage).remove(&id);
        if known.as_ref().is_some_and(|known| known.is_over) {
            return label(is_so, known.as_ref());
        }
        match end(stage, id) {
            Ok(()) => label(is_so, known.as_ref()),
            Err(label) => label,
        }
    });
}

/// ACC-39: refused by a code, by seed; what is refused for good is not asked for again.
#[test]
fn acc_39_a_refusal_has_its_consequence() {
    const CODES: [(u16, bool); 6] = [
        (403, false),
        (404, false),
        (603, false),
        (480, true),
        (486, true),
        (500, true),
    ];
    Matrix::new("refused subscription").run("told", |stage| {
        let bob = stage.bob();
        let (code, is_again) = CODES[stage.setup().seed as usize % CODES.len()];
        publish(stage, bob, "presence");
        on_subscribe(
            stage,
            bob,
            Duration::from_millis(10),
            move |agent, now, id| {
                agent.reject_subscription(now, id, code, None).unwrap();
            },
        );
        let id = subscribe(stage, "presence");
        until(stage, id, PATIENCE, |known| !known.failures.is_empty());
        let refused = |known: &Watched| {
            let mut failures = known.failures.iter();
            let last = failures.rfind(|(error, _)| error == "refused");
            last.map(|(_, again)| again.is_some())
        };
        // A timeout of its SUBSCRIBE is tried again, until it is refused.
        until(stage, id, PATIENCE, |known| refused(known).is_some());
        let known = watched(stage).remove(&id);
        let is_so = known.as_ref().and_then(refused) == Some(is_again);
        match end(stage, id) {
            Ok(()) => label(is_so, known.as_ref()),
            Err(label) => label,
        }
    });
}

/// The notifier starts anew and knows nothing: its 481 to the refresh is followed by a SUBSCRIBE at once.
#[test]
fn acc_39_a_notifier_that_restarted_is_asked_anew() {
    let matrix = Matrix {
        losses: &LOSSES[..2],
        ..Matrix::new("notifier restarts")
    };
    matrix.run("told", |stage| {
        let bob = stage.bob();
        publish(stage, bob, "presence");
        grant(stage, bob, Duration::from_millis(10), "open");
        let id = subscribe(stage, "presence");
        if !until(stage, id, PATIENCE, |known| known.document == "open") {
            return "never open".to_owned();
        }
        let crash = match stage.setup().seed % 2 {
            0 => Crash::Process,
            _ => Crash::Power,
        };
        stage.world.crash(bob, crash);
        stage.world.run_for(Duration::from_secs(5));
        let agent = UserAgent::new(stage.world.now(), stage.config("bob", 1));
        stage.world.restart(bob, agent);
        stage.world.run_for(Duration::from_secs(1));
        publish(stage, bob, "presence");
        let is_told = until(stage, id, Duration::from_secs(500), |known| {
            !known.failures.is_empty() && known.states.last() == Some(&State::Active)
        });
        let known = watched(stage).remove(&id);
        match end(stage, id) {
            Ok(()) => label(is_told, known.as_ref()),
            Err(label) => label,
        }
    });
}
