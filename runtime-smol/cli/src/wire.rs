//! What passes on the wire, shown to the user and kept in a capture file.

use crate::{config, options::Common, outcome::Failure, print, secret};
use sipsimple::{agent::Trace, capture::Capture};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant, SystemTime},
};

/// Where the messages of an agent are shown.
pub(crate) struct Wire {
    on_screen: bool,
    capture: Option<(Capture, File)>,
    begun: Instant,
    /// The wall clock at that moment, since 1970.
    unix: Duration,
}

impl Wire {
    pub(crate) fn open(common: &Common) -> Result<Self, Failure> {
        let mut wire = Self {
            on_screen: common.trace,
            capture: None,
            begun: Instant::now(),
            unix: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
        };
        if let Some(path) = &common.pcap {
            let mut capture = Capture::new();
            // A capture of nothing is a capture, too.
            let file = create_secret("--pcap", path)?;
            append(&mut capture, &file)
                .map_err(|error| config::unusable("--pcap", path, &error))?;
            wire.capture = Some((capture, file));
        }
        Ok(wire)
    }

    /// A message passes.
    pub(crate) fn see(&mut self, now: Instant, trace: &Trace) {
        let at = now.saturating_duration_since(self.begun);
        if self.on_screen {
            print::complain(&shown(trace, at));
        }
        if let Some((capture, file)) = &mut self.capture {
            capture.message(self.unix + at, trace);
            if append(capture, file).is_err() {
                print::complain("sipsimple: the capture cannot be written and ends here");
                self.capture = None;
            }
        }
    }
}

/// Whatever ends the program, what passed before is in the file.
fn append(capture: &mut Capture, mut file: &File) -> io::Result<()> {
    file.write_all(&capture.take())
}

/// A file that only its owner can read.
pub(crate) fn create_secret(option: &str, path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| config::unusable(option, path, &error))
}

/// A message as it was on the wire.
fn shown(trace: &Trace, at: Duration) -> String {
    let arrow = if trace.sent { "->" } else { "<-" };
    let text = String::from_utf8_lossy(&trace.plaintext);
    let Trace {
        local,
        peer,
        transport,
        ..
    } = trace;
    format!(
        "{:8.3}  {transport} {local} {arrow} {peer}\n{}\n",
        at.as_secs_f64(),
        secret::masked(&text)
    )
}
