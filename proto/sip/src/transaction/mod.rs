//! Transactions: RFC 3261, 17, with the corrections of RFC 6026.

mod any;
mod client;
mod client_invite;
mod config;
mod derived;
mod drive;
mod error;
mod key;
mod machine;
mod server;
mod server_invite;
mod timers;

pub use config::{Config, Limits};
pub use error::{CancelError, RequestError, RespondError};
pub use key::NewRequest;
pub use timers::Timers;

use crate::{FlowId, Method, Request, Response, Status, TransactionId};
use any::{AnyMachine, Coverage, Stimulus};
use base::{Deadline, Index, LinkError, Rng, Table, Transport};
use bytes::Bytes;
use key::Key;
use machine::{Action, Machine};
use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
    time::Instant,
};

/// The way that the messages of a transaction take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// The socket or connection.
    pub flow: FlowId,
    /// The address at its other end.
    pub to: SocketAddr,
    /// What it runs over.
    pub transport: Transport,
}

/// A request to send in a transaction of its own; never ACK.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Its way.
    pub path: Path,
    /// Its method.
    pub method: &'a Method,
    /// The branch of its topmost Via, which no other transaction of that method has.
    pub branch: &'a str,
    /// The request as printed.
    pub message: Bytes,
}

/// What a request from the network is to the transactions.
#[derive(Debug)]
pub enum Incoming {
    /// Not seen before: [`Transactions::serve`] it, or answer it without a transaction.
    New(NewRequest),
    /// A retransmission, or the ACK of a failure: dealt with.
    Absorbed(TransactionId),
    /// An ACK for the transaction user: of an accepted INVITE whose transaction it names, or of
    /// none, as the ACK of a 2xx has a branch of its own (RFC 3261, 13.2.2.4).
    Ack(Option<TransactionId>),
}

/// What transactions say, in the order of its causes.
#[derive(Debug)]
pub enum Output {
    /// Pass `message` to the transport.
    Send {
        /// Whose message it is.
        transaction: TransactionId,
        /// Its way.
        path: Path,
        /// The message as printed.
        message: Bytes,
    },
    /// A response for the transaction user.
    Response {
        /// The request that it answers.
        transaction: TransactionId,
        /// The response.
        response: Response,
    },
    /// A request had no final response in time: to be treated as 408 (RFC 3261, 8.1.3.1).
    TimedOut(TransactionId),
    /// A failure of INVITE had no ACK in time (RFC 3261, 17.2.1, timer H).
    AckMissing(TransactionId),
    /// The transport failed. A client transaction ends with it: to be treated as 503 (RFC 3261,
    /// 8.1.3.1). A server transaction goes on, and [`Transactions::redirect`] may show it another way.
    Failed {
        /// Whose message was lost.
        transaction: TransactionId,
        /// How.
        error: LinkError,
    },
    /// The transaction is gone, and its id dead.
    Terminated(TransactionId),
}

/// All transactions of an endpoint: the machines of RFC 3261, 17 and RFC 6026.
///
/// Feed every response to [`handle_response`](Self::handle_response) and every request to
/// [`handle_request`](Self::handle_request), transport errors to
/// [`handle_undeliverable`](Self::handle_undeliverable) and [`handle_flow_down`](Self::handle_flow_down).
/// It sends, repeats, absorbs and acknowledges, and hands over by [`poll_output`](Self::poll_output)
/// what the transaction user must see. Wake it by [`poll_timeout`](Self::poll_timeout). The ACK of a
/// 2xx and the repetition of the 2xx are the transaction user's (RFC 3261, 13).
#[derive(Debug)]
pub struct Transactions {
    config: Config,
    table: Table<TransactionId, Transaction>,
    index: Index<Key, TransactionId>,
    /// The first transaction of each request without To tag (RFC 3261, 8.2.2.2).
    merges: Index<Key, TransactionId>,
    by_path: BTreeSet<(FlowId, SocketAddr, TransactionId)>,
    deadlines: base::Timers<TransactionId>,
    outputs: VecDeque<Output>,
    clients: usize,
    servers: usize,
    coverage: Coverage,
}

