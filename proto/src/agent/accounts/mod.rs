//! The accounts of an agent: their registrations, publications and messages.

mod table;

pub(super) use table::{Accounts, Profile};

use super::{Account, AccountError, Child, Message, Publish, UserAgent};
use crate::{
    account::{Publishing, PublishingDo, Registering, RegisteringDo},
    event::{AgentEvent, Event, GotMessage, Hints, MessageEvent, Particulars},
};
use sip::{
    AccountId, Description, Failed, Headers, MessageId, PublicationId, RegistrationEvent,
    RegistrationId, SendMessage, Status,
    header::Address,
    usage::{publication::Publication, registration::Registration},
};

impl UserAgent {
    /// Adds an account, and says so (AMG-09).
    pub(super) fn add_known_account(&mut self, account: Account) -> AccountId {
        let account = self.accounts.add(account, &mut self.rng);
        self.notify(Event::Agent(AgentEvent::DidAddAccount { account }));
        self.choose_default(None);
        self.endpoint.set_users(self.accounts.users());
        account
    }

    pub(super) fn apply_add_account(
        &mut self,
        account: Account,
    ) -> Result<AccountId, AccountError> {
        match self.accounts.len() < self.config.limits.accounts {
            true => Ok(self.add_known_account(account)),
            false => Err(AccountError::TooMany),
        }
    }

    /// Takes back what servers hold of an account, and forgets it when they do not any more.
    pub(super) fn apply_remove_account(&mut self, account: AccountId) -> Result<(), AccountError> {
        if !self.accounts.remove(account) {
            return Err(AccountError::Unknown);
        }
        self.leave(|id| id == account);
        self.leave_subscriptions(|of| of == Some(account));
        self.notify(Event::Agent(AgentEvent::DidRemoveAccount { account }));
        self.choose_default(None);
        self.endpoint.set_users(self.accounts.users());
        Ok(())
    }

    pub(super) fn apply_set_default_account(
        &mut self,
        account: AccountId,
    ) -> Result<(), AccountError> {
        if self.accounts.account(account).is_none() {
            return Err(AccountError::Unknown);
        }
        self.choose_default(Some(account));
        Ok(())
    }

    fn choose_default(&mut self, wanted: Option<AccountId>) {
        if let Some((old_account, account)) = self.accounts.set_default(wanted) {
            self.notify(Event::Agent(AgentEvent::DidChangeDefaultAccount {
                old_account,
                account,
            }));
        }
    }

    pub(super) fn apply_register(
        &mut self,
        account: Option<AccountId>,
    ) -> Result<(), AccountError> {
        if !self.life.is_running() {
            return Err(AccountError::NotRunning);
        }
        let profile = self
            .accounts
            .profile(account)
            .ok_or(AccountError::Unknown)?;
        let address = profile.address_of_record();
        let address = address.ok_or(AccountError::NoAddress)?;
        let route = profile.route_to_registrar();
        let Some((id, entry)) = self.accounts.find_mut(account) else {
            return Err(AccountError::NoAddress);
        };
        let rng = &mut self.rng;
        let registering = entry
            .registering
            .get_or_insert_with(|| Registering::new(rng));
        if registering.id().is_none() {
            let account = &entry.account;
            let mut registration = Registration::new(address).ok_or(AccountError::NoAddress)?;
            registration.route = route;
            registration.expires = account.register_expires;
            registration.contact_user = Some(entry.contact_user.clone());
            registration.instance.clone_from(&account.instance_id);
            registration.credentials.clone_from(&account.credentials);
            registration.account = Some(id);
            let id = self.endpoint.register(self.now, registration);
            registering.set_id(id.map_err(|_| AccountError::Refused)?);
        }
        registering.register();
        self.touch(Child::Endpoint);
        self.touch(Child::Accounts);
        Ok(())
    }

    pub(super) fn apply_unregister(
        &mut self,
        account: Option<AccountId>,
    ) -> Result<(), AccountError> {
        let entry = self.accounts.find_mut(account);
        let (_, entry) = entry.ok_or(AccountError::Unknown)?;
        if let Some(registering) = &mut entry.registering {
            registering.unregister();
            self.touch(Child::Accounts);
        }
        Ok(())
    }

