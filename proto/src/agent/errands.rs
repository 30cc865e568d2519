//! What the application can ask of its account.

use super::{AccountError, Command, Message, Publish, UserAgent};
use std::time::Instant;

impl UserAgent {
    /// Registers the account, and keeps it registered until [`unregister`](Self::unregister) (RGN-03,
    /// ACC-37); of a registered one the binding is refreshed. Told by events of the account.
    ///
    /// # Errors
    ///
    /// See [`AccountError`].
    pub fn register(&mut self, now: Instant) -> Result<(), AccountError> {
        self.perform(
            now,
            |_: &()| Command::Register,
            (),
            |agent, ()| agent.apply_register(),
        )
    }

    /// Takes the account's binding back (RGN-04); told by `DidEnd` or `DidNotEnd`.
    pub fn unregister(&mut self, now: Instant) {
        self.perform(
            now,
            |_: &()| Command::Unregister,
            (),
            |agent, ()| {
                agent.apply_unregister();
            },
        );
    }

    /// Publishes the content of an event package, or other content in its place, and keeps it published
    /// until [`unpublish`](Self::unpublish) (PUB-03, ACC-39).
    ///
    /// # Errors
    ///
    /// See [`AccountError`].
    pub fn publish(&mut self, now: Instant, publish: Publish) -> Result<(), AccountError> {
        let command = |publish: &Publish| Command::Publish(publish.clone());
        self.perform(now, command, publish, Self::apply_publish)
    }

    /// Takes back what is published of an event package (PUB-04).
    pub fn unpublish(&mut self, now: Instant, event: &str) {
        let command = |_: &()| Command::Unpublish {
            event: event.to_owned(),
        };
        self.perform(now, command, (), |agent, ()| agent.apply_unpublish(event));
    }

    /// Sends a message outside of sessions (MSG-01), after those before it to the same destination have
    /// their results (MSG-02); told by one `GotResponse`.
    ///
    /// # Errors
    ///
    /// See [`AccountError`].
    pub fn send_message(
        &mut self,
        now: Instant,
        message: Message,
    ) -> Result<sip::MessageId, AccountError> {
        let command = |message: &Message| Command::SendMessage(message.clone());
        self.perform(now, command, message, Self::apply_send_message)
    }

    /// Answers a message of a peer, if [`sip::Config::message_answer`] leaves time for that (BUG-20).
    ///
    /// # Errors
    ///
    /// There is no such message, it has its answer, or the code is not final.
    pub fn answer_message(
        &mut self,
        now: Instant,
        message: sip::MessageId,
        code: u16,
    ) -> Result<(), AccountError> {
        let command = |_: &()| Command::AnswerMessage { message, code };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_answer_message(message, code)
        })
    }
}
