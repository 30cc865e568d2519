//! The endpoint: transactions, dialogs, usages and flows in one machine (RFC 3261; the documents'
//! Engine), usable alone, without accounts or media.

mod arrival;
mod command;
mod connect;
mod dialogs;
mod flow;
mod guard;
pub mod input;
mod keep;
mod message;
mod outbox;
mod outcome;
pub mod output;
mod publish;
mod reach;
mod realms;
mod register;
mod replaces;
mod response;
pub(crate) mod route;
mod settle;
mod shared;
pub mod stats;
mod subscribe;
mod tag;
#[cfg(test)]
mod tests;
mod uas;

pub use crate::config::{self, Availability, Config, KeepAlive, Limits, Pulse};
pub use command::{AddFlowError, InvitationMut, OptionsError};
pub use input::Input;
pub use message::AnswerMessageError;
pub use output::{Dropped, Event, Output};
pub use publish::PublicationMut;
pub use register::{RegistrationMut, RequestError};
pub use stats::{Counters, Stats};

use crate::{
    AccountId, DialogId, FlowId, InvitationId, LookupId, TransactionId,
    attempt::{Attempt, AttemptId, Avoided},
    auth::{Realms, Verified},
    dialog::{DialogIndex, DialogKey},
    id::{Party, UsageId},
    transaction::Transactions,
    usage::{
        self, AnyUsage,
        invitation::{Coverage, Invitation},
        notifier::Packages,
    },
};
use base::{Deadline, Index, Rng, Table, Target};
use dialogs::DialogEntry;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};
use tag::TagKey;

/// SIP without accounts and media: calls, subscriptions and questions over flows that somebody else owns.
///
/// It is the machine of RFC 3261, 8 to 18, with RFC 6026, 3581 and the client side of 3263.
/// Feed it [`Input`]s and commands; it says [`Output`]s by [`poll_output`](Self::poll_output), which are
/// to be carried out in their order. Wake it with `Input::Timeout` at
/// [`poll_timeout`](Self::poll_timeout); waking it early or late does no harm.
///
/// The owner brings sockets ([`add_flow`](Self::add_flow), [`add_listener`](Self::add_listener)), cuts
/// streams into messages, resolves names and opens connections.
#[derive(Debug)]
pub struct Endpoint {
    /// The latest moment seen: readers of several sockets may step back a little.
    now: Instant,
    config: Arc<Config>,
    rng: Rng,
    /// Keys the tags of answers without state, so that they need not be remembered.
    tag_key: TagKey,
    availability: Availability,
    /// Who can be asked for; `None` without a limit.
    users: Option<BTreeSet<String>>,
    /// Who may reach us, if not everybody may.
    watch: Option<Box<guard::Watch>>,
    is_shutting_down: bool,
    flows: flow::Flows,
    transactions: Transactions,
    /// Whose a client transaction is.
    clients: BTreeMap<TransactionId, AttemptId>,
    /// Whose a server transaction is, and how else its peer can be reached.
    servers: BTreeMap<TransactionId, Server>,
    attempts: Table<AttemptId, Attempt>,
    lookups: Table<LookupId, AttemptId>,
    /// Targets that have failed lately.
    avoided: Avoided,
    /// Boxed: a table grows by doubling, and a call is large.
    invitations: Table<InvitationId, Box<Invitation>>,
    /// How many invitations there are; a table counts by walking.
    calls: usize,
    /// How many of them wait for the ACK of a 2xx.
    unacknowledged: usize,
    /// All other usages.
    usages: Table<UsageId, AnyUsage>,
    /// Messages that wait for one before them.
    outbox: outbox::Outbox,
    /// What the usages of an account have learnt together.
    realms: BTreeMap<AccountId, Realms>,
    /// How many there are.
    usage_count: usize,
    /// Who takes NOTIFYs of dialogs that are not known yet, by Call-ID and our tag.
    expected: Index<DialogKey, UsageId>,
    /// By what peers reach the accounts that are registered.
    reached: reach::Reached,
    /// Which ways are kept open, and for whom.
    kept: keep::Kept,
    /// What can be subscribed to.
    packages: Packages,
    dialogs: Table<DialogId, DialogEntry>,
    by_tags: DialogIndex,
    /// Calls that have just ended.
    departed: replaces::Departed,
    timers: base::Timers<Child>,
    dirty: VecDeque<Party>,
    coverage: Coverage,
    usage_coverage: usage::Coverage,
    counters: Counters,
    out: VecDeque<Output>,
}

/// A server transaction, seen from above.
#[derive(Clone, Debug)]
struct Server {
    /// Whose INVITE, BYE or other request it is; `None` if it was answered at once.
    owner: Option<Party>,
    /// Where responses go when the connection is gone (RFC 3261, 18.2.2).
    fallback: Target,
    /// The connection was replaced once; it is not replaced again.
    moved: bool,
    /// Who sent it, if it had to show that.
    verified: Option<Box<Verified>>,
}

/// What has a deadline of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Child {
    Invitation(InvitationId),
    Usage(UsageId),
    Attempt(AttemptId),
    Flow(FlowId),
}

