//! Scenarios that nobody wrote: [`Plan`]s from a seeded generator, the same that `fuzz` feeds.

use crate::{
    coverage::{self, cover},
    runs::{Elsewhere, seeds, show},
};
use simulator::{Plan, ProbeOptions};

#[test]
fn generated_plans_hold_all_invariants() {
    let mut elsewhere = Elsewhere::start();
    let only = std::env::var("SIPSIMPLE_ONLY").ok();
    let only: Option<u64> = only.and_then(|seed| seed.parse().ok());
    for seed in 0..seeds() * 25 {
        if only.is_some_and(|only| only != seed) {
            continue;
        }
        let plan = Plan::generate(seed, MOVES);
        let (stage, complaints) = plan.play();
        assert!(
            complaints.is_empty(),
            "plan {seed}: {complaints:#?}\n{plan:#?}\n{}",
            show(&stage)
        );
        cover(&stage);
        if coverage::is_counting() {
            continue;
        }
        let (again, _) = plan.play();
        let difference = stage.world.trace().first_difference(again.world.trace());
        assert_eq!(difference, None, "plan {seed}: not twice alike");
        elsewhere.replay_all(&stage, &ProbeOptions::default());
    }
    if !coverage::is_counting() {
        elsewhere.finish();
    }
}

/// Writes the plans that once failed into the folder that is named, as files for the corpus of `fuzz`.
#[test]
fn plans_become_files_on_demand() {
    let Ok(folder) = std::env::var("SIPSIMPLE_PLANS") else {
        return;
    };
    for seed in FAILED {
        let path = std::path::Path::new(&folder).join(format!("plan-{seed}"));
        std::fs::write(path, Plan::bytes(*seed, MOVES)).unwrap();
    }
}

const MOVES: usize = 24;

/// Plans that found something.
const FAILED: &[u64] = &[306];
