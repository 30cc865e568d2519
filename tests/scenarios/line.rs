//! What scenarios with [`Line`]s share: descriptions, and what was said and heard.

use crate::call::{label, wait};
use simulator::{HostId, Line, Stage};
use sip::{
    Description, Headers, InvitationId, Message, Method, Status, endpoint::InvitationMut,
    usage::invitation::InvitationEvent,
};
use sipsimple::{
    agent::{Connect, SessionId},
    event::{Event, SessionEvent},
    stream::{StreamSpec, audio},
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Longer than any transaction takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// What line `n` says of one audio stream.
pub(crate) fn audio(n: usize, version: u32, direction: &str) -> Description {
    let ip = format!("10.0.0.{}", n + 100);
    let body = format!(
        "v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0\r\na={direction}\r\n"
    );
    Description {
        content_type: "application/sdp".to_owned(),
        body: body.into(),
    }
}

/// The caller calls a line, with audio.
pub(crate) fn call_line(stage: &mut Stage, n: usize) -> SessionId {
    let connect = Connect::new(stage.line_uri(n), vec![StreamSpec::new(audio::KIND)]);
    stage.agent(stage.alice, "connect", |agent, now| {
        agent.connect(now, connect).expect("the agent runs")
    })
}

/// Line 0 calls the callee without an offer, and answers the one that it gets.
pub(crate) fn call_without_offer(stage: &mut Stage) {
    stage.line(0, "answers", |line, _| {
        line.set_habit(|endpoint, now, id, event| {
            if let InvitationEvent::Offered { dialog, .. } = event {
                let mut call = endpoint.invitation(id).unwrap();
                call.answer(now, *dialog, audio(0, 1, "sendrecv")).unwrap();
            }
        });
    });
    let to = stage.bob_uri();
    stage
        .line(0, "call", |line, now| line.call(now, to, None))
        .unwrap();
}

/// How many such events line `n` was told.
pub(crate) fn told(stage: &Stage, n: usize, wants: impl Fn(&InvitationEvent) -> bool) -> usize {
    let line = stage.world.node::<Line>(stage.lines[n]);
    line.events()
        .iter()
        .filter(|(_, event)| wants(event))
        .count()
}

/// Waits until line `n` was told `count` such events; says whether it was.
pub(crate) fn hears(
    stage: &mut Stage,
    n: usize,
    count: usize,
    wants: impl Fn(&InvitationEvent) -> bool,
) -> bool {
    let end = stage.world.now() + PATIENCE;
    while told(stage, n, &wants) < count {
        if stage.world.now() >= end {
            return false;
        }
        stage.world.run_for(Duration::from_millis(50));
    }
    true
}

/// The latest call of line `n`.
pub(crate) fn latest(stage: &Stage, n: usize) -> Option<InvitationId> {
    let line = stage.world.node::<Line>(stage.lines[n]);
    line.endpoint().invitations().last()
}

/// Acts on the latest call of line `n`; `None` if it has none.
pub(crate) fn act<R>(
    stage: &mut Stage,
    n: usize,
    what: &str,
    act: impl FnOnce(&mut InvitationMut<'_>, Instant) -> R,
) -> Option<R> {
    let id = latest(stage, n)?;
    stage
        .line(n, what, |line, now| line.act(id, |call| act(call, now)))?
        .into()
}

/// Makes line `n` accept every call at once.
pub(crate) fn accepts(stage: &mut Stage, n: usize) {
    stage.line(n, "accepts", move |line, _| {
        line.set_habit(move |endpoint, now, id, event| {
            if let InvitationEvent::Incoming(_) = event
                && let Some(mut call) = endpoint.invitation(id)
            {
                let description = audio(n, 1, "sendrecv");
                call.accept(now, description, Headers::new()).unwrap();
            }
        });
    });
}

/// A call of the caller to line 0 that stands at both ends; else how it stands.
pub(crate) fn up(stage: &mut Stage) -> Result<SessionId, String> {
    accepts(stage, 0);
    let call = call_line(stage, 0);
    wait(stage, stage.alice, call, PATIENCE);
    let acknowledged =
        |event: &InvitationEvent| matches!(event, InvitationEvent::Acknowledged { .. });
    let there = hears(stage, 0, 1, acknowledged);
    match label(stage, stage.alice, call) {
        label if label == "connected" && there => Ok(call),
        label => Err(label),
    }
}

/// The messages that a host put on the wire, in order, again and again.
pub(crate) fn sent(stage: &Stage, host: HostId) -> Vec<Message> {
    let steps = stage.world.trace().steps().iter();
    steps
        .filter(|step| step.host == host)
        .filter_map(|step| Message::parse(step.action.sent()?.3.clone()).ok())
        .collect()
}

/// How many different requests of a method a host sent.
pub(crate) fn requests(stage: &Stage, host: HostId, method: &Method) -> usize {
    let requests = sent(stage, host).into_iter();
    let numbers: BTreeSet<_> = requests
        .filter_map(|message| match message {
            Message::Request(request) if request.method == *method => {
                let headers = request.headers;
                Some((
                    headers.call_id().ok()?.to_owned(),
                    headers.cseq().ok()?.number,
                ))
            }
            _ => None,
        })
        .collect();
    numbers.len()
}

/// True if a host answered a request of this method so.
pub(crate) fn answered(stage: &Stage, host: HostId, method: &Method, status: Status) -> bool {
    sent(stage, host).iter().any(|message| match message {
        Message::Response(response) => {
            let method_of = response.headers.cseq().map(|cseq| cseq.method);
            response.status == status && method_of.as_ref() == Ok(method)
        }
        Message::Request(_) => false,
    })
}

/// What the sessions of a host were told, as far as `word` has a word for it.
pub(crate) fn words(
    stage: &Stage,
    host: HostId,
    word: impl Fn(&SessionEvent) -> Option<String>,
) -> Vec<String> {
    let events = stage.world.host(host).inbox().notifications.iter();
    events
        .filter_map(|heard| match &heard.event {
            Event::Session(_, event) => word(event),
            _ => None,
        })
        .collect()
}
