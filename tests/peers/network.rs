//! Where programs run: on this machine's loopback, or at the two ends of a lossy path.

use crate::{Outcome, process, translator};
use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    process::Command,
};

/// A network that programs run in.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    namespace: Option<String>,
    address: IpAddr,
}

impl Place {
    /// A namespace, and the address of it that is meant.
    pub(crate) fn inside(namespace: String, address: impl Into<IpAddr>) -> Self {
        Self {
            namespace: Some(namespace),
            address: address.into(),
        }
    }

    /// This machine's loopback.
    pub(crate) const fn loopback() -> Self {
        Self {
            namespace: None,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// The same over IPv6, or why this machine has none.
    pub(crate) fn loopback_of_version_6() -> Outcome<Self> {
        let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        UdpSocket::bind((address, 0)).map_err(|error| format!("{address}: {error}"))?;
        Ok(Self {
            namespace: None,
            address,
        })
    }

    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }

    /// The address as the host of a URI: that of IPv6 stands in brackets (RFC 3986, 3.2.2).
    pub(crate) fn host(&self) -> String {
        host(self.address)
    }

    /// A program that will run there.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
        }
    }
}

/// A network of its own that has only a loopback: all of its addresses and ports are free.
#[derive(Debug)]
pub(crate) struct Island {
    name: String,
}

impl Island {
    pub(crate) fn new(word: &str) -> Outcome<Self> {
        let name = format!("peers-{}-{word}", std::process::id());
        ip(&["netns", "add", &name])?;
        // From here on it is removed again, whatever happens.
        let island = Self { name };
        ip(&["-n", &island.name, "link", "set", "lo", "up"])?;
        Ok(island)
    }

    /// One of its addresses: `127.x.y.z`, `::1`, or one that was added.
    pub(crate) fn at(&self, address: impl Into<IpAddr>) -> Place {
        Place::inside(self.name.clone(), address)
    }

