//! What is to be done while a call stands, and when.

use crate::{
    agent::Agent,
    options::MediaOptions,
    outcome::{Exit, Failure},
};
use sipsimple::{
    agent::{SessionId, StreamId},
    rtp::Digit,
    stream::audio::SendDtmf,
};
use std::time::{Duration, Instant};

/// What is to be done while the call stands, and when.
pub(crate) struct Plan {
    digits: Vec<Digit>,
    steps: Vec<(Duration, Step)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Hold,
    Unhold,
    Request,
    HangUp,
}

impl Plan {
    pub(crate) fn new(options: &MediaOptions) -> Result<Self, Failure> {
        let digits = options
            .dtmf
            .as_deref()
            .unwrap_or("")
            .chars()
            .map(Digit::try_from)
            .collect::<Result<_, _>>();
        let digits =
            digits.map_err(|error| Failure::new(Exit::Usage, format!("--dtmf: {error}")))?;
        let wishes = [
            (options.hold_after, Step::Hold),
            (options.unhold_after, Step::Unhold),
            (options.request_after, Step::Request),
            (options.hangup_after, Step::HangUp),
        ];
        let mut steps: Vec<(Duration, Step)> = wishes
            .into_iter()
            .filter_map(|(after, step)| Some((after?, step)))
            .collect();
        steps.sort_by_key(|(after, _)| *after);
        Ok(Self { digits, steps })
    }

    /// Sends the digits, once the call stands.
    pub(crate) fn send_digits(&self, agent: &Agent, stream: StreamId) -> Result<(), Failure> {
        let digits = self.digits.clone();
        let sent = agent.runtime.call(move |agent, now| {
            let mut send = |digit| {
                agent
                    .command(now, stream, SendDtmf::new(digit))
                    .map_err(|error| error.to_string())
            };
            digits
                .into_iter()
                .try_for_each(|digit| send(digit)?.map_err(|error| error.to_string()))
        });
        match sent {
            Some(Err(error)) => Err(Failure::new(Exit::Media, format!("--dtmf: {error}"))),
            _ => Ok(()),
        }
    }

    /// The steps with their moments, for a call that stands since `start`.
    pub(crate) fn steps(&self, start: Instant) -> Vec<(Instant, Step)> {
        self.steps
            .iter()
            .map(|(after, step)| (start + *after, *step))
            .collect()
    }
}

/// Does a step to a session.
pub(crate) fn perform(agent: &Agent, session: SessionId, step: Step) {
    // A session that is over needs nothing more.
    let _ = agent.runtime.call(move |agent, now| match step {
        Step::Hold => agent.hold(now, session),
        Step::Unhold => agent.unhold(now, session),
        Step::Request => agent.request_proposal(now, session),
        Step::HangUp => agent.end(now, session),
    });
}
