//! Programs that run beside this one, and what they say.

use crate::Outcome;
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A program that was started here, and is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: Arc<Output>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program; what it writes is kept in `directory` under `name`, too.
    pub(crate) fn start(name: &str, mut command: Command, directory: &Path) -> Outcome<Self> {
        command.stdin(Stdio::null());
        Self::spawn(name, command, directory)
    }

    /// Starts a program that obeys lines.
    pub(crate) fn start_obeying(
        name: &str,
        mut command: Command,
        directory: &Path,
    ) -> Outcome<Self> {
        command.stdin(Stdio::piped());
        Self::spawn(name, command, directory)
    }

    fn spawn(name: &str, mut command: Command, directory: &Path) -> Outcome<Self> {
        let create = |suffix: &str| {
            let path = directory.join(format!("{name}.{suffix}"));
            File::create(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let (mut copy, errors) = (create("out")?, create("err")?);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("cannot start {name} ({command:?}): {error}"))?;
        let output = Arc::new(Output::default());
        let shared = Arc::clone(&output);
        let pipe = child.stdout.take().ok_or("no pipe")?;
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut bytes = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut bytes), Ok(1..)) {
                // The copy is for people who look for a cause.
                let _ = copy.write_all(&bytes);
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                shared.lines().lines.push(text);
                shared.more.notify_all();
                bytes.clear();
            }
            shared.lines().ended = true;
            shared.more.notify_all();
        });
        Ok(Self {
            name: name.to_owned(),
            input: child.stdin.take(),
            child,
            output,
            reader: Some(reader),
        })
    }

    /// Gives a line to a program that obeys lines.
    pub(crate) fn tell(&mut self, line: &str) -> Outcome<()> {
        let input = self.input.as_mut().ok_or("it obeys no lines")?;
        let sent = input.write_all(format!("{line}\n").as_bytes());
        sent.map_err(|error| format!("{}: {error}", self.name))
    }

    /// Keeps the program from doing anything more: it is silent from here on, and its socket stays open.
    pub(crate) fn freeze(&self) -> Outcome<()> {
        let id = self.child.id().to_string();
        run(Command::new("kill").args(["-STOP", &id])).map(drop)
    }

    /// Waits for a line from number `next` on that `choose` takes, and moves `next` behind it.
    pub(crate) fn wait_for<T>(
        &self,
        next: &mut usize,
        limit: Duration,
        mut choose: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut lines = self.output.lines();
        loop {
            while let Some(line) = lines.lines.get(*next) {
                *next += 1;
                if let Some(chosen) = choose(line) {
                    return Some(chosen);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                return None;
            }
            let waited = self.output.more.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Returns all lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.output.lines().lines.clone()
    }

    /// Waits until the program ends by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> Outcome<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    if let Some(reader) = self.reader.take() {
                        // It ends with the pipe, and cannot panic.
                        let _ = reader.join();
                    }
                    return Ok(status);
                }
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
                Ok(None) => return Err(format!("{} still runs after {limit:?}", self.name)),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
    }

    /// Asks the program for its counts, as tcpdump tells them on its standard error.
    pub(crate) fn ask(&self) -> Outcome<()> {
        let id = self.child.id().to_string();
        run(Command::new("kill").args(["-USR1", &id])).map(drop)
    }

    /// Asks the program to end, and waits for it.
    pub(crate) fn end(&mut self) -> Outcome<ExitStatus> {
        let id = self.child.id().to_string();
        run(Command::new("kill").args(["-TERM", &id]))?;
        self.wait(Duration::from_secs(5))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // What has ended meanwhile needs no end.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[derive(Debug, Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Output {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a program to its end and returns what it wrote to standard output.
pub(crate) fn run(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}: {errors}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How often the end of a program is looked for.
const LOOK: Duration = Duration::from_millis(20);