    pub(super) fn apply_publish(&mut self, publish: Publish) -> Result<(), AccountError> {
        if !self.life.is_running() {
            return Err(AccountError::NotRunning);
        }
        let profile = self
            .accounts
            .profile(publish.account)
            .ok_or(AccountError::Unknown)?;
        let address = profile.address_of_record();
        let address = address.ok_or(AccountError::NoAddress)?;
        let route = profile.route();
        let Some((id, entry)) = self.accounts.find_mut(publish.account) else {
            return Err(AccountError::NoAddress);
        };
        if !entry.publishing.contains_key(&publish.event) {
            let account = &entry.account;
            let mut publication = Publication::new(address, publish.event.clone());
            publication.route = route;
            publication.expires = account.publish_expires;
            publication.credentials.clone_from(&account.credentials);
            publication.account = Some(id);
            let id = self
                .endpoint
                .add_publication(self.now, publication)
                .map_err(|_| AccountError::Refused)?;
            let publishing = Publishing::new(id, &mut self.rng);
            entry.publishing.insert(publish.event.clone(), publishing);
        }
        if let Some(publishing) = entry.publishing.get_mut(&publish.event) {
            publishing.publish(Description {
                content_type: publish.content_type,
                body: publish.body,
            });
        }
        self.touch(Child::Accounts);
        Ok(())
    }

    pub(super) fn apply_unpublish(
        &mut self,
        account: Option<AccountId>,
        event: &str,
    ) -> Result<(), AccountError> {
        let entry = self.accounts.find_mut(account);
        let (_, entry) = entry.ok_or(AccountError::Unknown)?;
        if let Some(publishing) = entry.publishing.get_mut(event) {
            publishing.unpublish();
            self.touch(Child::Accounts);
        }
        Ok(())
    }

    pub(super) fn apply_send_message(
        &mut self,
        message: Message,
    ) -> Result<MessageId, AccountError> {
        if !self.life.is_running() {
            return Err(AccountError::NotRunning);
        }
        let profile = self
            .accounts
            .profile(message.account)
            .ok_or(AccountError::Unknown)?;
        let local = self.local_address_for(self.address_of(&profile, &message.to));
        let to = message.to.clone();
        let (from, private) = self.sender(&profile, local, message.anonymous);
        let mut send = SendMessage::new(from, Address::new(message.to), "");
        send.headers = private;
        send.content = Description {
            content_type: message.content_type,
            body: message.body,
        };
        send.route = profile.route();
        send.credentials.clone_from(&profile.account.credentials);
        send.account = profile.id;
        let sent = self.endpoint.send_message(self.now, send);
        let id = sent.map_err(|error| match error {
            sip::endpoint::RequestError::TooLarge => AccountError::TooLarge,
            _ => AccountError::Refused,
        })?;
        self.accounts.messages.insert(id, to);
        self.touch(Child::Endpoint);
        Ok(id)
    }

    pub(super) fn apply_answer_message(
        &mut self,
        id: MessageId,
        code: u16,
    ) -> Result<(), AccountError> {
        let code = Status::new(code).ok_or(AccountError::Refused)?;
        let none = Headers::new();
        let answered = self
            .endpoint
            .answer_message(self.now, id, code, None, &none);
        self.touch(Child::Endpoint);
        answered.map_err(|_| AccountError::Refused)
    }

    /// Our address is another: the registrars must know (ACC-40), and who publishes for us, before the
    /// peers of live calls do.
    pub(super) fn move_accounts(&mut self) {
        for (_, entry) in self.accounts.entries_mut() {
            if let Some(registering) = &mut entry.registering {
                registering.move_on();
            }
            for publishing in entry.publishing.values_mut() {
                publishing.move_on();
            }
        }
        self.touch(Child::Accounts);
    }

    /// Takes back what servers hold of us (ACC-42).
    pub(super) fn leave_accounts(&mut self) {
        self.leave(|_| true);
    }

    fn leave(&mut self, is_meant: impl Fn(AccountId) -> bool) {
        let all = self.accounts.entries_mut();
        for (_, entry) in all.filter(|(id, _)| is_meant(*id)) {
            if let Some(registering) = &mut entry.registering {
                registering.unregister();
            }
            for publishing in entry.publishing.values_mut() {
                if !publishing.is_at_rest() {
                    publishing.unpublish();
                }
            }
        }
        self.touch(Child::Accounts);
    }

    pub(super) fn accounts_timeout(&mut self) {
        let now = self.now;
        for (_, entry) in self.accounts.entries_mut() {
            if let Some(registering) = &mut entry.registering {
                registering.handle_timeout(now);
            }
            for publishing in entry.publishing.values_mut() {
                publishing.handle_timeout(now);
            }
        }
    }