impl Endpoint {
    /// Makes an endpoint without flows. All its random choices come from `rng`.
    pub fn new(now: Instant, config: Config, mut rng: Rng) -> Self {
        let tag_key = TagKey::new(&mut rng);
        let transactions = Transactions::new(config.transactions.clone(), &mut rng.fork());
        Self {
            now,
            tag_key,
            availability: Availability::Available,
            users: None,
            watch: None,
            is_shutting_down: false,
            flows: flow::Flows::default(),
            transactions,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            attempts: Table::new(),
            lookups: Table::new(),
            avoided: Avoided::default(),
            invitations: Table::new(),
            calls: 0,
            unacknowledged: 0,
            usages: Table::new(),
            outbox: outbox::Outbox::default(),
            realms: BTreeMap::new(),
            usage_count: 0,
            expected: Index::new(&mut rng),
            reached: reach::Reached::default(),
            kept: keep::Kept::default(),
            packages: Packages::default(),
            dialogs: Table::new(),
            by_tags: DialogIndex::new(&mut rng),
            departed: replaces::Departed::default(),
            timers: base::Timers::new(),
            dirty: VecDeque::new(),
            coverage: Coverage::new(),
            usage_coverage: usage::Coverage::new(),
            counters: Counters::default(),
            out: VecDeque::new(),
            config: Arc::new(config),
            rng,
        }
    }

    /// Takes what happened. Never fails, whatever the bytes.
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        let now = self.advance(now);
        match input {
            Input::Message {
                flow,
                from,
                message,
            } => self.handle_message(now, flow, from, message),
            Input::Broken { flow, from, error } => self.handle_broken(now, flow, from, error),
            Input::FlowUp { flow, local, peer } => self.handle_flow_up(now, flow, local, peer),
            Input::FlowDown { flow, error } => self.handle_flow_down(now, flow, error),
            Input::FlowFailed { flow, to } => self.handle_flow_failed(now, flow, to),
            Input::Undeliverable { flow, to, error } => {
                self.transactions.handle_undeliverable(now, flow, to, error)
            }
            Input::Resolved { lookup, targets } => self.handle_resolved(now, lookup, targets),
            Input::Timeout => {}
        }
        self.settle(now);
    }

    /// Takes the next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if self.out.is_empty() && self.out.capacity() > IDLE_OUTPUTS {
            self.out.shrink_to(IDLE_OUTPUTS);
        }
        output
    }

    /// When to call [`handle_input`](Self::handle_input) with `Input::Timeout`.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let both = [self.transactions.poll_timeout(), self.timers.next()];
        both.into_iter()
            .flatten()
            .min_by_key(|deadline| deadline.at)
    }

    /// What is alive.
    pub fn stats(&self) -> Stats {
        Stats {
            transactions: self.transactions.clients() + self.transactions.servers(),
            dialogs: self.by_tags.len(),
            invitations: self.calls,
            options: self.count(|usage| matches!(usage, AnyUsage::Options(_))),
            registrations: self.count(|usage| matches!(usage, AnyUsage::Registration(_))),
            publications: self.count(|usage| matches!(usage, AnyUsage::Publication(_))),
            messages: self
                .count(|usage| matches!(usage, AnyUsage::Message(_) | AnyUsage::Incoming(_))),
            subscriptions: self
                .count(|usage| matches!(usage, AnyUsage::Subscription(_) | AnyUsage::Notifier(_))),
            referrals: self.count(|usage| {
                matches!(usage, AnyUsage::Referral(_) | AnyUsage::IncomingReferral(_))
            }),
            attempts: self.attempts.len(),
            lookups: self.lookups.len(),
            connections: self.flows.connections(),
            unacknowledged: self.unacknowledged,
        }
    }

    /// Counts usages by walking: there are few, and only people ask.
    fn count(&self, is_one: impl Fn(&AnyUsage) -> bool) -> usize {
        self.usages
            .iter()
            .filter(|(_, usage)| is_one(usage))
            .count()
    }

    /// What was seen since the endpoint was made.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// How often each pair of the invitations' table was taken (see
    /// [`invitation::state`](crate::usage::invitation::state)).
    pub const fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How often each pair of the tables of subscriptions was taken, ours and those of peers, as text (see
    /// [`subscription::state`](crate::usage::subscription::state) and
    /// [`notifier::state`](crate::usage::notifier::state)).
    pub fn usage_coverage(&self) -> Vec<(String, u32)> {
        self.usage_coverage.list()
    }

    /// How often each pair of the transactions' tables was taken, as text.
    pub fn transaction_coverage(&self) -> Vec<(String, u32)> {
        self.transactions.coverage()
    }

    /// Moves the clock, and fires what is due in the order of the deadlines.
    fn advance(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        let now = self.now;
        for _ in 0..TIMERS_PER_STEP {
            let transaction = self
                .transactions
                .poll_timeout()
                .filter(|deadline| deadline.at <= now);
            let child = self.timers.next().filter(|deadline| deadline.at <= now);
            match (transaction, child) {
                (None, None) => break,
                (Some(transaction), child)
                    if child.is_none_or(|child| transaction.at <= child.at) =>
                {
                    self.transactions.handle_timeout(now);
                }
                _ => self.fire_child(now),
            }
            self.settle(now);
        }
        now
    }

    fn fire_child(&mut self, now: Instant) {
        match self.timers.pop_due(now) {
            Some((Child::Invitation(id), _)) => {
                if let Some(invitation) = self.invitations.get_mut(id) {
                    invitation.handle_timeout(now);
                }
                self.touch(id);
            }
            Some((Child::Usage(id), _)) => {
                if let Some(usage) = self.usages.get_mut(id) {
                    usage.handle_timeout(now);
                }
                self.touch_usage(id);
            }
            Some((Child::Attempt(id), _)) => self.handle_attempt_timeout(now, id),
            Some((Child::Flow(id), _)) => self.handle_flow_timeout(now, id),
            None => {}
        }
    }
}

/// Outputs that are kept room for; a burst must not pin memory for ever.
const IDLE_OUTPUTS: usize = 64;
/// Timers fired by one input, so that a late wake-up does not keep messages waiting.
const TIMERS_PER_STEP: usize = 1_024;
