//! Calls with ICE in a network of namespaces that this makes: hosts behind routers that translate in every
//! way that nftables can, Kamailio and coturn between them (RFC 8445, RFC 8656).

mod aioice;
mod call;
mod matrix;
mod roam;
mod stun;
mod turn;
mod world;

use crate::{
    Lab, Outcome,
    coturn::{self, Coturn},
    names::ZONE,
};
use call::Exchange;
use std::thread;
use world::{COTURN, World};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    [
        matrix::expected(),
        turn::expected(),
        roam::expected(),
        aioice::expected(),
    ]
    .concat()
}

/// Runs all calls, several at a time.
pub(crate) fn run(lab: &Lab) {
    if let Err(error) = work(lab) {
        lab.say(&format!("namespaces: {error}"));
    }
}

fn work(lab: &Lab) -> Outcome<()> {
    let mut world = World::new("world")?;
    let exchange = Exchange::new(lab, &world, "netns")?;
    let certificate = exchange.authority.issue(&format!("turn.{ZONE}"))?;
    let setup = coturn::Setup {
        name: "netns-coturn",
        place: &world.server(COTURN),
        addresses: &[COTURN],
        port: coturn::PORT,
        kind: coturn::Kind::Turn {
            nonces: None,
            certificate: Some(&certificate),
        },
    };
    let _coturn = Coturn::start(lab, &setup)?;
    let hosts = matrix::Hosts::new(&mut world)?;
    let movers = roam::Hosts::new(&mut world)?;
    let neighbours = aioice::Hosts::new(&mut world)?;
    let cases = turn::Cases::new(&exchange, &mut world)?;
    thread::scope(|scope| {
        scope.spawn(|| matrix::run(&exchange, &hosts));
        scope.spawn(|| cases.run(&exchange, &world));
        scope.spawn(|| {
            roam::run(&exchange, &movers);
            aioice::run(&exchange, &neighbours);
        });
    });
    exchange.judge();
    Ok(())
}
