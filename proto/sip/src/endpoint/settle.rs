//! The worklist: what transactions and usages say, and where it goes. All routes stand here.

use super::{
    Child, Endpoint, Event, Output,
    dialogs::DialogEntry,
    flow::{self, Waiter},
    route::Connection,
};
use crate::{
    DialogId, FlowId, InvitationId, Response, Status, TransactionId,
    attempt::{AttemptId, Draft, Failure, Owner},
    dialog::DialogKey,
    id::{Party, UsageId},
    transaction::{self, Path},
    usage::{
        self, AnyUsage, Happening, Progress,
        invitation::{Effect, Invitation},
        subscription::SubscriptionEvent,
    },
};
use base::{Deadline, Key, LinkError, Transport};
use bytes::Bytes;
use std::{net::SocketAddr, time::Instant};

impl Endpoint {
    /// Marks an invitation: it may have something to say, or another deadline.
    pub(super) fn touch(&mut self, id: InvitationId) {
        if let Some(invitation) = self.invitations.get_mut(id)
            && !invitation.is_touched
        {
            invitation.is_touched = true;
            self.dirty.push_back(Party::Invitation(id));
        }
    }

    /// Marks another usage.
    pub(super) fn touch_usage(&mut self, id: UsageId) {
        if !self.dirty.contains(&Party::Usage(id)) {
            self.dirty.push_back(Party::Usage(id));
        }
    }

