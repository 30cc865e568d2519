//! Options that can be changed while the agent runs (requirements 24).

use super::{Command, LiveOption, TlsPorts, UserAgent, life::addresses_of};
use crate::{stream::MediaSettings, tls::TlsConfig};
use base::Transport;
use sip::{auth::Guard, config::TRICKLE_ICE};
use std::{sync::Arc, time::Instant};

/// Why a port cannot be another one now; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetPortError {
    /// Before `DidStart`, or after `shutdown`.
    #[error("the agent does not run")]
    NotRunning,
    /// TLS has [`set_tls`](UserAgent::set_tls), and on WebSockets nobody listens.
    #[error("neither UDP nor TCP")]
    Transport,
}

impl UserAgent {
    /// Says which records `SIPEngineLog` tells: up to this level, of 1 (worst) to 5 (ENG-19); 0 for none.
    pub fn set_log_level(&mut self, now: Instant, level: u8) {
        let command = |_: &()| Command::Live(LiveOption::LogLevel(level));
        self.perform(now, command, (), |agent, ()| agent.config.log_level = level);
    }

    /// Lets only the users of a guard call, write, subscribe or refer from here on, or everybody again
    /// (RFC 3261, 22.2). Others are challenged, and nothing of what they send is told. What was verified
    /// is the `caller` of the [`Particulars`](crate::event::Particulars) of a call, a message or a
    /// subscription; whether that user may speak for the address in From is the application's to judge. What
    /// runs goes on, and requests inside of it are not asked again.
    ///
    /// Given before the first input, the guard lets nobody slip through. A recording holds its secrets, as it
    /// holds those of accounts; `Debug` shows none.
    pub fn set_guard(&mut self, now: Instant, guard: Option<Guard>) {
        let command = |guard: &Option<Guard>| {
            let guard = guard.clone().map(Box::new);
            Command::Live(LiveOption::Guard(guard))
        };
        self.perform(now, command, guard, |agent, guard| {
            agent.with_endpoint(|endpoint, now| endpoint.set_guard(now, guard));
        });
    }

    /// Changes what streams are told about media, RTP ports (ENG-23) and codecs (ENG-24) among it. Those
    /// that exist go on with what they were told.
    pub fn set_media(&mut self, now: Instant, media: MediaSettings) {
        let command =
            |media: &MediaSettings| Command::Live(LiveOption::Media(Box::new(media.clone())));
        self.perform(now, command, media, |agent, media| {
            agent.endpoint.set_info(info_of(&agent.config.sip, &media));
            agent.config.media = Arc::new(media);
        });
    }

    /// What streams are told about media from here on.
    pub fn media(&self) -> &MediaSettings {
        &self.config.media
    }

    /// Listens on another port for UDP or TCP (ENG-35); 0 lets the system choose, `None` switches the
    /// transport off, both ways. It is followed like a change of addresses: when the new sockets are open,
    /// `NetworkConditionsDidChange` tells, registrations renew, and sessions tell their peers (APP-20).
    /// Connections that stand go on.
    ///
    /// # Errors
    ///
    /// See [`SetPortError`].
    pub fn set_port(
        &mut self,
        now: Instant,
        transport: Transport,
        port: Option<u16>,
    ) -> Result<(), SetPortError> {
        let command = |_: &()| Command::Live(LiveOption::Port { transport, port });
        self.perform(now, command, (), |agent, ()| {
            if !agent.life.is_running() {
                return Err(SetPortError::NotRunning);
            }
            match transport {
                Transport::Udp => agent.config.udp_port = port,
                Transport::Tcp => agent.config.tcp_port = port,
                Transport::Tls | Transport::Ws | Transport::Wss => {
                    return Err(SetPortError::Transport);
                }
            }
            agent.listen_again(transport, false);
            Ok(())
        })
    }

    /// Changes what is trusted and shown, and listens on this port (ENG-36): 0 lets the system choose,
    /// without a certificate of ours we do not listen, `None` switches TLS off both ways. Followed like
    /// [`set_port`](Self::set_port); links that were secured before are closed, for what they were
    /// trusted by may not be trusted any more.
    ///
    /// # Errors
    ///
    /// [`SetPortError::NotRunning`].
    pub fn set_tls(
        &mut self,
        now: Instant,
        tls: TlsConfig,
        port: Option<u16>,
    ) -> Result<(), SetPortError> {
        let command = |tls: &TlsConfig| {
            let tls = Box::new(tls.clone());
            Command::Live(LiveOption::Tls { tls, port })
        };
        self.perform(now, command, tls, |agent, tls| {
            if !agent.life.is_running() {
                return Err(SetPortError::NotRunning);
            }
            let is_on = port.is_some().then_some(&tls);
            agent.filters.configure(is_on);
            agent.links.set_tls(is_on);
            agent.config.tls = port.map(|port| TlsPorts::new(&tls, port));
            agent.resolver.set_listening(&agent.reach());
            agent.listen_again(Transport::Tls, true);
            Ok(())
        })
    }

    /// Gives a recorded change again.
    pub(super) fn repeat_live(&mut self, now: Instant, option: LiveOption) {
        match option {
            LiveOption::LogLevel(level) => self.set_log_level(now, level),
            LiveOption::Media(media) => self.set_media(now, *media),
            LiveOption::Guard(guard) => self.set_guard(now, guard.map(|guard| *guard)),
            LiveOption::Port { transport, port } => {
                let _ = self.set_port(now, transport, port);
            }
            LiveOption::Tls { tls, port } => {
                let _ = self.set_tls(now, *tls, port);
            }
        }
    }

    /// Closes what listens on a transport, and listens as the configuration says from here on.
    fn listen_again(&mut self, transport: Transport, with_connections: bool) {
        self.links.stop(transport, with_connections);
        // Where we listen already; with nothing left, where the interfaces let us.
        let mut addresses = self.life.bound();
        if addresses.is_empty() {
            addresses = addresses_of(&self.life, &self.interfaces);
        }
        self.listen_elsewhere(&addresses, transport);
    }
}

/// What peers may send in INFO: with ICE candidates, too (RFC 8840, 10.4).
pub(super) fn info_of(sip: &sip::Config, media: &MediaSettings) -> sip::config::Info {
    let mut info = sip.info.clone();
    if media.ice {
        let packages = info.packages.get_or_insert_default();
        if !packages.iter().any(|known| known == TRICKLE_ICE) {
            packages.push(TRICKLE_ICE.to_owned());
        }
    }
    info
}
