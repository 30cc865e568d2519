//! The log of the stack on stderr (`-v`, `-vv`).

use crate::print;
use std::{
    fmt::{self, Write as _},
    time::Instant,
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};

/// Prints the log from here on: state changes if asked once, every packet if more often.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let begun = Instant::now();
    // Somebody else's log, set before, would do as well; there is none.
    let _ = tracing::subscriber::set_global_default(Log { level, begun });
}

/// Writes records of our own crates, a line each.
struct Log {
    level: Level,
    begun: Instant,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let name = metadata.target().split("::").next().unwrap_or_default();
        *metadata.level() <= self.level && OURS.contains(&name)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }

    fn event(&self, event: &Event<'_>) {
        let (metadata, at) = (event.metadata(), self.begun.elapsed().as_secs_f64());
        let head = format!("{at:8.3}  {:5} {}:", metadata.level(), metadata.target());
        let mut text = Text(head);
        event.record(&mut text);
        print::complain(&text.0);
    }

    // Nothing of ours opens spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// What runtimes stand on speaks of every wake-up.
const OURS: &[&str] = &[
    "audio",
    "base",
    "dns",
    "ice",
    "rtp",
    "runtime_smol",
    "runtime_std",
    "sdp",
    "sip",
    "sipsimple",
];
