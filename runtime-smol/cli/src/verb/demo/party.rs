//! One of the two agents, with what it says and hears.

use super::{Scene, failed, internal, server::Server, tap::tap};
use crate::{
    agent::{Agent, Wait},
    config,
    media::{Media, RATE},
    options::Common,
    outcome::{Exit, Failure},
    print::Printer,
};
use audio::{
    Sound,
    speech::{Voice, utterance},
    wave,
};
use sipsimple::{
    agent::{Connect, SessionId, StreamId, UserAgent},
    base::Transport,
    event::{AccountEvent, Event, Originator, SessionEvent, StreamEvent},
    rtp::Digit,
    stream::{
        StreamSpec,
        audio::{self as stream, AudioStream, SendDtmf},
    },
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// One of the two agents with what it says and hears.
pub(super) struct Party {
    pub(super) name: &'static str,
    pub(super) agent: Agent,
    pub(super) media: Media,
    pub(super) said: Sound,
    pub(super) heard: PathBuf,
    /// What happened since the last [`forget`](Self::forget).
    pub(super) so_far: SoFar,
    /// Confirmations of registrations.
    registrations: usize,
}

/// What happened to one agent.
#[derive(Default)]
pub(super) struct SoFar {
    /// Sessions that began, ours first.
    pub(super) sessions: Vec<SessionId>,
    pub(super) stream: Option<StreamId>,
    pub(super) digits: String,
    pub(super) held_by_us: bool,
    pub(super) held_by_peer: bool,
    pub(super) started: usize,
    pub(super) over: usize,
}

impl Party {
    /// Starts the agent of some users; it is called by the name of the first.
    pub(super) fn start(
        scene: &Scene<'_>,
        users: &[&'static str],
        voice: Voice,
        transport: Transport,
    ) -> Result<Self, Failure> {
        let name = *users.first().ok_or_else(|| internal("nobody"))?;
        let said = utterance(voice, RATE);
        let path = scene.directory.file(&format!("{name}-said.wav"));
        wave::write(&path, &said)
            .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
        let heard = scene.directory.file(&format!("{name}-heard.wav"));
        // Recording and capture are of the one who calls: both would write the same file.
        let is_caller = name == super::ALICE;
        let caller = |file: &Option<PathBuf>| file.clone().filter(|_| is_caller);
        let common = Common {
            record_run: caller(&scene.common.record_run),
            pcap: caller(&scene.common.pcap),
            // Whoever the user is, these two are others.
            auth_user: Some(name.to_owned()),
            account: None,
            password_file: None,
            ..scene.common.clone()
        };
        let mut config = config::read(&common, None)?;
        config.addresses = vec![scene.ip()];
        for user in users {
            scene.server.enrol(&mut config, user, transport)?;
        }
        for account in &mut config.accounts {
            account.display_name = Some(name.to_owned());
        }
        config.trace = true;
        config.record = common.record_run.is_some();
        let tap = tap(scene, is_caller);
        Ok(Self {
            name,
            agent: Agent::start_tapped(&common, config, scene.printer, tap)?,
            media: Media::saying(said.clone(), &heard)?,
            said,
            heard,
            so_far: SoFar::default(),
            registrations: 0,
        })
    }

    /// Registers all users of the agent.
    pub(super) fn register(&self) -> Result<(), Failure> {
        let asked = self.agent.runtime.call(|agent, now| {
            let accounts = agent.accounts().to_vec();
            let mut asked = accounts.into_iter().map(|id| agent.register(now, Some(id)));
            asked.try_for_each(|asked| asked)
        });
        match asked {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(internal(&error.to_string())),
            None => Err(crate::agent::ended()),
        }
    }

    /// The server has confirmed so many registrations.
    pub(super) const fn is_registered(&self, users: usize) -> bool {
        self.registrations >= users
    }

    /// The users whose calls these are, in the order of the sessions.
    pub(super) fn callers(&self) -> Vec<String> {
        let sessions = self.so_far.sessions.clone();
        let users = self.agent.runtime.call(move |agent, _| {
            let accounts = sessions.iter().filter_map(|id| agent.session(*id)?.account);
            let users = accounts
                .filter_map(|id| agent.account(id)?.uri.as_ref()?.user().map(str::to_owned));
            users.collect()
        });
        users.unwrap_or_default()
    }

    /// Calls a user of the server.
    pub(super) fn call(&mut self, user: &str) -> Result<(), Failure> {
        let uri = format!("sip:{user}@{}", Server::DOMAIN);
        let uri = uri.parse().map_err(|_| internal("a user is no URI"))?;
        let connect = Connect::new(uri, vec![StreamSpec::new(stream::KIND)]);
        let session = self
            .agent
            .runtime
            .call(move |agent, now| agent.connect(now, connect));
        match session {
            Some(Ok(session)) => {
                self.so_far.sessions.push(session);
                Ok(())
            }
            Some(Err(error)) => Err(internal(&error.to_string())),
            None => Err(crate::agent::ended()),
        }
    }

    /// Begins a new chapter.
    pub(super) fn forget(&mut self) {
        self.so_far = SoFar::default();
    }

    pub(super) fn attach(&mut self) -> Result<(), Failure> {
        match self.so_far.stream {
            Some(stream) => self.media.attach(&self.agent.runtime, stream),
            None => Err(internal("no stream")),
        }
    }

    pub(super) fn send_digits(&self) -> Result<(), Failure> {
        let Some(stream) = self.so_far.stream else {
            return Err(internal("no stream"));
        };
        let sent = self.agent.runtime.call(move |agent, now| {
            let digits = super::DIGITS
                .chars()
                .filter_map(|digit| Digit::try_from(digit).ok());
            digits
                .into_iter()
                .all(|digit| matches!(agent.command(now, stream, SendDtmf::new(digit)), Ok(Ok(()))))
        });
        (sent == Some(true))
            .then_some(())
            .ok_or_else(|| failed("digits cannot be sent"))
    }

    pub(super) fn command<E: Send + 'static>(
        &self,
        command: fn(&mut UserAgent, Instant, SessionId) -> Result<(), E>,
    ) {
        if let Some(session) = self.so_far.sessions.first().copied() {
            // What came of it is told by events.
            let _ = self
                .agent
                .runtime
                .call(move |agent, now| command(agent, now, session).is_ok());
        }
    }

    pub(super) fn packets(&self) -> u64 {
        let Some(stream) = self.so_far.stream else {
            return 0;
        };
        let packets = self.agent.runtime.call(move |agent, _| {
            Some(
                agent
                    .stream::<AudioStream>(stream)?
                    .statistics()?
                    .packets_received,
            )
        });
        packets.flatten().unwrap_or(0)
    }

    /// Takes the events of a moment.
    pub(super) fn listen(&mut self, printer: &Printer) {
        while let Wait::Event(notification) = self.agent.next_before(Instant::now() + MOMENT) {
            printer.notification(&notification);
            match notification.event {
                Event::Account(_, AccountEvent::RegistrationDidSucceed { .. }) => {
                    self.registrations += 1;
                }
                Event::Session(id, event) => self.session(id, event),
                Event::Stream(_, StreamEvent::GotDtmf { digit }) => self.so_far.digits.push(digit),
                _ => {}
            }
        }
    }

    fn session(&mut self, id: SessionId, event: SessionEvent) {
        let so_far = &mut self.so_far;
        match event {
            SessionEvent::NewIncoming { streams, .. } => {
                so_far.sessions.push(id);
                // What came of it is told by events.
                let _ = self.agent.runtime.call(move |agent, now| {
                    let rings = agent.ring(now, id);
                    rings.and_then(|()| agent.accept(now, id, &streams))
                });
            }
            SessionEvent::DidStart { streams } => {
                so_far.stream = streams.first().copied();
                so_far.started += 1;
            }
            SessionEvent::DidChangeHoldState {
                originator,
                on_hold,
                ..
            } => match originator {
                Originator::Local => so_far.held_by_us = on_hold,
                Originator::Remote => so_far.held_by_peer = on_hold,
            },
            SessionEvent::DidEnd { .. } | SessionEvent::DidFail { .. } => so_far.over += 1,
            _ => {}
        }
    }

    pub(super) fn stop(&mut self, printer: &Printer) {
        self.media.detach_all(&self.agent.runtime);
        self.agent.stop(printer);
    }
}

/// One look at one agent.
const MOMENT: Duration = Duration::from_millis(5);
