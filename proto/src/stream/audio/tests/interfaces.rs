//! Which addresses of this machine are told as candidates.

use super::{
    ice::{assemble, ice_env, interface, open},
    origin,
};
use crate::{
    edge::{Interface, InterfaceKind},
    stream::{MediaSettings, Purpose, StreamFactory as _, audio::AudioFactory},
};

/// RFC 8445, 5.1.1.1: what is no candidate by the standard, and what the settings leave out. The address of
/// signalling stays, whatever has it.
#[test]
fn interfaces_that_are_of_no_use_are_left_out() {
    let all = [
        ("lo", InterfaceKind::Loopback, "127.0.0.1"),
        ("eth0", InterfaceKind::Wired, "192.0.2.1"),
        ("wlan0", InterfaceKind::Wireless, "198.51.100.1"),
        ("wlan0", InterfaceKind::Wireless, "169.254.7.7"),
        ("eth0", InterfaceKind::Wired, "2001:db8::1"),
        ("eth0", InterfaceKind::Wired, "fe80::1"),
        ("eth0", InterfaceKind::Wired, "fec0::1"),
        ("eth0", InterfaceKind::Wired, "::192.0.2.9"),
        ("eth0", InterfaceKind::Wired, "::ffff:192.0.2.9"),
        ("docker0", InterfaceKind::Virtual, "172.17.0.1"),
        ("tun0", InterfaceKind::Tunnel, "10.0.0.1"),
        ("vboxnet7", InterfaceKind::Other, "10.0.7.1"),
    ];
    let told = |change: fn(&mut MediaSettings)| {
        let now = origin();
        let mut env = ice_env(now, 0, change);
        let interfaces = all.map(|(name, kind, address)| Interface {
            name: name.to_owned(),
            kind,
            address: address.parse().unwrap(),
            ..interface([0; 4])
        });
        env.interfaces = interfaces.into();
        let factory = AudioFactory::new();
        let mut stream = factory.create(now, env, &serde_json::Value::Null).unwrap();
        open(&mut stream, now, Purpose::First);
        let media = assemble(0, stream.offer(now)).media.remove(0);
        let lines = media.attributes.all("candidate");
        let mut told: Vec<String> = lines
            .filter_map(sdp::Candidate::read)
            .map(|line| line.address.to_string())
            .collect();
        told.sort();
        told.dedup();
        told.join(" ")
    };
    assert_eq!(
        told(|_| {}),
        "10.0.0.1 10.0.7.1 192.0.2.1 198.51.100.1 2001:db8::1"
    );
    let named = |settings: &mut MediaSettings| {
        let names = ["vbox*", "eth0", "wlan"].map(str::to_owned);
        settings.ice_interfaces.without_names = names.to_vec();
    };
    assert_eq!(told(named), "10.0.0.1 192.0.2.1 198.51.100.1");
    let kinds = |settings: &mut MediaSettings| {
        settings.ice_interfaces.without_kinds = vec![InterfaceKind::Tunnel, InterfaceKind::Other];
    };
    assert_eq!(told(kinds), "172.17.0.1 192.0.2.1 198.51.100.1 2001:db8::1");
}
