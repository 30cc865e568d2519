//! A relay for TCP whose connections can be closed.

use crate::Outcome;
use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Takes connections at one port of loopback, and opens one to another for each; until the program ends.
#[derive(Debug)]
pub(crate) struct Relay {
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    pub(crate) fn start(port: u16, target: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = listener.map_err(|error| format!("port {port}: {error}"))?;
        let connections: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let kept = Arc::clone(&connections);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                // What cannot be opened shows in what is not carried.
                let _ = join(near, target, &kept);
            }
        });
        Ok(Self { connections })
    }

    /// Closes both ends of all connections.
    pub(crate) fn close(&self) {
        for connection in self.kept().iter() {
            // What is closed already is closed.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// How many connections were taken.
    pub(crate) fn count(&self) -> usize {
        self.kept().len() / 2
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn join(near: TcpStream, target: u16, kept: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    let both = [near.try_clone()?, far.try_clone()?];
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(both);
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        thread::spawn(move || carry(from, to));
    }
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other end hears of the end.
    let _ = to.shutdown(Shutdown::Both);
}
