//! Scenarios that nobody wrote: [`Plan`]s from a seeded generator, the same that `fuzz` feeds.

use crate::runs::{Elsewhere, cover, seeds, show};
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
        let plan = Plan::generate(seed, 24);
        let (stage, complaints) = plan.play();
        assert!(
            complaints.is_empty(),
            "plan {seed}: {complaints:#?}\n{plan:#?}\n{}",
            show(&stage)
        );
        let (again, _) = plan.play();
        let difference = stage.world.trace().first_difference(again.world.trace());
        assert_eq!(difference, None, "plan {seed}: not twice alike");
        cover(&stage);
        elsewhere.replay_all(&stage, &ProbeOptions::default());
    }
    elsewhere.finish();
}
