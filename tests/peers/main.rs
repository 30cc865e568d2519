//! Calls between `sipsimple` and programs that somebody else wrote: SIPp, baresip, Sofia-SIP, Kamailio,
//! coturn, aioice and aiortc.
//!
//! ```text
//! cargo build --release -p sipsimple-cli
//! cc tests/peers/sofia/agent.c $(pkg-config --cflags --libs sofia-sip-ua) -o target/sofia-agent
//! cc -shared -fPIC tests/peers/baresip/ecdsa.c -o target/baresip-ecdsa.so
//! cargo run --release -p sipsimple-simulator --example peers
//! ```
//!
//! It needs what `.ci/peers` installs and the right to make network namespaces. It prints a table of
//! peer, case and value seen, and fails if a row is bad or missing: it retries nothing, and skips nothing
//! but what needs namespaces or IPv6, where there are none and `ALLOW_SKIP=netns,ipv6` says that this is known.
//! The names of parts as arguments (`load`, `loss`, ...) run those parts only, which then cannot succeed as a
//! whole. `SIPSIMPLE` names another binary, `SOFIA_AGENT` another agent of Sofia-SIP, `BARESIP_ECDSA` another
//! library that goes ahead of baresip.

#![forbid(unsafe_code)]

mod agent;
mod aiortc;
mod authority;
mod baresip;
mod capture;
mod certificates;
mod check;
mod core;
mod coturn;
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
mod netns;
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
mod translator;
mod version6;
mod ways;
mod web;
mod wireshark;

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
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

    /// Runs cases with sound two at a time: one core is left for those who speak while another compares what
    /// was said.
    fn two_at_a_time<T: Sync>(&self, cases: &[T], run: impl Fn(u16, &T) + Sync) {
        let next = Mutex::new((0..).zip(cases));
        let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some((number, case)) = take() {
                        run(number, case);
                    }
                });
            }
        });
    }

    /// A kernel that makes no network namespaces, or has no IPv6, leaves rows unseen. That is a failure, too,
    /// unless whoever runs this has said that it is known: `ALLOW_SKIP` has the word `netns`, or `ipv6`.
    fn skip(&self, rows: Vec<(&'static str, String)>, known: &str, reason: &str) {
        let allowed = env::var("ALLOW_SKIP").unwrap_or_default();
        let is_allowed = allowed.split(',').any(|word| word == known);
        for (peer, case) in rows {
            let value = format!("skipped: {reason}");
            self.table.add(peer, &case, is_allowed, value);
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
    let wanted: Vec<String> = env::args().skip(1).collect();
    let is_known = |name: &&String| PARTS.iter().any(|part| part.name == **name);
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        return Err(format!("no part {unknown}: {}", names.join(", ")));
    }
    let is_wanted = |part: &&Part| wanted.is_empty() || wanted.iter().any(|name| name == part.name);
    let refusal = network::refusal();
    for part in PARTS.iter().filter(is_wanted) {
        match &refusal {
            Some(reason) if part.has_namespaces => lab.skip((part.expected)(), "netns", reason),
            _ => (part.run)(&lab),
        }
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
    PARTS.iter().flat_map(|part| (part.expected)()).collect()
}

/// Some of the rows.
struct Part {
    name: &'static str,
    /// It makes network namespaces.
    has_namespaces: bool,
    run: fn(&Lab),
    expected: fn() -> Vec<(&'static str, String)>,
}

const PARTS: &[Part] = &[
    Part {
        name: "load",
        has_namespaces: false,
        run: load::run,
        expected: load::expected,
    },
    Part {
        name: "loss",
        has_namespaces: true,
        run: loss::run,
        expected: loss::expected,
    },
    Part {
        name: "baresip",
        has_namespaces: false,
        run: phone::run,
        expected: phone::expected,
    },
    Part {
        name: "version6",
        has_namespaces: false,
        run: version6::run,
        expected: version6::expected,
    },
    Part {
        name: "srtp",
        has_namespaces: false,
        run: srtp::run,
        expected: srtp::expected,
    },
    Part {
        name: "ways",
        has_namespaces: false,
        run: ways::run,
        expected: ways::expected,
    },
    Part {
        name: "ice",
        has_namespaces: true,
        run: ice::run,
        expected: ice::expected,
    },
    Part {
        name: "aiortc",
        has_namespaces: true,
        run: aiortc::run,
        expected: aiortc::expected,
    },
    Part {
        name: "nat",
        has_namespaces: true,
        run: nat::run,
        expected: nat::expected,
    },
    Part {
        name: "netns",
        has_namespaces: true,
        run: netns::run,
        expected: netns::expected,
    },
    Part {
        name: "sofia",
        has_namespaces: false,
        run: sofia::run,
        expected: sofia::expected,
    },
    Part {
        name: "errors",
        has_namespaces: false,
        run: errors::run,
        expected: errors::expected,
    },
    Part {
        name: "kamailio",
        has_namespaces: true,
        run: kamailio::run,
        expected: kamailio::expected,
    },
    Part {
        name: "failover",
        has_namespaces: true,
        run: failover::run,
        expected: failover::expected,
    },
    Part {
        name: "certificates",
        has_namespaces: false,
        run: certificates::run,
        expected: certificates::expected,
    },
    Part {
        name: "wireshark",
        has_namespaces: false,
        run: wireshark::run,
        expected: wireshark::expected,
    },
    Part {
        name: "roam",
        has_namespaces: true,
        run: roam::run,
        expected: roam::expected,
    },
];

/// Seconds of UNIX time.
fn now() -> f64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0.0, |time| time.as_secs_f64())
}
