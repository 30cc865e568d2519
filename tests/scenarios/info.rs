//! INFO (RFC 6086): beside the call, in order, once each.

use crate::{
    hold::up,
    line::{PATIENCE, answered, words},
    runs::Matrix,
};
use simulator::{HostId, Stage};
use sip::{InfoRequest, Method, Status};
use sipsimple::{
    agent::{Connect, InformError, SessionId},
    event::{Event, SessionEvent, StreamEvent},
    stream::{
        DigitMode, StreamSpec,
        audio::{self, SendDtmf},
    },
};
use std::time::Duration;

fn inform(
    stage: &mut Stage,
    host: HostId,
    id: SessionId,
    info: InfoRequest,
) -> Result<(), InformError> {
    stage.agent(host, "inform", |agent, now| agent.inform(now, id, info))
}

fn heard(stage: &Stage, host: HostId) -> Vec<String> {
    words(stage, host, |event| match event {
        SessionEvent::GotInfo(info) => Some(String::from_utf8_lossy(&info.body).into_owned()),
        _ => None,
    })
}

/// What was asked for arrives in its order, whatever the network does to it; both ways at once.
#[test]
fn infos_arrive_in_order() {
    Matrix {
        sip: |_, sip| sip.info.packages = Some(vec!["chess".to_owned()]),
        ..Matrix::new("INFO")
    }
    .run("all", |stage| {
        let (ours, theirs) = match up(stage) {
            Ok(both) => both,
            // Nothing was said.
            Err(_) if stage.setup().loss() > 0.0 => return "all".to_owned(),
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        for (host, id) in [(alice, ours), (bob, theirs)] {
            for text in ["e4", "e5", "Nf3"] {
                let info = InfoRequest::of_package("chess", "text/plain", text);
                inform(stage, host, id, info).unwrap();
            }
        }
        stage.world.run_for(PATIENCE);
        let unwanted = InfoRequest::of_package("go", "text/plain", "c3");
        assert!(inform(stage, alice, ours, unwanted).is_err());
        match (heard(stage, alice), heard(stage, bob)) {
            (ours, theirs) if ours == theirs && ours == ["e4", "e5", "Nf3"] => "all".to_owned(),
            heard => format!("{heard:?}"),
        }
    });
}

/// RFC 6086, 4.2.2: a type that the peer does not take without a package is refused, and the call goes on.
#[test]
fn an_unknown_info_is_refused() {
    Matrix::new("INFO refused").run("415", |stage| {
        let (ours, _) = match up(stage) {
            Ok(both) => both,
            Err(_) if stage.setup().loss() > 0.0 => return "415".to_owned(),
            Err(label) => return label,
        };
        let (alice, bob) = (stage.alice, stage.bob());
        let odd = InfoRequest::legacy("application/x-odd", "odd");
        inform(stage, alice, ours, odd).unwrap();
        stage.world.run_for(PATIENCE);
        assert_eq!(heard(stage, bob), [""; 0]);
        assert!(answered(
            stage,
            bob,
            &Method::Info,
            Status::UNSUPPORTED_MEDIA_TYPE
        ));
        let codes = words(stage, alice, |event| match event {
            SessionEvent::DidProcessTransaction { method, code, .. } if method == "INFO" => {
                Some(code.to_string())
            }
            _ => None,
        });
        codes.join(" ")
    });
}

/// AUS-09: digits by INFO, where the settings say so: each once, in their order.
#[test]
fn aus_09_digits_arrive_by_info() {
    Matrix {
        configure: |_, config| config.media.digits = DigitMode::Info,
        ..Matrix::new("digits in INFO")
    }
    .run("1#2", |stage| {
        let (alice, bob) = (stage.alice, stage.bob());
        stage.answer(bob, Duration::ZERO, Duration::ZERO);
        let connect = Connect::new(stage.bob_uri(), vec![StreamSpec::new(audio::KIND)]);
        let call = stage.agent(alice, "connect", |agent, now| {
            agent.connect(now, connect).unwrap()
        });
        crate::call::wait(stage, alice, call, PATIENCE);
        if crate::call::both(stage, call) != "connected" {
            assert!(stage.setup().loss() > 0.0);
            return "1#2".to_owned();
        }
        let agent = stage.world.node::<sipsimple::agent::UserAgent>(alice);
        let stream = agent.session(call).unwrap().streams[0];
        for digit in ['1', '#', '2'] {
            stage
                .agent(alice, "digit", |agent, now| {
                    let digit = digit.try_into().unwrap();
                    agent.command(now, stream, SendDtmf::new(digit))
                })
                .unwrap()
                .unwrap();
        }
        stage.world.run_for(PATIENCE);
        let events = stage.world.host(bob).inbox().notifications.iter();
        events
            .filter_map(|heard| match &heard.event {
                Event::Stream(_, StreamEvent::GotDtmf { digit }) => Some(*digit),
                _ => None,
            })
            .collect()
    });
}
