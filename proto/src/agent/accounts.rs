//! The account of an agent: its registration, its publications, its messages.

use super::{AccountError, Child, Message, Publish, UserAgent};
use crate::{
    account::{Publishing, PublishingDo, Registering, RegisteringDo},
    event::{Event, MessageEvent},
};
use base::{Deadline, Key as _};
use sip::{
    AccountId, Description, Headers, MessageId, PublicationId, RegistrationEvent, RegistrationId,
    SendMessage, Status, Uri,
    header::Address,
    usage::{publication::Publication, registration::Registration},
};
use std::collections::BTreeMap;

/// What an agent does for its account.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    registering: Option<Registering>,
    /// By event package.
    publishing: BTreeMap<String, Publishing>,
    /// Messages of ours that have no result, with their destination.
    messages: BTreeMap<MessageId, Uri>,
}

impl Accounts {
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        let registering = self.registering.iter().map(Registering::poll_timeout);
        let publishing = self.publishing.values().map(Publishing::poll_timeout);
        let all = registering.chain(publishing).flatten();
        all.min_by_key(|deadline| deadline.at)
    }

    /// True if no server holds anything of us.
    pub(super) fn is_at_rest(&self) -> bool {
        self.registering
            .as_ref()
            .is_none_or(Registering::is_at_rest)
            && self.publishing.values().all(Publishing::is_at_rest)
    }

    /// The way that the registrar wants our requests to take (RFC 3608).
    pub(super) fn service_route(&self) -> &[Uri] {
        self.registering
            .as_ref()
            .map_or(&[], Registering::service_route)
    }

    /// ACC-16.
    pub(super) fn is_registered(&self) -> bool {
        self.registering
            .as_ref()
            .is_some_and(Registering::is_registered)
    }
}

/// The one account that an agent has.
pub(super) fn account_id() -> AccountId {
    AccountId::from_parts(0, 0)
}

impl UserAgent {
    pub(super) fn apply_register(&mut self) -> Result<(), AccountError> {
        if !self.life.is_running() {
            return Err(AccountError::NotRunning);
        }
        let account = &self.config.account;
        let Some(uri) = account.uri.clone() else {
            return Err(AccountError::NoAddress);
        };
        let rng = &mut self.rng;
        let registering = self
            .accounts
            .registering
            .get_or_insert_with(|| Registering::new(rng));
        if registering.id().is_none() {
            let mut address = Address::new(uri);
            address.display.clone_from(&account.display_name);
            let mut registration = Registration::new(address).ok_or(AccountError::NoAddress)?;
            registration.route = account.route(&[]);
            registration.expires = account.register_expires;
            registration.contact_user = Some(match &account.contact_user {
                Some(user) => user.clone(),
                None => registering.contact_user(),
            });
            registration.instance.clone_from(&account.instance_id);
            registration.credentials.clone_from(&account.credentials);
            registration.account = Some(account_id());
            let id = self.endpoint.register(self.now, registration);
            registering.set_id(id.map_err(|_| AccountError::Refused)?);
            self.touch(Child::Endpoint);
        }
        if let Some(registering) = &mut self.accounts.registering {
            registering.register();
        }
        self.touch(Child::Accounts);
        Ok(())
    }

    pub(super) fn apply_unregister(&mut self) {
        if let Some(registering) = &mut self.accounts.registering {
            registering.unregister();
            self.touch(Child::Accounts);
        }
    }

    pub(super) fn apply_publish(&mut self, publish: Publish) -> Result<(), AccountError> {
        if !self.life.is_running() {
            return Err(AccountError::NotRunning);
        }
        let account = &self.config.account;
        let Some(uri) = account.uri.clone() else {
            return Err(AccountError::NoAddress);
        };
        if !self.accounts.publishing.contains_key(&publish.event) {
            let mut address = Address::new(uri);
            address.display.clone_from(&account.display_name);
            let mut publication = Publication::new(address, publish.event.clone());
            publication.route = account.route(self.accounts.service_route());
            publication.expires = account.publish_expires;
            publication.credentials.clone_from(&account.credentials);
            publication.account = Some(account_id());
            let id = self
                .endpoint
                .add_publication(self.now, publication)
                .map_err(|_| AccountError::Refused)?;
            let publishing = Publishing::new(id, &mut self.rng);
            self.accounts
                .publishing
                .insert(publish.event.clone(), publishing);
        }
        if let Some(publishing) = self.accounts.publishing.get_mut(&publish.event) {
            publishing.publish(Description {
                content_type: publish.content_type,
                body: publish.body,
            });
        }
        self.touch(Child::Accounts);
        Ok(())
    }

