//! The registrar and proxy of the demo, on a port of its own.

use super::internal;
use crate::outcome::Failure;
use simulator::server::{Gate, Proxy, Registrar, Rules, Shell};
use sipsimple::{
    agent::Config,
    base::{Transport, digest::Secret},
    sip::{
        Uri,
        auth::{Asker, Credentials, Policy},
    },
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// A server that knows some users by their passwords.
pub(super) struct Server {
    shell: Shell<Proxy>,
    passwords: BTreeMap<&'static str, String>,
}

impl Server {
    /// What it serves; no name server needs to know it.
    pub(super) const DOMAIN: &str = "demo.example";

    /// Serves [`DOMAIN`](Self::DOMAIN) at an address, and asks everybody for the password; an alias is
    /// another name of a user.
    pub(super) fn start(
        ip: IpAddr,
        users: &[&'static str],
        alias: (&'static str, &str),
    ) -> Result<Self, Failure> {
        let of_user = format!("sip:{}@{}", alias.1, Self::DOMAIN);
        let of_user: Uri = of_user.parse().map_err(|_| internal("a user is no URI"))?;
        let random = || runtime_smol::seed().map_err(|error| internal(&error.to_string()));
        let mut passwords = BTreeMap::new();
        for user in users {
            let bytes = random()?;
            let hex: String = bytes[..8].iter().map(|b| format!("{b:02x}")).collect();
            passwords.insert(*user, hex);
        }
        let gate = |asker, seed| {
            let mut policy = Policy::new(Self::DOMAIN);
            policy.asker = asker;
            let mut gate = Gate::new(policy, seed);
            for (user, password) in &passwords {
                gate.add_user(user, password);
            }
            gate
        };
        let of_registrar = gate(Asker::Server, random()?);
        let of_proxy = gate(Asker::Proxy, random()?);
        let make = move |address: SocketAddr| {
            let mut rules = Rules::default();
            rules.one_binding = true;
            let mut registrar = Registrar::new(rules);
            let mut proxy = Proxy::new(address);
            proxy.add_name(Self::DOMAIN, address.ip());
            proxy.bind(alias.0, &[of_user]);
            registrar.set_gate(of_registrar);
            proxy.set_gate(of_proxy);
            proxy.set_registrar(registrar);
            proxy
        };
        let shell = Shell::start(ip, make)
            .map_err(|error| internal(&format!("the server does not start: {error}")))?;
        Ok(Self { shell, passwords })
    }

    /// Makes a user of the server of an agent, or one more; the agent goes there over this transport.
    pub(super) fn enrol(
        &self,
        config: &mut Config,
        user: &str,
        transport: Transport,
    ) -> Result<(), Failure> {
        let uri = |text: String| text.parse().map_err(|_| internal("an address is no URI"));
        let (address, transport) = (self.shell.address(), transport.param_name());
        // Who had no account yet has one without an address.
        let unnamed = config.accounts.pop_if(|account| account.uri.is_none());
        let mut account = unnamed.unwrap_or_default();
        account.uri = Some(uri(format!("sip:{user}@{}", Self::DOMAIN))?);
        account.outbound_proxy = Some(uri(format!("sip:{address};transport={transport}"))?);
        let password = self.passwords.get(user).cloned().unwrap_or_default();
        let secret = Secret::Password(password);
        account.credentials = vec![Credentials::new(Self::DOMAIN, user, secret)];
        config.accounts.push(account);
        Ok(())
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.shell.address()
    }

    /// How many requests spiralled.
    pub(super) fn spirals(&self) -> Result<u64, Failure> {
        self.shell
            .call(|proxy, _| proxy.stats().spirals)
            .ok_or_else(|| internal("the server has ended"))
    }

    /// How many contacts of a user it has.
    pub(super) fn contacts(&self, user: &'static str) -> Result<usize, Failure> {
        let contacts = self.shell.call(move |proxy, now| {
            let registrar = proxy.registrar()?;
            Some(registrar.contacts(now, user).len())
        });
        contacts
            .flatten()
            .ok_or_else(|| internal("the server has ended"))
    }
}
