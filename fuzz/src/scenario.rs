//! Whole scenarios: agents, phones, perhaps a proxy between them, and what users and networks do.

use arbitrary::{Arbitrary as _, Unstructured};
use simulator::{Plan, ProbeFactory};
use sipsimple::agent::replay;

/// Plays the [`Plan`] that the bytes are. Every invariant of the simulator holds at every step, both
/// ends agree at rest, nothing is left, and every agent's recording replays byte by byte. libFuzzer
/// has one of eight plans recorded: a recording and its replay cost more than the rest.
///
/// # Panics
/// Something of that does not hold.
pub fn scenario(data: &[u8]) {
    let Ok(mut plan) = Plan::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    plan.setup.record = !cfg!(fuzzing) || plan.setup.seed.is_multiple_of(8);
    let (stage, complaints) = plan.play();
    assert!(
        complaints.is_empty(),
        "{complaints:#?}\n{plan:#?}\n{}",
        stage.world.trace().ladder()
    );
    let recordings = stage.world.hosts().flat_map(|(_, host)| host.recordings());
    for recording in recordings.filter(|recording| !recording.is_empty()) {
        let factories = vec![Box::new(ProbeFactory::default()) as _];
        let report = replay(stage.world.now(), recording, factories);
        let difference = report.expect("a recording").difference;
        assert_eq!(difference, None, "{plan:#?}");
    }
}
