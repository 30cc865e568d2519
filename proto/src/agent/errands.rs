//! What the application can ask of its accounts.

use super::{Account, AccountError, Command, Message, OptionsError, Publish, UserAgent};
use sip::AccountId;
use std::time::Instant;

impl UserAgent {
    /// Adds an account, which registers only when it is told to ([`register`](Self::register)); told by
    /// `DidAddAccount` (AMG-09).
    ///
    /// # Errors
    ///
    /// [`AccountError::TooMany`].
    pub fn add_account(
        &mut self,
        now: Instant,
        account: Account,
    ) -> Result<AccountId, AccountError> {
        let command = |account: &Account| Command::AddAccount(Box::new(account.clone()));
        self.perform(now, command, account, Self::apply_add_account)
    }

    /// Removes an account (AMG-10): its binding and its publications are taken back, its sessions go
    /// on. The first of those that are left becomes the default one if this was it (AMG-12).
    ///
    /// # Errors
    ///
    /// [`AccountError::Unknown`].
    pub fn remove_account(&mut self, now: Instant, account: AccountId) -> Result<(), AccountError> {
        let command = |_: &()| Command::RemoveAccount { account };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_remove_account(account)
        })
    }

    /// Makes an account the one that speaks unless another is named (AMG-11, AMG-12).
    ///
    /// # Errors
    ///
    /// [`AccountError::Unknown`].
    pub fn set_default_account(
        &mut self,
        now: Instant,
        account: AccountId,
    ) -> Result<(), AccountError> {
        let command = |_: &()| Command::SetDefaultAccount { account };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_set_default_account(account)
        })
    }

    /// Asks a peer what it can (OPTIONS, RFC 3261, 11), as an account or as the default one; told by
    /// one `OptionsEvent`.
    ///
    /// # Errors
    ///
    /// See [`OptionsError`].
    pub fn options(
        &mut self,
        now: Instant,
        account: Option<AccountId>,
        to: sip::Uri,
    ) -> Result<sip::RequestId, OptionsError> {
        let command = |to: &sip::Uri| Command::Options {
            account,
            to: to.clone(),
        };
        self.perform(now, command, to, |agent, to| {
            agent.apply_options(account, to)
        })
    }

    /// Registers an account, or the default one, and keeps it registered until
    /// [`unregister`](Self::unregister) (RGN-03, ACC-37); of a registered one the binding is refreshed.
    /// Told by events of the account.
    ///
    /// # Errors
    ///
    /// See [`AccountError`].
    pub fn register(
        &mut self,
        now: Instant,
        account: Option<AccountId>,
    ) -> Result<(), AccountError> {
        let command = |_: &()| Command::Register { account };
        self.perform(now, command, (), |agent, ()| agent.apply_register(account))
    }

    /// Takes an account's binding back (RGN-04), if there is one; told by `DidEnd` or `DidNotEnd`.
    ///
    /// # Errors
    ///
    /// [`AccountError::Unknown`].
    pub fn unregister(
        &mut self,
        now: Instant,
        account: Option<AccountId>,
    ) -> Result<(), AccountError> {
        let command = |_: &()| Command::Unregister { account };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_unregister(account)
        })
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

    /// Takes back what an account has published of an event package (PUB-04), if it has.
    ///
    /// # Errors
    ///
    /// [`AccountError::Unknown`].
    pub fn unpublish(
        &mut self,
        now: Instant,
        account: Option<AccountId>,
        event: &str,
    ) -> Result<(), AccountError> {
        let command = |_: &()| Command::Unpublish {
            account,
            event: event.to_owned(),
        };
        self.perform(now, command, (), |agent, ()| {
            agent.apply_unpublish(account, event)
        })
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
