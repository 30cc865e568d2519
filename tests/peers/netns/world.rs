//! A network of networks: an outer one with servers, and hosts that reach it through routers of their own.

use crate::{
    Outcome,
    network::{INTERFACE, Place, ip},
    translator,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// All of it; removed when this is dropped.
#[derive(Debug)]
pub(super) struct World {
    outer: String,
    names: Vec<String>,
    sites: u8,
}

/// A host, and what it stands behind.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Where its programs run, at its own address.
    pub(super) place: Place,
    namespace: String,
    number: u8,
    is_inside: bool,
    /// It will change its address.
    pub(super) is_roaming: bool,
}

impl World {
    /// Makes the outer network, with addresses for servers.
    pub(super) fn new(word: &str) -> Outcome<Self> {
        let mut world = Self {
            outer: format!("peers-{}-{word}", std::process::id()),
            names: Vec::new(),
            sites: 0,
        };
        let outer = world.outer.clone();
        world.add(&outer)?;
        let inside = ["-n", &outer, "link"];
        ip(&[&inside[..], &["add", BRIDGE, "type", "bridge"]].concat())?;
        ip(&[&inside[..], &["set", BRIDGE, "up"]].concat())?;
        // Servers send to addresses inside of other networks, too, as they do elsewhere: it vanishes.
        let ends = ["add", VOID, "type", "veth", "peer", "name", "void-end"];
        ip(&[&inside[..], &ends].concat())?;
        ip(&[&inside[..], &["set", VOID, "up"]].concat())?;
        ip(&[&inside[..], &["set", "void-end", "up"]].concat())?;
        let inside = ["-n", outer.as_str()];
        let nobody = ["neigh", "add", NOBODY, "lladdr", "02:00:00:00:00:fe"];
        ip(&[&inside[..], &["addr", "add", "192.0.2.1/24", "dev", VOID]].concat())?;
        ip(&[&inside[..], &nobody, &["dev", VOID, "nud", "permanent"]].concat())?;
        ip(&[&inside[..], &["route", "add", "default", "via", NOBODY]].concat())?;
        for server in [PROXY, COTURN, OTHER] {
            let address = format!("{server}/24");
            ip(&["-n", &outer, "addr", "add", &address, "dev", BRIDGE])?;
        }
        Ok(world)
    }

    /// A server's place.
    pub(super) fn server(&self, address: Ipv4Addr) -> Place {
        Place::inside(self.outer.clone(), address)
    }

    /// Adds a host behind a router with these rules; without any it stands in the outer network itself.
    pub(super) fn add_site(&mut self, rules: Option<&str>) -> Outcome<Site> {
        let number = self.sites;
        self.sites += 1;
        let outer = self.outer.clone();
        let (host, router) = (
            format!("{outer}-{number}"),
            format!("{outer}-{number}-router"),
        );
        self.add(&host)?;
        let outside = outside(number);
        let address = match rules {
            None => {
                self.plug(&host, INTERFACE, number, outside)?;
                outside
            }
            Some(rules) => {
                self.add(&router)?;
                self.plug(&router, "far", number, outside)?;
                let (gateway, address) = (inside(number, 1), inside(number, 2));
                ip(&[
                    "-n", &router, "link", "add", "near", "type", "veth", "peer", "name",
                    INTERFACE, "netns", &host,
                ])?;
                set(&router, "near", gateway)?;
                set(&host, INTERFACE, address)?;
                let gateway = gateway.to_string();
                ip(&["-n", &host, "route", "add", "default", "via", &gateway])?;
                let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
                ip(&["netns", "exec", &router, "sh", "-c", forward])?;
                let rules = translator::rules(rules, address.into());
                ip(&["netns", "exec", &router, "nft", &rules])?;
                address
            }
        };
        Ok(Site {
            place: Place::inside(host.clone(), address),
            namespace: host,
            number,
            is_inside: rules.is_some(),
            is_roaming: false,
        })
    }

    /// Puts a cable between an interface of a namespace and the outer network.
    fn plug(&self, namespace: &str, name: &str, number: u8, address: Ipv4Addr) -> Outcome<()> {
        let end = format!("site{number}");
        ip(&[
            "-n",
            &self.outer,
            "link",
            "add",
            &end,
            "type",
            "veth",
            "peer",
            "name",
            name,
            "netns",
            namespace,
        ])?;
        ip(&["-n", &self.outer, "link", "set", &end, "master", BRIDGE])?;
        ip(&["-n", &self.outer, "link", "set", &end, "up"])?;
        set(namespace, name, address)?;
        // What is sent to addresses of other networks vanishes there.
        let proxy = PROXY.to_string();
        ip(&["-n", namespace, "route", "add", "default", "via", &proxy]).map(drop)
    }

    fn add(&mut self, name: &str) -> Outcome<()> {
        ip(&["netns", "add", name])?;
        // From here on it is removed again, whatever happens.
        self.names.push(name.to_owned());
        ip(&["-n", name, "link", "set", "lo", "up"]).map(drop)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in &self.names {
            // Its interfaces and rules go with it.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

impl Site {
    /// Takes the host's address away, and gives it another one of its network half a second later, as a
    /// change of networks does.
    pub(super) fn move_host(&mut self) -> Outcome<IpAddr> {
        let (later, gateway) = match self.is_inside {
            true => (inside(self.number, 77), inside(self.number, 1)),
            false => (moved(self.number), PROXY),
        };
        let later = IpAddr::V4(later);
        let address = |action: &str, address: IpAddr| {
            let address = format!("{address}/24");
            ip(&[
                "-n",
                &self.namespace,
                "addr",
                action,
                &address,
                "dev",
                INTERFACE,
            ])
        };
        address("del", self.place.address())?;
        std::thread::sleep(Duration::from_millis(500));
        address("add", later)?;
        // It went with its last address.
        let gateway = gateway.to_string();
        ip(&[
            "-n",
            &self.namespace,
            "route",
            "replace",
            "default",
            "via",
            &gateway,
        ])?;
        self.place = Place::inside(self.namespace.clone(), later);
        Ok(later)
    }
}

/// Gives an interface an address of a network of 256, and switches it on.
fn set(namespace: &str, interface: &str, address: Ipv4Addr) -> Outcome<()> {
    let address = format!("{address}/24");
    ip(&["-n", namespace, "addr", "add", &address, "dev", interface])?;
    ip(&["-n", namespace, "link", "set", interface, "up"]).map(drop)
}

const fn outside(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 10 + number)
}

const fn moved(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 110 + number)
}

const fn inside(number: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, number, host)
}

/// Where the proxy is, and where coturn is; and one more for it.
pub(super) const PROXY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
pub(super) const COTURN: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 3);
const BRIDGE: &str = "outer";
/// Where what nobody has goes.
const VOID: &str = "void";
const NOBODY: &str = "192.0.2.2";