    pub(super) fn apply_unpublish(&mut self, event: &str) {
        if let Some(publishing) = self.accounts.publishing.get_mut(event) {
            publishing.unpublish();
            self.touch(Child::Accounts);
        }
    }

    pub(super) fn apply_send_message(
        &mut self,
        message: Message,
    ) -> Result<MessageId, AccountError> {
        if !self.life.is_running() {
            return Err(AccountError::NotRunning);
        }
        let local = self.local_address_for(self.address_of(&message.to));
        let to = message.to.clone();
        let mut send = SendMessage::new(self.identity(local), Address::new(message.to), "");
        send.content = Description {
            content_type: message.content_type,
            body: message.body,
        };
        let account = &self.config.account;
        send.route = account.route(self.accounts.service_route());
        send.credentials.clone_from(&account.credentials);
        send.account = Some(account_id());
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

    /// Our address is another: the registrar must know (ACC-40), and who publishes for us, before the
    /// peers of live calls do.
    pub(super) fn move_accounts(&mut self) {
        if let Some(registering) = &mut self.accounts.registering {
            registering.move_on();
        }
        for publishing in self.accounts.publishing.values_mut() {
            publishing.move_on();
        }
        self.touch(Child::Accounts);
    }

    /// Takes back what servers hold of us (ACC-42).
    pub(super) fn leave_accounts(&mut self) {
        self.apply_unregister();
        for publishing in self.accounts.publishing.values_mut() {
            if !publishing.is_at_rest() {
                publishing.unpublish();
            }
        }
        self.touch(Child::Accounts);
    }

    pub(super) fn accounts_timeout(&mut self) {
        let now = self.now;
        if let Some(registering) = &mut self.accounts.registering {
            registering.handle_timeout(now);
        }
        for publishing in self.accounts.publishing.values_mut() {
            publishing.handle_timeout(now);
        }
    }

    /// Does one thing that the policies want; false if there was none.
    pub(super) fn drain_accounts(&mut self) -> Option<()> {
        let registering = self.accounts.registering.as_mut();
        if let Some((id, wanted)) =
            registering.and_then(|own| Some((own.id()?, own.poll_output()?)))
        {
            self.do_registering(id, wanted);
            return Some(());
        }
        let mut publishing = self.accounts.publishing.values_mut();
        let (id, wanted) = publishing.find_map(|own| Some((own.id(), own.poll_output()?)))?;
        self.do_publishing(id, wanted);
        Some(())
    }

    fn do_registering(&mut self, id: RegistrationId, wanted: RegisteringDo) {
        let now = self.now;
        match (wanted, self.endpoint.registration(id)) {
            (RegisteringDo::Tell(event), _) => self.notify(Event::Account(account_id(), event)),
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
        if let Some(registering) = &mut self.accounts.registering {
            registering.handle_event(now, id, event);
        }
        self.touch(Child::Accounts);
        self.touch(Child::Life);
    }

    pub(super) fn route_publication(&mut self, id: PublicationId, event: &sip::PublicationEvent) {
        let now = self.now;
        let mut publishing = self.accounts.publishing.values_mut();
        if let Some(publishing) = publishing.find(|own| own.id() == id) {
            publishing.handle_event(now, event);
        }
        self.touch(Child::Accounts);
        self.touch(Child::Life);
    }

    pub(super) fn route_message(&mut self, id: MessageId, event: sip::MessageEvent) {
        let (code, reason) = match event {
            sip::MessageEvent::Incoming(message) => {
                let event = MessageEvent::GotMessage {
                    from_uri: message.from.uri,
                    from_display_name: message.from.display,
                    to_uri: message.to.uri,
                    content: message.content,
                };
                return self.notify(Event::Message(id, event));
            }
            sip::MessageEvent::Succeeded { code, reason } => (code, reason),
            sip::MessageEvent::Failed(failed) => (failed.code(), failed.reason()),
            // The endpoint knows no other.
            _ => return,
        };
        if let Some(to_uri) = self.accounts.messages.remove(&id) {
            let code = code.code();
            let event = MessageEvent::GotResponse {
                to_uri,
                code,
                reason,
            };
            self.notify(Event::Message(id, event));
        }
    }
}
