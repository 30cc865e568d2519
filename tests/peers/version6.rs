//! Calls with baresip between ports of `::1`: URIs, Vias and descriptions of sessions with addresses of IPv6 that
//! somebody else wrote, and RTP between them. Kamailio over IPv6 is among its other configurations.

use crate::{
    Lab, Outcome,
    network::Place,
    phone::{self, Desk, Way},
    sipp::Transport,
    speech,
};

/// The rows of this part.
pub(crate) fn expected() -> Vec<(&'static str, String)> {
    let calls = WAYS.into_iter().flat_map(speech::of_call);
    let all = calls.chain(phone::of_messages(Transport::Udp));
    all.map(|case| (PEER, case)).collect()
}

/// Runs a call each way.
pub(crate) fn run(lab: &Lab) {
    match Place::loopback_of_version_6() {
        Ok(place) => {
            if let Err(error) = work(lab, place) {
                lab.say(&format!("{PEER}: {error}"));
            }
        }
        Err(reason) => lab.skip(expected(), "ipv6", &reason),
    }
}

fn work(lab: &Lab, place: Place) -> Outcome<()> {
    let desk = Desk::at(lab, PEER, place)?;
    speech::run_calls(&desk, &WAYS);
    desk.judge_messages(Transport::Udp)
}

/// We hang up the first one, baresip the other.
const WAYS: [Way; 2] = [way(true, "PCMU"), way(false, "PCMA")];

const fn way(is_ours: bool, codec: &'static str) -> Way {
    Way {
        number: FIRST_CALL + is_ours as u16,
        is_ours,
        transport: Transport::Udp,
        codec,
        takes_calls: true,
    }
}

const PEER: &str = "baresip, IPv6";
/// Its files and ports are those of no call over IPv4.
const FIRST_CALL: u16 = 60;
