//! The four machines behind one face, and the count of what they went through.

use super::{
    RespondError, Timers, client, client_invite,
    machine::{Action, Counts, Machine},
    server, server_invite,
};
use crate::Status;
use base::Deadline;
use std::time::Instant;

/// One of the four.
#[derive(Debug)]
pub(super) enum AnyMachine {
    ClientInvite(client_invite::ClientInvite),
    Client(client::Client),
    ServerInvite(server_invite::ServerInvite),
    Server(server::Server),
}

/// What happens to a transaction, in words that all four machines share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stimulus {
    /// A response, received by a client or sent by a server.
    Response(Status),
    /// The request again.
    Request,
    Ack,
    Cancelled,
    TransportError,
}

#[derive(Clone, Debug)]
pub(super) struct Coverage {
    client_invite: Counts<client_invite::State, client_invite::Input>,
    client: Counts<client::State, client::Input>,
    server_invite: Counts<server_invite::State, server_invite::Input>,
    server: Counts<server::State, server::Input>,
}

impl AnyMachine {
    pub(super) fn handle(
        &mut self,
        now: Instant,
        timers: &Timers,
        stimulus: Stimulus,
        coverage: &mut Coverage,
    ) -> &'static [Action] {
        match self {
            Self::ClientInvite(machine) => {
                let Some(input) = client_invite_input(stimulus) else {
                    return &[];
                };
                coverage.client_invite.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
            Self::Client(machine) => {
                let Some(input) = client_input(stimulus) else {
                    return &[];
                };
                coverage.client.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
            Self::ServerInvite(machine) => {
                let Some(input) = server_invite_input(stimulus) else {
                    return &[];
                };
                coverage.server_invite.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
            Self::Server(machine) => {
                let Some(input) = server_input(stimulus) else {
                    return &[];
                };
                coverage.server.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
        }
    }

    /// Fires one timer that is due.
    pub(super) fn fire(
        &mut self,
        now: Instant,
        timers: &Timers,
        coverage: &mut Coverage,
    ) -> Option<&'static [Action]> {
        Some(match self {
            Self::ClientInvite(machine) => {
                let input = machine.due(now)?;
                coverage.client_invite.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
            Self::Client(machine) => {
                let input = machine.due(now)?;
                coverage.client.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
            Self::ServerInvite(machine) => {
                let input = machine.due(now)?;
                coverage.server_invite.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
            Self::Server(machine) => {
                let input = machine.due(now)?;
                coverage.server.count(machine.state(), input);
                machine.handle(now, timers, input)
            }
        })
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::ClientInvite(machine) => machine.deadline(),
            Self::Client(machine) => machine.deadline(),
            Self::ServerInvite(machine) => machine.deadline(),
            Self::Server(machine) => machine.deadline(),
        }
    }

    pub(super) fn is_terminated(&self) -> bool {
        match self {
            Self::ClientInvite(machine) => machine.is_terminated(),
            Self::Client(machine) => machine.is_terminated(),
            Self::ServerInvite(machine) => machine.is_terminated(),
            Self::Server(machine) => machine.is_terminated(),
        }
    }

    /// True if this is a client that will send nothing any more.
    pub(super) fn is_answered_client(&self) -> bool {
        match self {
            Self::ClientInvite(machine) => machine.state() == client_invite::State::Accepted,
            Self::Client(machine) => machine.state() == client::State::Completed,
            Self::ServerInvite(_) | Self::Server(_) => false,
        }
    }

    /// True if the state allows such a response.
    pub(super) fn may_respond(&self, status: Status) -> Result<bool, RespondError> {
        match self {
            Self::ServerInvite(machine) => Ok(match machine.state() {
                server_invite::State::Proceeding => true,
                server_invite::State::Accepted => status.is_success(),
                server_invite::State::Completed
                | server_invite::State::Confirmed
                | server_invite::State::Terminated => false,
            }),
            Self::Server(machine) => Ok(matches!(
                machine.state(),
                server::State::Trying | server::State::Proceeding
            )),
            Self::ClientInvite(_) | Self::Client(_) => Err(RespondError::Unknown),
        }
    }
}

const fn client_invite_input(stimulus: Stimulus) -> Option<client_invite::Input> {
    use client_invite::Input;
    Some(match stimulus {
        Stimulus::Response(status) if status.is_provisional() => Input::Provisional,
        Stimulus::Response(status) if status.is_success() => Input::Success,
        Stimulus::Response(_) => Input::Failure,
        Stimulus::Cancelled => Input::Cancelled,
        Stimulus::TransportError => Input::TransportError,
        Stimulus::Request | Stimulus::Ack => return None,
    })
}

const fn client_input(stimulus: Stimulus) -> Option<client::Input> {
    use client::Input;
    Some(match stimulus {
        Stimulus::Response(status) if status.is_provisional() => Input::Provisional,
        Stimulus::Response(_) => Input::Final,
        Stimulus::TransportError => Input::TransportError,
        Stimulus::Request | Stimulus::Ack | Stimulus::Cancelled => return None,
    })
}

const fn server_invite_input(stimulus: Stimulus) -> Option<server_invite::Input> {
    use server_invite::Input;
    Some(match stimulus {
        Stimulus::Response(status) if status.is_provisional() => Input::Provisional,
        Stimulus::Response(status) if status.is_success() => Input::Success,
        Stimulus::Response(_) => Input::Failure,
        Stimulus::Request => Input::Invite,
        Stimulus::Ack => Input::Ack,
        Stimulus::TransportError => Input::TransportError,
        Stimulus::Cancelled => return None,
    })
}

const fn server_input(stimulus: Stimulus) -> Option<server::Input> {
    use server::Input;
    Some(match stimulus {
        Stimulus::Response(status) if status.is_provisional() => Input::Provisional,
        Stimulus::Response(_) => Input::Final,
        Stimulus::Request => Input::Request,
        Stimulus::TransportError => Input::TransportError,
        Stimulus::Ack | Stimulus::Cancelled => return None,
    })
}

impl Coverage {
    pub(super) fn new() -> Self {
        Self {
            client_invite: Counts::new(client_invite::TABLE),
            client: Counts::new(client::TABLE),
            server_invite: Counts::new(server_invite::TABLE),
            server: Counts::new(server::TABLE),
        }
    }

    pub(super) fn list(&self) -> Vec<(String, u32)> {
        let named = |machine: &'static str| {
            move |(pair, count): (String, u32)| (format!("{machine}: {pair}"), count)
        };
        let mut list: Vec<_> = self
            .client_invite
            .iter()
            .map(named("client INVITE"))
            .collect();
        list.extend(self.client.iter().map(named("client")));
        list.extend(self.server_invite.iter().map(named("server INVITE")));
        list.extend(self.server.iter().map(named("server")));
        list
    }
}
