//! What `sipsimple nat` finds out with coturn, a server of two addresses, behind routers that translate and
//! filter in every way that nftables can (RFC 5780).

use crate::{
    Lab, Outcome,
    agent::Agent,
    coturn::{Coturn, Kind, Setup},
    network::{LossyPath, Place},
    translator,
};
use serde_json::Value;
use std::{net::Ipv4Addr, time::Duration};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let routers = ROUTERS.iter().map(|router| router.name);
    let names = routers.chain([ONE_ADDRESS]);
    names.map(|name| (PEER, name.to_owned())).collect()
}

/// Asks coturn through one router after the other.
pub(crate) fn run(lab: &Lab) {
    let made = LossyPath::new(0).and_then(|path| {
        path.add_far(&[OTHER])?;
        Ok((
            start(lab, &path.far, "nat-coturn", &[SERVER, OTHER], PORT)?,
            path,
        ))
    });
    let (_server, path) = match made {
        Ok(made) => made,
        Err(error) => return lab.say(&format!("{PEER}: {error}")),
    };
    for (number, router) in (0..).zip(ROUTERS) {
        lab.run(PEER, router.name, || router.look(lab, &path, number));
    }
    lab.run(PEER, ONE_ADDRESS, || {
        // Behind a full cone, which it cannot tell from others.
        path.set_rules(ROUTERS[0].rules)?;
        let _old = start(lab, &path.far, "nat-coturn-one", &[SERVER], PORT + 2)?;
        let last = ask(lab, &path, "nat-one", PORT + 2)?;
        let data = &last.1;
        let is_good = last.0 == 0
            && data["nat_type"] == "Unknown"
            && data["mapping"].is_null()
            && is_translated(data);
        lab.table
            .add(PEER, ONE_ADDRESS, is_good, shown(last.0, data));
        Ok(())
    });
}

/// A router between us and the server.
struct Router {
    name: &'static str,
    rules: &'static str,
    /// The class of RFC 3489, and what RFC 5780 calls it.
    class: &'static str,
    mapping: &'static str,
    filtering: &'static str,
    exit: i64,
}

impl Router {
    fn look(&self, lab: &Lab, path: &LossyPath, number: u16) -> Outcome<()> {
        path.set_rules(self.rules)?;
        let (exit, data) = ask(lab, path, &format!("nat-{number}"), PORT)?;
        let is_good = exit == self.exit
            && data["nat_type"] == self.class
            && data["mapping"].as_str().unwrap_or_default() == self.mapping
            && data["filtering"].as_str().unwrap_or_default() == self.filtering
            && is_translated(&data) != (self.mapping.is_empty() || self.mapping == "Direct");
        lab.table.add(PEER, self.name, is_good, shown(exit, &data));
        Ok(())
    }
}

/// Runs the verb; returns its exit code and what its last line says.
fn ask(lab: &Lab, path: &LossyPath, name: &str, port: u16) -> Outcome<(i64, Value)> {
    let server = format!("{SERVER}:{port}");
    let bind = path.near.address().to_string();
    let words = ["nat", "--stun", &server, "--bind", &bind];
    let mut agent = Agent::start_unheard(lab, &path.near, name, 0, words)?;
    let last = agent.finish(PATIENCE)?;
    let told = agent.events("SIPEngineDetectedNATType").len();
    match told {
        1 => Ok((last.exit, last.data)),
        _ => Err(format!(
            "{told} events; exit {}: {}",
            last.exit, last.reason
        )),
    }
}

/// Starts coturn, and waits until it serves.
fn start(
    lab: &Lab,
    place: &Place,
    name: &str,
    addresses: &[Ipv4Addr],
    port: u16,
) -> Outcome<Coturn> {
    let setup = Setup {
        name,
        place,
        addresses,
        port,
        kind: Kind::Stun,
    };
    Coturn::start(lab, &setup)
}

/// True if the server sees the router.
fn is_translated(data: &Value) -> bool {
    let mapped = data["mapped_address"].as_str().unwrap_or_default();
    mapped.starts_with(ROUTER)
}

fn shown(exit: i64, data: &Value) -> String {
    let word = |field: &str| data[field].as_str().unwrap_or("not known").to_owned();
    format!(
        "{}: mapping {}, filtering {} (exit {exit})",
        word("nat_type"),
        word("mapping"),
        word("filtering")
    )
}

const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 3);
/// How the router is seen there, with the colon of a port.
const ROUTER: &str = "203.0.113.1:";
const PORT: u16 = 3_478;
/// Two silences, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const PEER: &str = "coturn";
const ONE_ADDRESS: &str = "NAT type, by one address";

const INDEPENDENT: &str = "Endpoint-Independent";
const STRICT: &str = "Address and Port-Dependent";

const ROUTERS: &[Router] = &[
    Router {
        name: "NAT type, full cone",
        rules: translator::FULL_CONE,
        class: "Full Cone",
        mapping: INDEPENDENT,
        filtering: INDEPENDENT,
        exit: 0,
    },
    Router {
        name: "NAT type, restricted cone",
        rules: translator::RESTRICTED_CONE,
        class: "Restricted Cone",
        mapping: INDEPENDENT,
        filtering: "Address-Dependent",
        exit: 0,
    },
    Router {
        name: "NAT type, port restricted cone",
        rules: translator::PORT_RESTRICTED,
        class: "Port Restricted Cone",
        mapping: INDEPENDENT,
        filtering: STRICT,
        exit: 0,
    },
    Router {
        name: "NAT type, symmetric",
        rules: translator::SYMMETRIC,
        class: "Symmetric",
        mapping: STRICT,
        filtering: STRICT,
        exit: 0,
    },
    Router {
        name: "NAT type, firewall without translation",
        rules: translator::FIREWALL,
        class: "Symmetric UDP Firewall",
        mapping: "Direct",
        filtering: STRICT,
        exit: 0,
    },
    Router {
        name: "NAT type, nothing in between",
        rules: translator::NOTHING,
        class: "Open Internet",
        mapping: "Direct",
        filtering: INDEPENDENT,
        exit: 0,
    },
    Router {
        name: "NAT type, no UDP",
        rules: translator::UDP_BLOCKED,
        class: "UDP Blocked",
        mapping: "",
        filtering: "",
        exit: 5,
    },
];