    /// Gives it further addresses: of IPv6 a loopback has only one.
    pub(crate) fn add(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Outcome<()> {
        for address in addresses {
            let address = format!("{address}/128");
            ip(&["-n", &self.name, "addr", "add", &address, "dev", "lo"])?;
        }
        Ok(())
    }

    /// Makes black holes of addresses: what is sent to them vanishes.
    pub(crate) fn swallow(&self, addresses: &[Ipv4Addr]) -> Outcome<()> {
        let named: Vec<String> = addresses.iter().map(Ipv4Addr::to_string).collect();
        let rules = format!(
            "add table ip hole; add chain ip hole in {{ type filter hook input priority 0; }}; \
             add rule ip hole in ip daddr {{ {} }} drop",
            named.join(", ")
        );
        ip(&["netns", "exec", &self.name, "nft", &rules]).map(drop)
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// This machine and a network of its own, with a cable between: addresses that others could have, too.
#[derive(Debug)]
pub(crate) struct Cable {
    pub(crate) near: Place,
    pub(crate) far: Place,
    name: String,
}

impl Cable {
    pub(crate) fn new() -> Outcome<Self> {
        let name = format!("peers-{}-cable", std::process::id());
        ip(&["netns", "add", &name])?;
        let place = |namespace, address| Place {
            namespace,
            address: IpAddr::V4(address),
        };
        // From here on it is removed again, and the cable with it, whatever happens.
        let cable = Self {
            near: place(None, CABLE[0]),
            far: place(Some(name.clone()), CABLE[1]),
            name,
        };
        // Names of interfaces have 15 letters at most.
        let plug = format!("p{}", std::process::id());
        ip(&[
            "link",
            "add",
            &plug,
            "type",
            "veth",
            "peer",
            "name",
            INTERFACE,
            "netns",
            &cable.name,
        ])?;
        let [near, far] = CABLE.map(|address| format!("{address}/30"));
        ip(&["addr", "add", &near, "dev", &plug])?;
        ip(&["link", "set", &plug, "up"])?;
        let inside = ["-n", &cable.name];
        ip(&[&inside[..], &["addr", "add", &far, "dev", INTERFACE]].concat())?;
        ip(&[&inside[..], &["link", "set", INTERFACE, "up"]].concat())?;
        ip(&[&inside[..], &["link", "set", "lo", "up"]].concat())?;
        Ok(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Of the network for tests between networks (RFC 2544).
const CABLE: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 77, 1), Ipv4Addr::new(198, 18, 77, 2)];

/// Two networks and a router between them that drops datagrams by chance.
///
/// What a program receives is what a capture at its own end shows; what it sends, too, whatever
/// the router does.
#[derive(Debug)]
pub(crate) struct LossyPath {
    pub(crate) near: Place,
    pub(crate) far: Place,
    router: String,
    names: Vec<String>,
}

impl LossyPath {
    /// Makes a path that loses `percent` of the datagrams, in both directions alike.
    pub(crate) fn new(percent: u32) -> Outcome<Self> {
        let name = |end: &str| format!("peers-{}-{end}", std::process::id());
        let place = |end: &str, address| Place {
            namespace: Some(name(end)),
            address: IpAddr::V4(address),
        };
        let mut path = Self {
            near: place("near", NEAR),
            far: place("far", FAR),
            router: name("router"),
            names: Vec::new(),
        };
        for end in ["near", "far", "router"] {
            let name = name(end);
            ip(&["netns", "add", &name])?;
            path.names.push(name);
        }
        for (end, address, gateway) in [("near", NEAR, NEAR_GATEWAY), ("far", FAR, FAR_GATEWAY)] {
            let (namespace, router) = (name(end), path.router.as_str());
            // Names inside of networks of our own cannot meet others.
            ip(&[
                "-n", router, "link", "add", end, "type", "veth", "peer", "name", INTERFACE,
                "netns", &namespace,
            ])?;
            ip(&[
                "-n",
                router,
                "addr",
                "add",
                &format!("{gateway}/24"),
                "dev",
                end,
            ])?;
            ip(&["-n", router, "link", "set", end, "up"])?;
            ip(&[
                "-n",
                &namespace,
                "addr",
                "add",
                &format!("{address}/24"),
                "dev",
                INTERFACE,
            ])?;
            ip(&["-n", &namespace, "link", "set", INTERFACE, "up"])?;
            ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
            ip(&[
                "-n",
                &namespace,
                "route",
                "add",
                "default",
                "via",
                &gateway.to_string(),
            ])?;
        }
        let router = path.router.as_str();
        ip(&[
            "netns",
            "exec",
            router,
            "sh",
            "-c",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
        ])?;
        let mut rules = vec![
            "netns".to_owned(),
            "exec".to_owned(),
            router.to_owned(),
            "nft".to_owned(),
        ];
        rules.push(format!(
            "add table ip loss; add chain ip loss through {{ type filter hook forward priority 0; }}; \
             add rule ip loss through meta l4proto udp numgen random mod 100 < {percent} counter drop"
        ));
        ip(&rules.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(path)
    }

    /// Takes the near end's address away, and gives it another one half a second later, as a change of
    /// networks does. Returns the new one.
    pub(crate) fn move_near(&mut self) -> Outcome<IpAddr> {
        let namespace = self.near.namespace.clone().unwrap_or_default();
        let address = |action: &str, address: IpAddr| {
            let address = format!("{address}/24");
            ip(&["-n", &namespace, "addr", action, &address, "dev", INTERFACE])
        };
        address("del", self.near.address)?;
        std::thread::sleep(std::time::Duration::from_millis(500));
        let later = IpAddr::V4(NEAR_LATER);
        address("add", later)?;
        // It went with its last address.
        let gateway = NEAR_GATEWAY.to_string();
        ip(&[
            "-n", &namespace, "route", "replace", "default", "via", &gateway,
        ])?;
        self.near.address = later;
        Ok(later)
    }

    /// Gives the far end further addresses of its network.
    pub(crate) fn add_far(&self, addresses: &[Ipv4Addr]) -> Outcome<()> {
        let namespace = self.far.namespace.clone().unwrap_or_default();
        for address in addresses {
            let address = format!("{address}/24");
            ip(&["-n", &namespace, "addr", "add", &address, "dev", INTERFACE])?;
        }
        Ok(())
    }

    /// Puts rules of `nft` in the place of those that the router has; its interfaces are `near` and `far`.
    pub(crate) fn set_rules(&self, rules: &str) -> Outcome<()> {
        let rules = translator::rules(rules, self.near.address);
        ip(&["netns", "exec", &self.router, "nft", &rules]).map(drop)
    }

    /// How many datagrams were dropped.
    pub(crate) fn dropped(&self) -> Outcome<u64> {
        let rules = ip(&["netns", "exec", &self.router, "nft", "list", "ruleset"])?;
        let mut words = rules
            .split_whitespace()
            .skip_while(|word| *word != "packets");
        let count = words.nth(1).and_then(|word| word.parse().ok());
        count.ok_or_else(|| format!("no counter in {rules}"))
    }
}

impl Drop for LossyPath {
    fn drop(&mut self) {
        for name in &self.names {
            // Their interfaces and rules go with them.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

/// Why the kernel makes no network namespaces for us, if it does not.
pub(crate) fn refusal() -> Option<String> {
    let name = format!("peers-{}-trial", std::process::id());
    let made = ip(&["netns", "add", &name]).and_then(|_| ip(&["netns", "del", &name]));
    made.err()
}

/// An address as the host of a URI.
pub(crate) fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Runs `ip`.
pub(crate) fn ip(arguments: &[&str]) -> Outcome<String> {
    process::run(Command::new("ip").args(arguments))
}

/// The interface of either end.
pub(crate) const INTERFACE: &str = "wire";
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const NEAR_LATER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
const NEAR_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
const FAR_GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
