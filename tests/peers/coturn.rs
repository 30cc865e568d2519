//! coturn, a server for STUN and TURN.

use crate::{Lab, Outcome, authority::Certificate, network::Place, process::Process};
use std::{net::Ipv4Addr, path::PathBuf, time::Duration};

/// How it is started.
pub(crate) struct Setup<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: &'a Place,
    /// Where it listens; with two of them it knows RFC 5780.
    pub(crate) addresses: &'a [Ipv4Addr],
    pub(crate) port: u16,
    pub(crate) kind: Kind<'a>,
}

/// What it does.
pub(crate) enum Kind<'a> {
    Stun,
    /// For [`USER`] with [`PASSWORD`].
    Turn {
        /// How long a nonce is good.
        nonces: Option<Duration>,
        certificate: Option<&'a Certificate>,
    },
}

impl Kind<'_> {
    pub(crate) const fn turn() -> Self {
        Self::Turn {
            nonces: None,
            certificate: None,
        }
    }
}

/// A running server; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Coturn(Process);

impl Coturn {
    /// Starts it, and waits until it serves.
    pub(crate) fn start(lab: &Lab, setup: &Setup<'_>) -> Outcome<Self> {
        let mut command = setup.place.command("turnserver");
        command.args(["-n", "--no-cli", "--no-dtls", "--verbose"]);
        for address in setup.addresses {
            command.args(["--listening-ip", &address.to_string()]);
        }
        let alternative = (setup.port + 1).to_string();
        command.args(["--listening-port", &setup.port.to_string()]);
        command.args(["--alt-listening-port", &alternative]);
        command.args(["--log-file", "stdout", "--simple-log"]);
        for (option, suffix) in [("--pidfile", "pid"), ("--userdb", "db")] {
            let path = file(lab, setup.name, suffix);
            command.arg(option).arg(path);
        }
        match &setup.kind {
            Kind::Stun => {
                command.args(["--stun-only", "--no-tls"]);
            }
            Kind::Turn {
                nonces,
                certificate,
            } => {
                command.args(["--lt-cred-mech", "--realm", REALM]);
                command.args(["--user", &format!("{USER}:{PASSWORD}")]);
                for address in setup.addresses {
                    command.args(["--relay-ip", &address.to_string()]);
                }
                if let Some(nonces) = nonces {
                    command.arg(format!("--stale-nonce={}", nonces.as_secs()));
                }
                match certificate {
                    Some(certificate) => {
                        command.args(["--tls-listening-port", &TLS_PORT.to_string()]);
                        command.arg("--cert").arg(&certificate.certificate);
                        command.arg("--pkey").arg(&certificate.key);
                    }
                    None => {
                        command.arg("--no-tls");
                    }
                }
            }
        }
        let server = Self(Process::start(setup.name, command, &lab.directory)?);
        let is_up = |line: &str| line.contains("Total General servers").then_some(());
        let up = server.0.wait_for(&mut 0, Duration::from_secs(10), is_up);
        up.ok_or("coturn does not start")?;
        Ok(server)
    }
}

fn file(lab: &Lab, name: &str, suffix: &str) -> PathBuf {
    lab.directory.join(format!("{name}.{suffix}"))
}

pub(crate) const USER: &str = "carol";
pub(crate) const PASSWORD: &str = "relayed by name";
/// RFC 8656, 18.2.
pub(crate) const PORT: u16 = 3_478;
pub(crate) const TLS_PORT: u16 = 5_349;
const REALM: &str = "relays.example";
