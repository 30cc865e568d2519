//! Secured links: what a handshake leads to, and whose certificate is good enough.

use super::{Link, LinkOutput, Links, Owner, Phase, Verified};
use crate::{
    id::LinkId,
    stream::StreamInput,
    tls::{Refusal, Security, proves},
};
use base::{Host, LinkError, Target, TlsError, Transport};
use std::{net::SocketAddr, time::Instant};

impl Links {
    /// The handshake of a link is over.
    pub(super) fn secured(&mut self, now: Instant, id: LinkId, result: Result<Security, Refusal>) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        if !matches!(link.phase, Phase::Securing { .. }) {
            return;
        }
        let result = match (result, &link.wanted) {
            (Ok(security), Some(wanted)) => match &self.policy {
                Some(policy)
                    if policy.verify && !is_proven(&security, wanted, policy.allow_wildcard) =>
                {
                    Err(Refusal {
                        error: TlsError::WrongName,
                        detail: String::new(),
                        chain: security.chain,
                    })
                }
                _ => Ok(security),
            },
            (result, _) => result,
        };
        match result {
            Ok(security) => self.up(now, id, security),
            Err(refusal) => self.refuse(now, id, refusal),
        }
    }

    /// The name that a server must prove: the domain that was asked for, before NAPTR and SRV
    /// (RFC 5922, 7.3), unless another is configured.
    pub(super) fn wanted_of(&self, target: &Target) -> Host {
        let configured = self.policy.as_ref().and_then(|policy| policy.name.clone());
        configured.unwrap_or_else(|| target.name.clone())
    }

    /// Tells the application that a server was not good enough, or did not answer.
    pub(super) fn not_secured(
        &mut self,
        sought: Option<Sought>,
        error: LinkError,
        refusal: Option<Refusal>,
    ) {
        let Some((transport, wanted, peer)) = sought else {
            // Whoever connects to us in a wrong way is no news.
            self.counters.handshakes += 1;
            return;
        };
        let (presented, detail) =
            refusal.map_or_else(Default::default, |refusal| (refusal.chain, refusal.detail));
        self.out.push_back(LinkOutput::Verified(Box::new(Verified {
            transport,
            peer,
            wanted,
            result: Err(error),
            presented,
            detail,
        })));
    }

    fn up(&mut self, now: Instant, id: LinkId, security: Security) {
        let Some(link) = self.table.get_mut(id) else {
            return;
        };
        link.phase = Phase::Open;
        let (owner, local, peer) = (link.owner, link.local, link.peer);
        if let Some((transport, wanted, peer)) = link.sought() {
            self.out.push_back(LinkOutput::Verified(Box::new(Verified {
                transport,
                peer,
                wanted,
                result: Ok(security),
                presented: Vec::new(),
                detail: String::new(),
            })));
        }
        if self
            .table
            .get(id)
            .is_some_and(|link| link.web_socket.is_some())
        {
            return self.upgrade(now, id);
        }
        match owner {
            Owner::Connection(Some(flow)) => {
                self.tell(sip::Input::FlowUp { flow, local, peer });
            }
            Owner::Connection(None) => self.new_flow(id),
            Owner::Slot(stream, slot) => {
                let input = StreamInput::Opened { slot, local, peer };
                self.out.push_back(LinkOutput::Stream(stream, input));
                self.say_writable(id);
            }
            _ => {}
        }
        self.rearm(id);
    }

    /// The peer is not whom we want, or does not want us: what the filter still has to say goes out.
    fn refuse(&mut self, now: Instant, id: LinkId, refusal: Refusal) {
        let error = LinkError::Tls(refusal.error);
        let Some(link) = self.table.get(id) else {
            return;
        };
        let (owner, sought) = (link.owner, link.sought());
        self.not_secured(sought, error, Some(refusal));
        if let Owner::Slot(stream, slot) = owner {
            self.forget_slot(stream, slot);
        }
        self.finish(now, id);
        let error = Some(error);
        match owner {
            Owner::Connection(Some(flow)) => self.tell(sip::Input::FlowDown { flow, error }),
            Owner::Slot(stream, slot) => {
                let input = StreamInput::Closed { slot, error };
                self.out.push_back(LinkOutput::Stream(stream, input));
            }
            _ => {}
        }
    }
}

/// A server that we connect to: over what, the name that it must prove, where it is.
pub(super) type Sought = (Transport, Host, SocketAddr);

impl Link {
    pub(super) fn sought(&self) -> Option<Sought> {
        Some((self.transport, self.wanted.clone()?, self.peer?))
    }
}

fn is_proven(security: &Security, wanted: &Host, allow_wildcard: bool) -> bool {
    let presented = security.chain.first();
    presented.is_some_and(|certificate| proves(certificate, wanted, allow_wildcard))
}
