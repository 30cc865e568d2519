//! Thousands of calls between two agents: what a run costs, and that nothing is left of them.

use crate::call::probe;
use base::Transport;
use simulator::{Path, Phase, Setup, Stage};
use sipsimple::event::{Event, SessionEvent};
use std::{
    rc::Rc,
    time::{Duration, Instant},
};

#[test]
fn thousands_of_calls_on_a_bad_path() {
    let calls = match std::env::var_os("SIPSIMPLE_SEEDS") {
        Some(_) => 4_000,
        None => 200,
    };
    // All calls share one connection, which a third of loss would stop for seconds at a time.
    for (transport, loss) in [(Transport::Udp, 0.35), (Transport::Tcp, 0.02)] {
        let mut setup = Setup::new(35);
        setup.transport = transport;
        setup.path = Path::lossy(loss);
        setup.configure = Rc::new(|_, config| config.sip.limits.unacknowledged = 10_000);
        let mut stage = Stage::new(setup);
        stage.world.set_tracing(false);
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::from_millis(100));
        // The caller hangs up a second after the call stands.
        let started =
            |event: &Event| matches!(event, Event::Session(_, SessionEvent::DidStart { .. }));
        let second = Duration::from_secs(1);
        stage
            .world
            .react(alice, second, started, |world, host, event| {
                if let Event::Session(id, _) = event {
                    let id = *id;
                    world.command(
                        host,
                        "end",
                        |agent: &mut sipsimple::agent::UserAgent, now| {
                            let _ = agent.end(now, id);
                        },
                    );
                }
            });
        let begin = Instant::now();
        for _ in 0..calls {
            stage.call(probe());
            stage.world.run_for(Duration::from_millis(20));
        }
        stage.world.run_for(Duration::from_secs(150));
        let took = begin.elapsed();
        let model = stage.model(alice);
        let ended = |belief: &simulator::Belief| matches!(belief.phase, Phase::Ended { .. });
        let ended = model.sessions().filter(|(_, belief)| ended(belief)).count();
        let steps = stage.world.steps();
        println!(
            "{calls} calls over {transport}, 35 % loss: {took:?}, {steps} steps, {ended} were up"
        );
        assert!(ended * 100 >= calls * 99, "{ended} of {calls}");
        assert_eq!(stage.wind_up(), Vec::<String>::new());
    }
}
