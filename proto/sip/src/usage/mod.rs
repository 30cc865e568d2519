//! What endpoints are used for: calls, subscriptions both ways, referrals both ways, and questions
//! about capabilities.
//!
//! A usage is a machine inside the endpoint. It says `Effect`s, is told the `Progress` of its
//! requests, and is woken at its deadline. Calls have a table of their own; all other usages share
//! one (`AnyUsage`).

mod any;
mod coverage;
mod exchange;
mod failed;
pub mod invitation;
mod lease;
pub mod message;
pub mod notifier;
pub mod options;
pub mod publication;
pub mod referral;
pub mod registration;
pub mod sipfrag;
pub mod subscription;
mod way;
mod words;

pub(crate) use any::{AnyUsage, Happening};
pub(crate) use coverage::Coverage;
pub(crate) use exchange::{Exchange, Parties};
pub use failed::Failed;

use crate::{
    DialogId, FlowId, Headers, Method, Response, Status, TransactionId,
    answer::Answer,
    attempt::{Contact, Draft, Failure},
    dialog::DialogKey,
    message::Description,
    transaction::Path,
};
use std::{collections::VecDeque, net::SocketAddr};

/// What a usage outside of calls wants done, in the order of its causes; `E` is its event.
#[derive(Debug)]
pub(crate) enum Effect<E> {
    /// Send a request; what becomes of it is told by `handle_progress` under `tag`.
    Request { tag: u32, draft: Box<Draft> },
    /// Number a request of a dialog, which `start_inside` then completes.
    Inside { dialog: DialogId, ask: Box<Ask> },
    /// Answer a request of the peer.
    Respond(TransactionId, Box<Answer>),
    /// NOTIFYs of dialogs that are not known yet, with this half of a key, are mine.
    Expect(DialogKey),
    /// They are not any more.
    ExpectNoMore(DialogKey),
    /// I need this dialog no more.
    Leave(DialogId),
    /// Count a step of a table.
    Step(Step),
    /// Tell the application.
    Tell(E),
}

/// Takes the first of `effects`, and with the last one their room: what stands for hours, by the
/// thousand, speaks seldom.
fn take<T>(effects: &mut VecDeque<T>) -> Option<T> {
    let first = effects.pop_front();
    if effects.is_empty() {
        *effects = VecDeque::new();
    }
    first
}

/// A step of a table: places in its lists of states and signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Of a subscription of ours.
    Subscription(usize, usize),
    /// Of a subscription of a peer.
    Notifier(usize, usize),
}

/// A request inside a dialog that others may share: the endpoint gives it its number.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) headers: Headers,
    pub(crate) body: Option<Description>,
}

/// A request of the peer inside a dialog.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) server: TransactionId,
    pub(crate) dialog: DialogId,
    /// Our tag in it.
    pub(crate) local_tag: Box<str>,
    /// The connection that it came by, if no proxy stood between.
    pub(crate) direct: Option<(FlowId, SocketAddr)>,
}

impl Shared {
    /// A response of that dialog.
    pub(crate) fn answer(&self, status: Status) -> Answer {
        Answer {
            to_tag: Some(self.local_tag.clone()),
            ..Answer::new(status)
        }
    }

    /// The same with our Contact.
    pub(crate) fn answer_with_contact(&self, status: Status, contact: Option<&Contact>) -> Answer {
        Answer {
            contact: contact.cloned(),
            ..self.answer(status)
        }
    }
}

impl<E> Effect<E> {
    /// Takes the event out; anything else is an effect of whoever wraps this usage.
    pub(crate) fn told<F>(self) -> Result<E, Effect<F>> {
        Err(match self {
            Self::Tell(event) => return Ok(event),
            Self::Request { tag, draft } => Effect::Request { tag, draft },
            Self::Inside { dialog, ask } => Effect::Inside { dialog, ask },
            Self::Respond(server, answer) => Effect::Respond(server, answer),
            Self::Expect(key) => Effect::Expect(key),
            Self::ExpectNoMore(key) => Effect::ExpectNoMore(key),
            Self::Leave(dialog) => Effect::Leave(dialog),
            Self::Step(step) => Effect::Step(step),
        })
    }

    /// Wraps the event.
    pub(crate) fn map<F>(self, wrap: impl FnOnce(E) -> F) -> Effect<F> {
        match self.told() {
            Ok(event) => Effect::Tell(wrap(event)),
            Err(effect) => effect,
        }
    }
}

/// What becomes of a request of ours.
#[derive(Debug)]
pub(crate) enum Progress<'a> {
    /// It went this way; once for each target.
    Sent { path: Path },
    /// A provisional response, or the final one.
    Response(&'a Response),
    /// A 2xx to INVITE beside that: repeated, of another fork, or from a target that was given up.
    Late(&'a Response),
    /// There will be no final response.
    Failed(Failure),
    /// Nothing can come of it any more.
    Over,
}