    /// Does one thing that the policies want; false if there was none.
    pub(super) fn drain_accounts(&mut self) -> Option<()> {
        let registering = self.accounts.entries_mut().find_map(|(account, entry)| {
            let own = entry.registering.as_mut()?;
            Some((account, own.id()?, own.poll_output()?))
        });
        if let Some((account, id, wanted)) = registering {
            self.do_registering(account, id, wanted);
            return Some(());
        }
        let publishing = self.accounts.entries_mut().find_map(|(_, entry)| {
            let mut all = entry.publishing.values_mut();
            all.find_map(|own| Some((own.id(), own.poll_output()?)))
        });
        if let Some((id, wanted)) = publishing {
            self.do_publishing(id, wanted);
            return Some(());
        }
        let subscriptions = &self.subscriptions;
        let left = self.accounts.take_left(|id| subscriptions.is_of(id));
        let (account, entry) = left?;
        let registration = entry.registering.as_ref().and_then(Registering::id);
        if let Some(registration) = registration.and_then(|id| self.endpoint.registration(id)) {
            registration.remove(self.now);
        }
        for publishing in entry.publishing.values() {
            if let Some(publication) = self.endpoint.publication(publishing.id()) {
                publication.remove(self.now);
            }
        }
        self.endpoint.forget_account(account);
        self.touch(Child::Endpoint);
        Some(())
    }

    fn do_registering(&mut self, account: AccountId, id: RegistrationId, wanted: RegisteringDo) {
        let now = self.now;
        match (wanted, self.endpoint.registration(id)) {
            (RegisteringDo::Tell(event), _) => self.notify(Event::Account(account, event)),
            (RegisteringDo::Renew, _) => self.renew_contacts(account),
            (RegisteringDo::Register, Some(mut registration)) => {
                if registration.state() != sip::usage::registration::State::Registering {
                    registration.register(now);
                }
                self.touch(Child::Endpoint);
            }
            (RegisteringDo::Unregister, Some(mut registration)) => {
                registration.unregister(now);
                self.touch(Child::Endpoint);
            }
            (_, None) => {}
        }
    }

    fn do_publishing(&mut self, id: PublicationId, wanted: PublishingDo) {
        let now = self.now;
        match (wanted, self.endpoint.publication(id)) {
            (PublishingDo::Tell(event), _) => self.notify(Event::Publication(id, event)),
            (PublishingDo::Publish(content), Some(mut publication)) => {
                publication.publish(now, content);
                self.touch(Child::Endpoint);
            }
            (PublishingDo::Unpublish, Some(mut publication)) => {
                publication.unpublish(now);
                self.touch(Child::Endpoint);
            }
            (_, None) => {}
        }
    }

    pub(super) fn route_registration(&mut self, id: RegistrationId, event: RegistrationEvent) {
        let now = self.now;
        if let Some(registering) = self.accounts.registering_mut(id) {
            registering.handle_event(now, id, event);
        }
        self.touch(Child::Accounts);
        self.touch(Child::Life);
    }

    pub(super) fn route_publication(&mut self, id: PublicationId, event: &sip::PublicationEvent) {
        let now = self.now;
        if let Some(publishing) = self.accounts.publishing_mut(id) {
            publishing.handle_event(now, event);
        }
        self.touch(Child::Accounts);
        self.touch(Child::Life);
    }

    pub(super) fn route_message(&mut self, id: MessageId, event: sip::MessageEvent) {
        let (code, reason, hints) = match event {
            sip::MessageEvent::Incoming(message) => {
                let is_trusted = self.config.trusts(message.source);
                let got = GotMessage {
                    account: self.accounts.find(&message.request_uri),
                    from_uri: message.from.uri,
                    from_display_name: message.from.display.map(String::into_boxed_str),
                    to_uri: message.to.uri,
                    content: message.content,
                    particulars: Particulars::of(message.caller, &message.headers, is_trusted),
                };
                let event = MessageEvent::GotMessage(Box::new(got));
                return self.notify(Event::Message(id, event));
            }
            sip::MessageEvent::Succeeded { code, reason } => (code, reason, None),
            sip::MessageEvent::Failed(failed) => {
                let hints = match &failed {
                    Failed::Refused { headers, .. } => Hints::of(headers),
                    _ => None,
                };
                (failed.code(), failed.reason(), hints)
            }
            // The endpoint knows no other.
            _ => return,
        };
        if let Some(to_uri) = self.accounts.messages.remove(&id) {
            let code = code.code();
            let event = MessageEvent::GotResponse {
                to_uri,
                code,
                reason,
                hints,
            };
            self.notify(Event::Message(id, event));
        }
    }
}
