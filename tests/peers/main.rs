//! Calls between `sipsimple` and programs that somebody else wrote: SIPp, baresip, Sofia-SIP, Kamailio and coturn.
//!
//! ```text
//! cargo build --release -p sipsimple-cli
//! cc tests/peers/sofia/agent.c $(pkg-config --cflags --libs sofia-sip-ua) -o target/sofia-agent
//! cargo run --release -p sipsimple-simulator --example peers
//! ```
//!
//! It needs what `.ci/peers` installs and the right to make network namespaces. It prints a table of
//! peer, case and value seen, and fails if a row is bad or missing: it retries nothing and skips nothing.
//! A word as argument (`load`, `loss`, `baresip`, `srtp`, `ways`, `ice`, `nat`, `sofia`, `errors`, `kamailio`, `failover`, `certificates`,
//! `roam`) runs one part only, which then cannot succeed as a whole. `SIPSIMPLE` names another binary, `SOFIA_AGENT` another
//! agent of Sofia-SIP.

#![forbid(unsafe_code)]

mod agent;
mod authority;
mod baresip;
mod capture;
mod certificates;
mod check;
mod core;
mod ending;
mod errors;
mod failover;
mod hold;
mod ice;
mod kamailio;
mod load;
mod loss;
mod message;
mod names;
mod nat;
mod network;
mod pcap;
mod phone;
mod process;
mod relay;
mod resolver;
mod roam;
mod rtp;
mod sipp;
mod sofia;
mod speech;
mod srtp;
mod table;
mod timers;
mod ways;
mod web;

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};
use table::Table;

/// What goes wrong here is told to people only.
type Outcome<T> = Result<T, String>;

/// What every case needs.
struct Lab {
    binary: PathBuf,
    /// Everything that is written.
    directory: PathBuf,
    table: Table,
}

impl Lab {
    /// Runs a case that adds its rows itself; what stops it becomes the row of that name.
    fn run(&self, peer: &'static str, case: &str, body: impl FnOnce() -> Outcome<()>) {
        self.say(&format!("{peer}: {case}"));
        if let Err(error) = body() {
            self.table.add(peer, case, false, error);
        }
    }

    fn say(&self, text: &str) {
        // Nobody reads: the table will say it all.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> Outcome<bool> {
    let binary = match env::var_os("SIPSIMPLE") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/sipsimple"),
    };
    if !binary.is_file() {
        return Err(format!("{} is not there: build it first", binary.display()));
    }
    let directory = env::temp_dir().join(format!("sipsimple-peers-{}", std::process::id()));
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let lab = Lab {
        binary,
        directory,
        table: Table::default(),
    };
    let part = env::args().nth(1);
    let runs = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if runs("load") {
        load::run(&lab);
    }
    if runs("loss") {
        loss::run(&lab);
    }
    if runs("baresip") {
        phone::run(&lab);
    }
    if runs("srtp") {
        srtp::run(&lab);
    }
    if runs("ways") {
        ways::run(&lab);
    }
    if runs("ice") {
        ice::run(&lab);
    }
    if runs("nat") {
        nat::run(&lab);
    }
    if runs("sofia") {
        sofia::run(&lab);
    }
    if runs("errors") {
        errors::run(&lab);
    }
    if runs("kamailio") {
        kamailio::run(&lab);
    }
    if runs("failover") {
        failover::run(&lab);
    }
    if runs("certificates") {
        certificates::run(&lab);
    }
    if runs("roam") {
        roam::run(&lab);
    }
    let (text, is_good) = lab.table.finish(&expected());
    let printed = io::stdout().write_all(text.as_bytes());
    printed.map_err(|error| error.to_string())?;
    if is_good {
        // What is left of it takes room, and no more.
        let _ = fs::remove_dir_all(&lab.directory);
    } else {
        lab.say(&format!(
            "what was written is in {}",
            lab.directory.display()
        ));
    }
    Ok(is_good)
}

/// All rows that there must be.
fn expected() -> Vec<(&'static str, String)> {
    [
        load::expected(),
        loss::expected(),
        phone::expected(),
        srtp::expected(),
        ways::expected(),
        ice::expected(),
        nat::expected(),
        sofia::expected(),
        errors::expected(),
        kamailio::expected(),
        failover::expected(),
        certificates::expected(),
        roam::expected(),
    ]
    .concat()
}

/// Seconds of UNIX time.
fn now() -> f64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0.0, |time| time.as_secs_f64())
}
