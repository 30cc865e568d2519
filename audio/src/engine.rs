//! The thread that runs a mixer in real time.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::bridge::{BridgeError, BridgeId, PortId};
use crate::mixer::{Full, Mixer, MixerStats, TICK};
use crate::port::AudioPort;

/// Runs a [`Mixer`] in a thread of its own, a tick every 10 ms.
///
/// Nothing in it is hard real time: devices are behind rings, streams behind jitter buffers. A tick
/// that comes late is made up for at once; after a pause of more than [`Engine::BEHIND`], as when
/// the machine slept, time that has passed is let go.
#[derive(Debug)]
pub struct Engine {
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<Mixer>>,
}

/// Says that the engine's thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audio engine has stopped")]
pub struct Stopped;

/// Says why a port could not be attached; then nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The mixer has too many ports.
    #[error(transparent)]
    Full(#[from] Full),
    /// One of the bridges does not take it.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The engine has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Counts what an engine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// What the mixer counts.
    pub mixer: MixerStats,
    /// Ticks that were made later than the next one was due.
    pub late: u64,
    /// Ticks that were left out because too much time had passed.
    pub skipped: u64,
}

type Command = Box<dyn FnOnce(&mut Run) + Send>;

impl Engine {
    /// How far ticks may fall behind before time is let go.
    pub const BEHIND: Duration = Duration::from_millis(200);

    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start(mixer: Mixer) -> io::Result<Self> {
        let (commands, receiver) = sync_channel(COMMANDS);
        let thread = std::thread::Builder::new().name("audio".into());
        let run = Run {
            mixer,
            late: 0,
            skipped: 0,
        };
        let thread = thread.spawn(move || run.run(&receiver))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
        })
    }

    /// Runs a closure on the mixer between two ticks, and waits for what it returns.
    ///
    /// # Errors
    /// [`Stopped`] if the thread has ended, which only a panic in a port or a closure can cause.
    pub fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Mixer) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        self.order(|run| work(&mut run.mixer))
    }

    /// Gives a port to the mixer and lets it join the bridges.
    ///
    /// # Errors
    /// [`AttachError`] if one of them does not take it; then it is in none.
    pub fn attach(
        &self,
        port: impl AudioPort,
        bridges: &[BridgeId],
    ) -> Result<PortId, AttachError> {
        let bridges = bridges.to_vec();
        self.call(move |mixer| {
            let port = mixer.add(port)?;
            for bridge in bridges {
                if let Err(error) = mixer.join(bridge, port) {
                    mixer.remove(port);
                    return Err(error.into());
                }
            }
            Ok(port)
        })?
    }

    /// Takes a port out of all bridges and drops it, on the engine's thread.
    ///
    /// # Errors
    /// [`AttachError`] if there is no such port.
    pub fn detach(&self, port: PortId) -> Result<(), AttachError> {
        let known = self.call(move |mixer| mixer.remove(port).is_some())?;
        if known {
            Ok(())
        } else {
            Err(BridgeError::UnknownPort.into())
        }
    }

    /// Counts what there is and what was done.
    ///
    /// # Errors
    /// [`Stopped`] if the thread has ended.
    pub fn stats(&self) -> Result<EngineStats, Stopped> {
        self.order(|run| EngineStats {
            mixer: run.mixer.stats(),
            late: run.late,
            skipped: run.skipped,
        })
    }

    /// Stops the thread and returns the mixer with all its ports; `None` if it had panicked.
    pub fn stop(mut self) -> Option<Mixer> {
        self.join()
    }

    fn order<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Run) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (reply, result) = sync_channel(1);
        let command: Command = Box::new(move |run| {
            // The caller waits for it, unless its own thread is gone.
            let _ = reply.send(work(run));
        });
        let commands = self.commands.as_ref().ok_or(Stopped)?;
        commands.send(command).map_err(|_| Stopped)?;
        result.recv().map_err(|_| Stopped)
    }

    fn join(&mut self) -> Option<Mixer> {
        // The thread ends when nobody can send commands any more.
        self.commands = None;
        self.thread.take()?.join().ok()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.join();
    }
}

/// Is what lives on the thread.
struct Run {
    mixer: Mixer,
    late: u64,
    skipped: u64,
}

impl Run {
    fn run(mut self, commands: &Receiver<Command>) -> Mixer {
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            if now >= due {
                self.mixer.tick(now);
                due += TICK;
                let behind = now.saturating_duration_since(due);
                self.late += u64::from(behind > Duration::ZERO);
                if behind > Engine::BEHIND {
                    self.skipped += (behind.as_millis() / TICK.as_millis()) as u64;
                    due = now;
                }
            }
            let rest = due.saturating_duration_since(Instant::now());
            match commands.recv_timeout(rest) {
                Ok(command) => command(&mut self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.mixer,
            }
        }
    }
}

/// Commands that may wait for the next tick: each has a caller that waits, too.
const COMMANDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;
    use std::sync::mpsc::{Sender, channel};

    /// Tells of every 10 ms that it hears.
    struct Listener(Sender<i16>);

    impl AudioPort for Listener {
        fn pull(&mut self, samples: &mut [i16]) {
            samples.fill(0);
        }

        fn push(&mut self, samples: &[i16]) {
            let loudest = samples.iter().copied().max().unwrap_or(0);
            let _ = self.0.send(loudest);
        }
    }

    #[test]
    fn ticks_in_real_time_and_stops() {
        let mut mixer = Mixer::new(8_000).unwrap();
        let bridge = mixer.open_bridge();
        let engine = Engine::start(mixer).unwrap();
        let (sender, heard) = channel();
        let listener = engine.attach(Listener(sender), &[bridge]).unwrap();
        engine
            .attach(Tone::new(8_000, 440.0, -20.0), &[bridge])
            .unwrap();
        let started = Instant::now();
        let patience = Duration::from_secs(10);
        // Ten ticks cannot come in less than nine intervals, less what is made up for.
        let loud = std::iter::from_fn(|| heard.recv_timeout(patience).ok()).filter(|&s| s > 4_000);
        assert_eq!(loud.take(40).count(), 40);
        assert!(started.elapsed() > Duration::from_millis(390) - Engine::BEHIND - TICK);
        let stats = engine.stats().unwrap();
        assert!(stats.mixer.ticks >= 40 && stats.mixer.ports == 2);
        engine.detach(listener).unwrap();
        assert_eq!(
            engine.detach(listener),
            Err(BridgeError::UnknownPort.into())
        );
        assert!(heard.iter().count() < 10_000, "the port is dropped");
        let mixer = engine.stop().unwrap();
        assert_eq!(mixer.stats().ports, 1);
    }

    #[test]
    fn a_port_that_no_bridge_takes_is_not_attached() {
        let engine = Engine::start(Mixer::new(8_000).unwrap()).unwrap();
        let stranger = Mixer::new(8_000).unwrap().open_bridge();
        let own = engine.call(Mixer::open_bridge).unwrap();
        let tone = Tone::new(8_000, 440.0, -20.0);
        assert_eq!(
            engine.attach(tone, &[own, stranger]),
            Err(BridgeError::UnknownBridge.into())
        );
        assert_eq!(engine.stats().unwrap().mixer.ports, 0);
    }

    #[test]
    fn a_panic_stops_the_engine_and_is_told() {
        let engine = Engine::start(Mixer::new(8_000).unwrap()).unwrap();
        assert_eq!(engine.call(|_| panic!("on purpose")), Err::<(), _>(Stopped));
        assert_eq!(engine.stats(), Err(Stopped));
        assert!(engine.stop().is_none());
    }
}