    /// Routes until nobody has anything to say.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut turns = 0;
        loop {
            turns += 1;
            debug_assert!(turns < MAX_TURNS, "a cascade without end: {:?}", self.dirty);
            if let Some(output) = self.transactions.poll_output() {
                self.route_transaction(now, output);
            } else if let Some(party) = self.dirty.pop_front() {
                match party {
                    Party::Invitation(id) => self.settle_invitation(now, id),
                    Party::Usage(id) => self.settle_usage(now, id),
                }
            } else {
                break;
            }
        }
    }

    fn route_transaction(&mut self, now: Instant, output: transaction::Output) {
        match output {
            transaction::Output::Send {
                transaction,
                path,
                message,
            } => {
                self.send_of_transaction(now, transaction, path, message);
            }
            transaction::Output::Response {
                transaction,
                response,
            } => {
                self.handle_transaction_response(now, transaction, response);
            }
            transaction::Output::TimedOut(transaction) => {
                self.handle_transaction_failure(now, transaction, Failure::Timeout);
            }
            transaction::Output::Failed { transaction, error } => {
                match self.servers.contains_key(&transaction) {
                    true => self.handle_server_failure(now, transaction),
                    false => {
                        let failure = Failure::Transport(Some(error));
                        self.handle_transaction_failure(now, transaction, failure);
                    }
                }
            }
            transaction::Output::AckMissing(transaction) => self.report_refused(transaction, false),
            transaction::Output::Terminated(transaction) => {
                self.report_refused(transaction, true);
                if self.servers.remove(&transaction).is_none() {
                    self.handle_client_terminated(now, transaction);
                }
            }
        }
    }

    /// The call whose request a server transaction is.
    fn server_of_call(&self, transaction: TransactionId) -> Option<InvitationId> {
        match self.servers.get(&transaction)?.owner? {
            Party::Invitation(id) => Some(id),
            Party::Usage(_) => None,
        }
    }

    /// Tells an invitation what became of the ACK for its 300 to 699; only the first report counts.
    pub(super) fn report_refused(&mut self, transaction: TransactionId, acknowledged: bool) {
        if let Some(id) = self.server_of_call(transaction)
            && let Some(invitation) = self.invitations.get_mut(id)
        {
            invitation.handle_refusal_ack(transaction, acknowledged);
            self.touch(id);
        }
    }

    /// The way of a response broke. Unless the peer has acknowledged it, it may not have arrived.
    fn handle_server_failure(&mut self, now: Instant, transaction: TransactionId) {
        let owner = self.server_of_call(transaction);
        let invitation = owner.and_then(|id| self.invitations.get(id));
        if invitation.is_some_and(|invitation| invitation.awaits_ack(transaction)) {
            self.move_server(now, transaction);
        }
    }

    fn send_of_transaction(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        path: Path,
        message: Bytes,
    ) {
        match self.flows.is_up(path.flow) {
            true => self.send(now, path, message),
            // Over a connection that is gone only responses have another way.
            false => self.move_server(now, transaction),
        }
    }

    /// Hands a message to a flow.
    pub(super) fn send(&mut self, now: Instant, path: Path, message: Bytes) {
        if let Some(flow) = self.flows.table.get_mut(path.flow) {
            flow.used = now;
            self.counters.sent += 1;
            self.out.push_back(Output::Send {
                flow: path.flow,
                to: path.to,
                message,
            });
        }
    }

    /// RFC 3261, 18.2.2: responses of a lost connection go over a new one to `received` and the port of sent-by.
    fn move_server(&mut self, now: Instant, transaction: TransactionId) {
        let Some(server) = self.servers.get_mut(&transaction) else {
            return;
        };
        if server.moved {
            return;
        }
        server.moved = true;
        let target = server.fallback.clone();
        if !target.transport.is_reliable() {
            // The socket is gone with its address: whoever asked may still hear us from another one.
            let to = self.transactions.path(transaction).map(|path| path.to);
            if let Some(to) = to
                && let Some(flow) = self.flows.socket_for(to)
            {
                self.redirect(now, transaction, flow, to, target.transport);
            }
            return;
        }
        if let Connection::Up(flow) =
            self.connection(now, &target, None, Waiter::Server(transaction))
        {
            self.redirect(now, transaction, flow, target.address, target.transport);
        }
    }

    fn redirect(
        &mut self,
        now: Instant,
        id: TransactionId,
        flow: FlowId,
        to: SocketAddr,
        transport: Transport,
    ) {
        let path = Path {
            flow,
            to,
            transport,
        };
        // A transaction that has ended meanwhile needs no way any more.
        let _ = self.transactions.redirect(now, id, path);
    }

    pub(super) fn handle_flow_up(
        &mut self,
        now: Instant,
        id: FlowId,
        local: SocketAddr,
        peer: Option<SocketAddr>,
    ) {
        let Some(flow) = self.flows.table.get_mut(id) else {
            return;
        };
        flow.local = local;
        // The peer is the target, which is what finds the connection.
        debug_assert!(peer.is_none() || peer == flow.peer);
        flow.state = flow::State::Up;
        flow.used = now;
        let (transport, to) = (flow.transport, flow.peer.unwrap_or(local));
        let waiting = std::mem::take(&mut flow.waiting);
        self.arm_flow(id);
        for waiter in waiting {
            match waiter {
                Waiter::Attempt(attempt) => self.connected(now, attempt, id),
                Waiter::Server(transaction) => self.redirect(now, transaction, id, to, transport),
                Waiter::Cancel(invite) => self.cancel_over(
                    now,
                    invite,
                    Path {
                        flow: id,
                        to,
                        transport,
                    },
                ),
            }
        }
    }

    pub(super) fn handle_flow_down(&mut self, now: Instant, id: FlowId, error: Option<LinkError>) {
        let Some(flow) = self.flows.remove(id) else {
            return;
        };
        self.timers.set(Child::Flow(id), None);
        self.transactions.handle_flow_down(now, id, error);
        for usage in self.usages.keys() {
            if let Some(any) = self.usages.get_mut(usage)
                && any.handle_flow_down(now, id)
            {
                self.touch_usage(usage);
            }
        }
        for waiter in flow.waiting {
            // A response or CANCEL without a way is lost, as on any wire: timers decide.
            match waiter {
                Waiter::Attempt(attempt) => self.not_connected(now, attempt, id, error),
                Waiter::Cancel(invite) => self.transactions.expire_invite(now, invite),
                Waiter::Server(_) => {}
            }
        }
    }

    pub(super) fn arm_flow(&mut self, id: FlowId) {
        let idle = self.flows.table.get(id).and_then(flow::Flow::idle_until);
        self.timers.set(
            Child::Flow(id),
            idle.map(|at| Deadline::new(at, "idle connection")),
        );
    }

    /// The connection may have been idle long enough.
    pub(super) fn handle_flow_timeout(&mut self, now: Instant, id: FlowId) {
        let Some(flow) = self.flows.table.get_mut(id) else {
            return;
        };
        if flow.idle_until().is_some_and(|at| at <= now) {
            let is_held = self
                .invitations
                .iter()
                .any(|(_, invitation)| invitation.holds(id))
                || self.usages.iter().any(|(_, usage)| usage.holds(id));
            if !is_held {
                return self.release(now, id);
            }
            flow.used = now;
        }
        self.arm_flow(id);
    }

    /// Closes a connection.
    pub(super) fn release(&mut self, now: Instant, id: FlowId) {
        self.handle_flow_down(now, id, None);
        self.out.push_back(Output::Release { flow: id });
    }

    fn settle_invitation(&mut self, now: Instant, id: InvitationId) {
        let Some(invitation) = self.invitations.get_mut(id) else {
            return;
        };
        invitation.is_touched = false;
        while let Some(effect) = self
            .invitations
            .get_mut(id)
            .and_then(|invitation| invitation.poll_effect())
        {
            self.route_effect(now, id, effect);
        }
        let Some(invitation) = self.invitations.get_mut(id) else {
            return;
        };
        let deadline = invitation.poll_timeout();
        let (lacked, lacks) = (invitation.is_counted, invitation.lacks_ack());
        invitation.is_counted = lacks;
        let is_over = invitation.is_over();
        invitation.tidy();
        self.unacknowledged = self.unacknowledged + usize::from(lacks) - usize::from(lacked);
        self.timers.set(Child::Invitation(id), deadline);
        if is_over {
            self.remove_invitation(id);
        }
    }

    pub(super) fn insert_invitation(&mut self, invitation: Invitation) -> InvitationId {
        let id = self.invitations.insert(Box::new(invitation));
        self.calls += 1;
        self.touch(id);
        id
    }

    fn remove_invitation(&mut self, id: InvitationId) {
        self.timers.set(Child::Invitation(id), None);
        let Some(invitation) = self.invitations.get(id) else {
            return;
        };
        let dialogs: Vec<_> = invitation.dialog_ids().collect();
        for dialog in dialogs {
            self.forget_dialog(dialog);
        }
        self.invitations.remove(id);
        self.calls -= 1;
    }

    /// Starts a usage outside of calls.
    pub(super) fn insert_usage(&mut self, usage: AnyUsage) -> UsageId {
        let id = self.usages.insert(usage);
        self.usage_count += 1;
        self.touch_usage(id);
        id
    }

    fn settle_usage(&mut self, now: Instant, id: UsageId) {
        while let Some(effect) = self.usages.get_mut(id).and_then(AnyUsage::poll_effect) {
            self.route_usage(now, id, effect);
        }
        self.settle_message(id);
        let Some(usage) = self.usages.get(id) else {
            return;
        };
        let deadline = usage.poll_timeout();
        let (is_over, wish) = (usage.is_over(), usage.keeps());
        if let Some((account, reach)) = usage.reach() {
            self.reached.note(id, account, reach.filter(|_| !is_over));
        }
        self.timers.set(Child::Usage(id), deadline);
        self.keep(id, wish.filter(|_| !is_over));
        if is_over {
            self.timers.set(Child::Usage(id), None);
            self.usages.remove(id);
            self.usage_count -= 1;
        }
    }

    fn route_usage(&mut self, now: Instant, id: UsageId, effect: usage::Effect<Happening>) {
        match effect {
            usage::Effect::Request { tag, draft } => self.start_of_usage(now, id, tag, *draft),
            usage::Effect::Inside { dialog, ask } => self.start_inside(now, id, dialog, *ask),
            usage::Effect::Respond(server, answer) => self.respond(now, server, *answer),
            usage::Effect::Expect(key) => drop(self.expected.insert(key, id)),
            usage::Effect::ExpectNoMore(key) => drop(self.expected.remove(&key)),
            usage::Effect::Leave(dialog) => self.leave_dialog(dialog, id),
            usage::Effect::Step(step) => self.usage_coverage.count(step),
            usage::Effect::Tell(happening) => {
                let event = match happening {
                    Happening::Options(event) => Event::Options(named(id), event),
                    Happening::Registration(event) => Event::Registration(named(id), event),
                    Happening::Publication(event) => Event::Publication(named(id), event),
                    Happening::Message(event) => Event::Message(named(id), event),
                    Happening::Subscription(event) => Event::Subscription(named(id), event),
                    Happening::Notifier(event) => Event::Notifier(named(id), event),
                    Happening::Referral(event) => Event::Referral(named(id), event),
                    Happening::IncomingReferral(event) => Event::IncomingReferral(named(id), event),
                };
                self.out.push_back(Output::Event(event));
            }
        }
    }

    /// Sends a request of a usage outside of calls.
    pub(super) fn start_of_usage(&mut self, now: Instant, id: UsageId, tag: u32, draft: Draft) {
        let party = Party::Usage(id);
        let attempt = self.start_attempt(now, Owner { party, tag }, draft);
        if let Some(usage) = self.usages.get_mut(id) {
            usage.attempt_started(tag, attempt);
        }
    }

    /// A fork of a subscription is a subscription of its own.
    pub(super) fn tell_fork(&mut self, fork: UsageId, of: UsageId) {
        let event = SubscriptionEvent::Forked { of: named(of) };
        let event = Event::Subscription(named(fork), event);
        self.out.push_back(Output::Event(event));
    }

    fn route_effect(&mut self, now: Instant, id: InvitationId, effect: Effect) {
        match effect {
            Effect::Request { tag, draft } => {
                let party = Party::Invitation(id);
                let attempt = self.start_attempt(now, Owner { party, tag }, *draft);
                if let Some(invitation) = self.invitations.get_mut(id) {
                    invitation.attempt_started(tag, attempt);
                }
            }
            Effect::Withdraw(attempt, how, reason) => {
                self.withdraw_attempt(now, attempt, how, reason);
            }
            Effect::Resend(attempt) => self.resend(now, attempt),
            Effect::Drop(attempt) => self.drop_attempt(attempt),
            Effect::Respond(server, answer) => self.respond(now, server, *answer),
            // The transaction has ended together with the retransmissions that it carried.
            Effect::Repeat(server) => drop(self.transactions.repeat_success(now, server)),
            Effect::Dialog { dialog, key } => self.index_dialog(dialog, key),
            Effect::DialogOver(dialog) => self.forget_dialog(dialog),
            Effect::Replace(call) => self.end_replaced(now, call),
            Effect::Step(state, signal) => self.coverage.count(state, signal),
            Effect::Event(event) => self
                .out
                .push_back(Output::Event(Event::Invitation(id, event))),
        }
    }

    /// Tells the owner of a request what became of it.
    pub(super) fn report(&mut self, now: Instant, attempt: AttemptId, progress: Progress<'_>) {
        let Some(owner) = self.attempts.get(attempt).map(|attempt| attempt.owner) else {
            return;
        };
        let tag = owner.tag;
        match owner.party {
            Party::Invitation(id) => {
                let dialog = match &progress {
                    Progress::Response(response) | Progress::Late(response) => {
                        self.dialog_of(id, response)
                    }
                    Progress::Sent { .. } | Progress::Failed(_) | Progress::Over => None,
                };
                self.weigh_response(now, owner.party, &progress);
                if let Some(invitation) = self.invitations.get_mut(id) {
                    invitation.handle_progress(now, tag, dialog, progress);
                    self.touch(id);
                }
                if let Some(dialog) = dialog {
                    self.claim_dialog(id, dialog);
                }
            }
            Party::Usage(id) => {
                if let Some(usage) = self.usages.get_mut(id) {
                    usage.handle_progress(now, tag, &progress);
                    self.touch_usage(id);
                }
                if matches!(&progress, Progress::Response(response) if response.status.is_success())
                {
                    self.share_realms(owner.party);
                }
                self.weigh_response(now, owner.party, &progress);
            }
        }
    }

    /// The dialog of a response: known, or a place for the one that it may make.
    fn dialog_of(&mut self, invitation: InvitationId, response: &Response) -> Option<DialogId> {
        if response.status == Status::TRYING || response.status.is_failure() {
            return None;
        }
        let key = DialogKey::of_response(response)?;
        if let Some(known) = self.by_tags.get(&key) {
            return Some(known);
        }
        // RFC 3261, 12.1: a provisional response without tag makes no dialog; a 2xx of an RFC 2543
        // peer does, with the null tag.
        let tagged = response.headers.to().is_ok_and(|to| to.tag().is_some());
        (tagged || response.status.is_success())
            .then(|| self.dialogs.insert(DialogEntry::of_call(Some(invitation))))
    }

    /// Takes the place back if the invitation has no use for it.
    fn claim_dialog(&mut self, invitation: InvitationId, dialog: DialogId) {
        let claimed = self
            .invitations
            .get(invitation)
            .is_some_and(|owner| owner.dialog_ids().any(|id| id == dialog));
        if !claimed {
            self.forget_dialog(dialog);
        }
    }

    fn index_dialog(&mut self, dialog: DialogId, key: DialogKey) {
        let Some(entry) = self.dialogs.get_mut(dialog) else {
            return;
        };
        entry.key = Some(key.clone());
        self.by_tags.insert(key, dialog);
    }
}

/// The id under which applications know a usage: the same place.
pub(super) fn named<K: Key>(id: UsageId) -> K {
    let (generation, index) = id.parts();
    K::from_parts(generation, index)
}

/// More than one input can cause: 1,024 timers, each with the outputs of a transaction and an
/// invitation.
const MAX_TURNS: usize = 100_000;
