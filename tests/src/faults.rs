//! What goes wrong on purpose: cuts, restarts, new addresses, sleep, wrong clocks.

use sipsimple::agent::{Input, LinkId, System};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    files::FileContent,
    host::{HostId, Inbox, Socket},
    node::Node,
    world::World,
};

/// How a node goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The program dies, the kernel closes its connections.
    Process,
    /// The power fails: silence, until something arrives after the restart and is reset.
    Power,
}

impl World {
    /// Cuts both directions between two hosts: nothing passes, nobody is told.
    pub fn cut_path(&mut self, a: HostId, b: HostId) {
        self.set_cut_path(a, b, true);
    }

    /// Mends what [`cut_path`](Self::cut_path) cut.
    pub fn mend_path(&mut self, a: HostId, b: HostId) {
        self.set_cut_path(a, b, false);
    }

    fn set_cut_path(&mut self, a: HostId, b: HostId, cut: bool) {
        self.note(a, if cut { "path cut" } else { "path mended" });
        self.link(a, b).cut = cut;
        self.link(b, a).cut = cut;
    }

    /// Separates these hosts from all others.
    pub fn partition(&mut self, island: &[HostId]) {
        self.set_partition(island, true);
    }

    /// Joins what [`partition`](Self::partition) separated.
    pub fn join(&mut self, island: &[HostId]) {
        self.set_partition(island, false);
    }

    fn set_partition(&mut self, island: &[HostId], cut: bool) {
        let others: Vec<HostId> = self
            .hosts()
            .map(|(id, _)| id)
            .filter(|id| !island.contains(id))
            .collect();
        for &a in island {
            for &b in &others {
                self.set_cut_path(a, b, cut);
            }
        }
    }

    /// Takes a node down: its sockets and its memory are gone, its disk stays.
    pub fn crash(&mut self, id: HostId, crash: Crash) {
        self.note(id, "crash");
        let host = self.host_mut(id);
        host.node = None;
        host.epoch += 1;
        host.failing.clear();
        host.files.forget_open();
        // What its application was told dies with it.
        host.inbox = Inbox::default();
        let links: Vec<LinkId> = host.sockets.keys().copied().collect();
        let mut broken: Vec<(u64, usize)> = std::mem::take(&mut host.pending)
            .into_values()
            .map(|tcp| (tcp, 1))
            .collect();
        for link in links {
            if let Some(Socket::Stream { tcp, side }) = host.release(link) {
                broken.push((tcp, side));
            }
        }
        host.links_seen.clear();
        for (tcp, side) in broken {
            match crash {
                Crash::Process => self.shut(tcp, side),
                Crash::Power => self.orphan(tcp, side),
            }
        }
        self.deadlines().set(id, None);
    }

    /// Starts a new node on a host that crashed.
    ///
    /// # Panics
    ///
    /// The host is up.
    pub fn restart(&mut self, id: HostId, node: impl Node) {
        self.note(id, "restart");
        let host = self.host_mut(id);
        assert!(host.node.is_none(), "{} is up", host.name);
        host.node = Some(Box::new(node));
        host.recordings.push(Vec::new());
        let interfaces = host.interfaces();
        self.handle(id, Input::System(System::Interfaces(interfaces)));
    }

    /// Gives a host other addresses, as another network does, and tells its node. Sockets that were
    /// bound to an address that is gone stay open and can do nothing.
    ///
    /// # Panics
    ///
    /// Another host has one of them.
    pub fn set_addresses(&mut self, id: HostId, addresses: &[IpAddr]) {
        self.note(id, "new addresses");
        self.owners().retain(|_, owner| *owner != id);
        for &address in addresses {
            let before = self.owners().insert(address, id);
            assert!(before.is_none(), "{address} belongs to another host");
        }
        self.host_mut(id).addresses = addresses.to_vec();
        let interfaces = self.host(id).interfaces();
        self.handle(id, Input::System(System::Interfaces(interfaces)));
    }

    /// Puts a host to sleep for `asleep`: datagrams are lost, connections wait, deadlines come late.
    pub fn suspend(&mut self, id: HostId, asleep: Duration) {
        self.note(id, "suspend");
        self.handle(id, Input::System(System::Suspending));
        self.host_mut(id).asleep = true;
        self.deadlines().set(id, None);
        self.at(asleep, move |world| {
            world.note(id, "resume");
            world.host_mut(id).asleep = false;
            world.handle(id, Input::System(System::Resumed { asleep }));
        });
    }

    /// Corrects the wall clock of a host; the time that machines measure with is not touched.
    pub fn set_wall_clock(&mut self, id: HostId, unix: Duration) {
        self.handle(id, Input::System(System::UnixTime(unix)));
    }

    /// Tells a host other name servers, as another network does.
    pub fn set_name_servers(&mut self, id: HostId, servers: &[SocketAddr]) {
        self.handle(id, Input::System(System::NameServers(servers.to_vec())));
    }

    /// Resets all connections between two hosts, as a middlebox does: both ends hear of it at once.
    pub fn reset_connections(&mut self, a: HostId, b: HostId) {
        self.note(a, "connections reset");
        let between: Vec<u64> = self
            .connections()
            .filter(|(_, tcp)| {
                let hosts = (tcp.ends[0].host, tcp.ends[1].host);
                hosts == (a, b) || hosts == (b, a)
            })
            .map(|(id, _)| id)
            .collect();
        for id in between {
            self.reset(id);
        }
    }

    /// Puts a file onto the disk of a host.
    pub fn put_file(&mut self, id: HostId, name: &str, content: FileContent) {
        let files = &mut self.host_mut(id).files;
        files.finished.insert(name.to_owned(), content);
    }

    /// Reads a finished file of a host.
    pub fn file(&self, id: HostId, name: &str) -> Option<&FileContent> {
        self.host(id).files.finished.get(name)
    }

    /// Limits how many bytes may be written to the disk of a host.
    pub fn set_disk_space(&mut self, id: HostId, bytes: u64) {
        self.host_mut(id).files.space = Some(bytes);
    }

    /// Both ends of all connections.
    pub fn connection_ends(&self) -> Vec<(SocketAddr, SocketAddr)> {
        self.connections()
            .map(|(_, tcp)| (tcp.ends[0].address, tcp.ends[1].address))
            .collect()
    }
}
