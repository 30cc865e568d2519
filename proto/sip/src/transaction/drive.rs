//! How one step of a transaction becomes outputs.

use super::{
    Output, Path, Transaction, Transactions,
    any::{AnyMachine, Stimulus},
    derived,
    machine::Action,
};
use crate::{FlowId, Response, Status, TransactionId};
use base::LinkError;
use bytes::Bytes;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Bound,
    time::Instant,
};

impl Transactions {
    pub(super) fn insert(&mut self, transaction: Transaction) -> TransactionId {
        let Path { flow, to, .. } = transaction.path;
        let key = transaction.key.clone();
        let deadline = transaction.machine.deadline();
        let id = self.table.insert(transaction);
        self.index.insert(key, id);
        self.by_path.insert((flow, to, id));
        self.deadlines.set(id, deadline);
        id
    }

    pub(super) fn on_path(
        &self,
        flow: FlowId,
    ) -> impl Iterator<Item = &(FlowId, SocketAddr, TransactionId)> {
        let start = (flow, LEAST_ADDRESS, base::Key::from_parts(0, 0));
        self.by_path
            .range((Bound::Included(start), Bound::Unbounded))
            .take_while(move |entry| entry.0 == flow)
    }

    pub(super) fn fail(&mut self, now: Instant, ids: Vec<TransactionId>, error: LinkError) {
        for id in ids {
            self.step(now, id, Stimulus::TransportError, None, Some(error));
        }
    }

    /// Gives a transaction something to do, and does what it wants done.
    pub(super) fn step(
        &mut self,
        now: Instant,
        id: TransactionId,
        stimulus: Stimulus,
        response: Option<Response>,
        error: Option<LinkError>,
    ) -> &'static [Action] {
        let Some(transaction) = self.table.get_mut(id) else {
            return &[];
        };
        let actions =
            transaction
                .machine
                .handle(now, &self.config.timers, stimulus, &mut self.coverage);
        self.perform(id, actions, response, error);
        self.settle(now, id);
        actions
    }

    pub(super) fn fire(&mut self, now: Instant, id: TransactionId) {
        let Some(transaction) = self.table.get_mut(id) else {
            return;
        };
        if let Some(actions) =
            transaction
                .machine
                .fire(now, &self.config.timers, &mut self.coverage)
        {
            self.perform(id, actions, None, None);
        }
        self.settle(now, id);
    }

    fn perform(
        &mut self,
        id: TransactionId,
        actions: &'static [Action],
        response: Option<Response>,
        error: Option<LinkError>,
    ) {
        let Some(transaction) = self.table.get_mut(id) else {
            return;
        };
        let path = transaction.path;
        let mut response = response;
        for action in actions {
            match action {
                Action::Send => {}
                Action::SendTrying => {
                    // RFC 3261, 17.2.1: no tag in To.
                    if let Some(request) = transaction.request.as_deref() {
                        transaction.message =
                            Response::to_request(request, Status::TRYING, None).to_bytes();
                    }
                }
                Action::Acknowledge => {
                    // The first failure turns the INVITE into its ACK, which all others repeat.
                    if let Some(ack) = response
                        .as_ref()
                        .and_then(|to| derived::ack(&transaction.message, to))
                    {
                        transaction.message = ack;
                    }
                }
                Action::Deliver => {
                    if let Some(response) = response.take() {
                        self.outputs.push_back(Output::Response {
                            transaction: id,
                            response,
                        });
                    }
                    continue;
                }
                Action::TimedOut => {
                    self.outputs.push_back(Output::TimedOut(id));
                    continue;
                }
                Action::AckMissing => {
                    self.outputs.push_back(Output::AckMissing(id));
                    continue;
                }
                Action::Failed => {
                    let error = error.unwrap_or(LinkError::Unreachable);
                    self.outputs.push_back(Output::Failed {
                        transaction: id,
                        error,
                    });
                    continue;
                }
            }
            let message = transaction.message.clone();
            if !message.is_empty() {
                self.outputs.push_back(Output::Send {
                    transaction: id,
                    path,
                    message,
                });
            }
        }
        if transaction.machine.is_answered_client() {
            // No request will be repeated; an ACK is kept.
            transaction.message = Bytes::new();
        }
    }

    /// Fires timers of no length, refreshes the deadline, and removes what has ended.
    pub(super) fn settle(&mut self, now: Instant, id: TransactionId) {
        while let Some(transaction) = self.table.get_mut(id) {
            let Some(actions) =
                transaction
                    .machine
                    .fire(now, &self.config.timers, &mut self.coverage)
            else {
                break;
            };
            self.perform(id, actions, None, None);
        }
        let Some(transaction) = self.table.get(id) else {
            return;
        };
        if !transaction.machine.is_terminated() {
            self.deadlines.set(id, transaction.machine.deadline());
            return;
        }
        let Some(transaction) = self.table.remove(id) else {
            return;
        };
        self.deadlines.set(id, None);
        self.by_path
            .remove(&(transaction.path.flow, transaction.path.to, id));
        self.index.remove(&transaction.key);
        if let Some(key) = &transaction.ack_key {
            self.index.remove(key);
        }
        if let Some(key) = &transaction.merge_key {
            self.merges.remove(key);
        }
        match transaction.machine {
            AnyMachine::ClientInvite(_) | AnyMachine::Client(_) => self.clients -= 1,
            AnyMachine::ServerInvite(_) | AnyMachine::Server(_) => self.servers -= 1,
        }
        self.outputs.push_back(Output::Terminated(id));
    }
}

/// No address stands before it in order.
const LEAST_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