#[derive(Debug)]
struct Transaction {
    machine: AnyMachine,
    path: Path,
    key: Key,
    /// Where an ACK without magic cookie finds it.
    ack_key: Option<Key>,
    merge_key: Option<Key>,
    /// What is repeated: the request, its ACK, or the latest response.
    message: Bytes,
    /// What arrived, until it has its final response.
    request: Option<Box<Request>>,
}

impl Transactions {
    /// Makes an empty table, whose index is keyed from `rng`.
    pub fn new(config: Config, rng: &mut Rng) -> Self {
        Self {
            config,
            table: Table::new(),
            index: Index::new(rng),
            merges: Index::new(rng),
            by_path: BTreeSet::new(),
            deadlines: base::Timers::new(),
            outputs: VecDeque::new(),
            clients: 0,
            servers: 0,
            coverage: Coverage::new(),
        }
    }

    /// Sends a request in a client transaction of its own.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn request(
        &mut self,
        now: Instant,
        outgoing: Outgoing<'_>,
    ) -> Result<TransactionId, RequestError> {
        let Outgoing {
            path,
            method,
            branch,
            message,
        } = outgoing;
        if self.clients >= self.config.limits.clients {
            return Err(RequestError::TooMany);
        }
        let key = Key::client(branch, method);
        if self.index.get(&key).is_some() {
            return Err(RequestError::BranchInUse);
        }
        let reliable = path.transport.is_reliable();
        let timers = &self.config.timers;
        let machine = match *method == Method::Invite {
            true => {
                AnyMachine::ClientInvite(client_invite::ClientInvite::new(now, timers, reliable))
            }
            false => AnyMachine::Client(client::Client::new(now, timers, reliable)),
        };
        self.clients += 1;
        let id = self.insert(Transaction {
            machine,
            path,
            key,
            ack_key: None,
            merge_key: None,
            message: message.clone(),
            request: None,
        });
        self.outputs.push_back(Output::Send {
            transaction: id,
            path,
            message,
        });
        Ok(id)
    }

    /// Cancels an INVITE over `path`, which is its own unless that is gone: sends CANCEL in a
    /// transaction of its own (RFC 3261, 9.1), whose id it returns, and gives the INVITE 64·T1 for its
    /// final response. `reason` is the value of its Reason header (RFC 3326).
    ///
    /// # Errors
    ///
    /// See [`CancelError`].
    pub fn cancel(
        &mut self,
        now: Instant,
        invite: TransactionId,
        path: Path,
        reason: Option<&str>,
    ) -> Result<TransactionId, CancelError> {
        let transaction = self.table.get(invite).ok_or(CancelError::Unknown)?;
        let AnyMachine::ClientInvite(machine) = &transaction.machine else {
            return Err(CancelError::Unknown);
        };
        match machine.state() {
            client_invite::State::Calling => return Err(CancelError::TooEarly),
            client_invite::State::Proceeding => {}
            client_invite::State::Completed
            | client_invite::State::Accepted
            | client_invite::State::Terminated => {
                return Err(CancelError::TooLate);
            }
        }
        let cancel = derived::cancel(&transaction.message, reason).ok_or(CancelError::Unknown)?;
        let message = cancel.to_bytes();
        let branch = cancel
            .headers
            .via()
            .ok()
            .and_then(|via| via.branch())
            .ok_or(CancelError::Unknown)?;
        let id = self.request(
            now,
            Outgoing {
                path,
                method: &Method::Cancel,
                branch,
                message,
            },
        )?;
        self.step(now, invite, Stimulus::Cancelled, None, None);
        Ok(id)
    }

    /// Gives an INVITE with a provisional response 64·T1 for its final response, as if its CANCEL had
    /// left (RFC 3261, 9.1): for a CANCEL that found no way to the peer, and for a dialog that ended.
    /// Nothing else would ever end it.
    pub fn expire_invite(&mut self, now: Instant, invite: TransactionId) {
        let waits = |transaction: &Transaction| {
            matches!(&transaction.machine, AnyMachine::ClientInvite(machine)
                if machine.state() == client_invite::State::Proceeding)
        };
        if self.table.get(invite).is_some_and(waits) {
            self.step(now, invite, Stimulus::Cancelled, None, None);
        }
    }

    /// A response arrived. Returns the transaction that it belongs to; a response that belongs to none
    /// is to be dropped (RFC 6026, 8.9).
    pub fn handle_response(&mut self, now: Instant, response: Response) -> Option<TransactionId> {
        let key = Key::of_response(&response)?;
        let id = *self.index.get(&key)?;
        let status = response.status;
        self.step(now, id, Stimulus::Response(status), Some(response), None);
        Some(id)
    }

    /// A request arrived.
    pub fn handle_request(&mut self, now: Instant, request: &Request) -> Incoming {
        let key = Key::of_request(request);
        let found = self.index.get(&key).copied();
        let is_ack = request.method == Method::Ack;
        match found {
            Some(id) if is_ack => {
                let accepted = self
                    .step(now, id, Stimulus::Ack, None, None)
                    .contains(&Action::Deliver);
                if accepted {
                    Incoming::Ack(Some(id))
                } else {
                    Incoming::Absorbed(id)
                }
            }
            Some(id) => {
                self.step(now, id, Stimulus::Request, None, None);
                Incoming::Absorbed(id)
            }
            None if is_ack => Incoming::Ack(None),
            None => Incoming::New(self.new_request(key, request)),
        }
    }

    /// Makes a server transaction for a request that [`handle_request`](Self::handle_request) called
    /// new. Responses will go along `path` (RFC 3261, 18.2.2).
    ///
    /// # Errors
    ///
    /// Too many server transactions: the request is handed back, to be answered 503 without one.
    pub fn serve(
        &mut self,
        now: Instant,
        new: NewRequest,
        path: Path,
        request: Request,
    ) -> Result<TransactionId, Box<Request>> {
        if self.servers >= self.config.limits.servers {
            return Err(Box::new(request));
        }
        let reliable = path.transport.is_reliable();
        let timers = &self.config.timers;
        let machine = match request.method == Method::Invite {
            true => {
                AnyMachine::ServerInvite(server_invite::ServerInvite::new(now, timers, reliable))
            }
            false => AnyMachine::Server(server::Server::new(reliable)),
        };
        self.servers += 1;
        let merge_key = new.merge.filter(|key| self.merges.get(key).is_none());
        let id = self.insert(Transaction {
            machine,
            path,
            key: new.key,
            ack_key: None,
            merge_key: merge_key.clone(),
            message: Bytes::new(),
            request: Some(Box::new(request)),
        });
        if let Some(key) = merge_key {
            self.merges.insert(key, id);
        }
        Ok(id)
    }

    /// The request of a server transaction, until its final response is sent.
    pub fn request_of(&self, id: TransactionId) -> Option<&Request> {
        self.table.get(id)?.request.as_deref()
    }

    /// The way of a transaction's messages.
    pub fn path(&self, id: TransactionId) -> Option<Path> {
        Some(self.table.get(id)?.path)
    }

    /// Sends a response.
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn respond(
        &mut self,
        now: Instant,
        id: TransactionId,
        response: &Response,
    ) -> Result<(), RespondError> {
        let transaction = self.table.get_mut(id).ok_or(RespondError::Unknown)?;
        if !transaction.machine.may_respond(response.status)? {
            return Err(RespondError::WrongState);
        }
        transaction.message = response.to_bytes();
        if let Some(request) = transaction.request.as_deref() {
            // RFC 3261, 17.2.3: an ACK without cookie carries the To tag of our response.
            let ack_key = (response.status.is_final() && request.method == Method::Invite)
                .then(|| Key::of_ack_without_cookie(request, response))
                .flatten();
            if let Some(key) = ack_key {
                transaction.ack_key = Some(key.clone());
                self.index.insert(key, id);
            }
        }
        if response.status.is_final() {
            transaction.request = None;
        }
        self.step(now, id, Stimulus::Response(response.status), None, None);
        Ok(())
    }

    /// Sends the 2xx of an accepted INVITE again, the same bytes (RFC 3261, 13.3.1.4).
    ///
    /// # Errors
    ///
    /// See [`RespondError`].
    pub fn repeat_success(&mut self, now: Instant, id: TransactionId) -> Result<(), RespondError> {
        let transaction = self.table.get(id).ok_or(RespondError::Unknown)?;
        match &transaction.machine {
            AnyMachine::ServerInvite(machine)
                if machine.state() == server_invite::State::Accepted =>
            {
                self.step(now, id, Stimulus::Response(Status::OK), None, None);
                Ok(())
            }
            AnyMachine::ServerInvite(_) | AnyMachine::Server(_) => Err(RespondError::WrongState),
            AnyMachine::ClientInvite(_) | AnyMachine::Client(_) => Err(RespondError::Unknown),
        }
    }

    /// Shows a server transaction another way for its responses, because its connection is gone
    /// (RFC 3261, 18.2.2), and sends the latest one again.
    ///
    /// # Errors
    ///
    /// No such server transaction.
    pub fn redirect(
        &mut self,
        now: Instant,
        id: TransactionId,
        path: Path,
    ) -> Result<(), RespondError> {
        let transaction = self.table.get_mut(id).ok_or(RespondError::Unknown)?;
        if !matches!(
            transaction.machine,
            AnyMachine::ServerInvite(_) | AnyMachine::Server(_)
        ) {
            return Err(RespondError::Unknown);
        }
        self.by_path
            .remove(&(transaction.path.flow, transaction.path.to, id));
        self.by_path.insert((path.flow, path.to, id));
        transaction.path = path;
        // RFC 3261, 17.2.4: the response that could not be delivered, over the next way.
        let message = transaction.message.clone();
        if !message.is_empty() {
            self.outputs.push_back(Output::Send {
                transaction: id,
                path,
                message,
            });
        }
        self.settle(now, id);
        Ok(())
    }

    /// A datagram did not arrive.
    pub fn handle_undeliverable(
        &mut self,
        now: Instant,
        flow: FlowId,
        to: SocketAddr,
        error: LinkError,
    ) {
        let ids = self
            .on_path(flow)
            .filter(|&&(_, address, _)| address == to)
            .map(|&(_, _, id)| id)
            .collect();
        self.fail(now, ids, error);
    }

    /// A flow is gone.
    ///
    /// Without `error` the peer closed it in good order: requests that were sent may still be answered
    /// over another connection, and their timers decide, not the end of the connection.
    pub fn handle_flow_down(&mut self, now: Instant, flow: FlowId, error: Option<LinkError>) {
        if let Some(error) = error {
            let ids = self.on_path(flow).map(|&(_, _, id)| id).collect();
            self.fail(now, ids, error);
        }
    }

    /// Takes the next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.deadlines.next()
    }

    /// Fires what is due, in the order of the deadlines, at most [`Limits::timers_per_step`].
    pub fn handle_timeout(&mut self, now: Instant) {
        for _ in 0..self.config.limits.timers_per_step {
            let Some((id, _)) = self.deadlines.pop_due(now) else {
                break;
            };
            self.fire(now, id);
        }
    }

    /// How many client transactions there are.
    pub const fn clients(&self) -> usize {
        self.clients
    }

    /// How many server transactions there are.
    pub const fn servers(&self) -> usize {
        self.servers
    }

    /// Every pair of machine, state and input that the tables of the RFCs know (`"client INVITE:
    /// Calling TimerA"`), and how often it was reached.
    pub fn coverage(&self) -> Vec<(String, u32)> {
        self.coverage.list()
    }

    fn new_request(&self, key: Key, request: &Request) -> NewRequest {
        let merge = Key::of_merge(request);
        let merged_with = merge.as_ref().and_then(|key| self.merges.get(key).copied());
        let mut cancels = None;
        if request.method == Method::Cancel {
            // RFC 3261, 9.2: the method is "anything but CANCEL or ACK"; INVITE nearly always.
            let target =
                |method: &Method| self.index.get(&Key::of_cancelled(request, method)).copied();
            cancels = CANCELLABLE.iter().find_map(target);
        }
        NewRequest {
            key,
            merge,
            merged_with,
            cancels,
        }
    }
}

/// What a CANCEL may be meant for, in the order of likelihood.
const CANCELLABLE: [Method; 12] = [
    Method::Invite,
    Method::Options,
    Method::Message,
    Method::Subscribe,
    Method::Notify,
    Method::Refer,
    Method::Register,
    Method::Publish,
    Method::Info,
    Method::Update,
    Method::Prack,
    Method::Bye,
];

#[cfg(test)]
mod tests;
