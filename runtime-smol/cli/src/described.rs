//! What can be told about the media of calls: the `media` object, on the last line and while the call stands.

use crate::{print::Printer, runtime::Runtime};
use serde_json::{Value, json};
use sipsimple::{
    agent::{StreamId, UserAgent},
    stream::{CheckedPair, audio::AudioStream},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The `media` objects of streams. Whoever wants one must have asked before the stream is over: a peer that
/// hangs up takes it away at once.
#[derive(Default)]
pub(crate) struct Described {
    known: BTreeMap<StreamId, Value>,
    looked: Option<Instant>,
    told: Option<Instant>,
}

impl Described {
    /// Looks at a stream from now on.
    pub(crate) fn add(&mut self, stream: StreamId) {
        self.known.entry(stream).or_default();
        self.looked = None;
    }

    /// Looks at all streams, if it is time to, and tells of them once in a while, if anybody wants to know.
    pub(crate) fn refresh(&mut self, runtime: &Runtime, printer: Option<&Printer>) {
        self.look(runtime);
        let Some(printer) = printer else { return };
        let now = Instant::now();
        let told = self.told.get_or_insert(now);
        if now.saturating_duration_since(*told) < TELL {
            return;
        }
        *told = now;
        for (stream, media) in &self.known {
            if media["codec"].is_string() {
                printer.media(*stream, media, &line(media));
            }
        }
    }

    fn look(&mut self, runtime: &Runtime) {
        let now = Instant::now();
        let is_fresh = self
            .looked
            .is_some_and(|at| now.saturating_duration_since(at) < LOOK);
        if self.known.is_empty() || is_fresh {
            return;
        }
        self.looked = Some(now);
        let streams: Vec<StreamId> = self.known.keys().copied().collect();
        let all = runtime.call(move |agent, _| -> Vec<_> {
            let described = streams.into_iter().map(|id| (id, describe(agent, id)));
            described
                .filter_map(|(id, described)| Some((id, described?)))
                .collect()
        });
        self.known.extend(all.into_iter().flatten());
    }

    /// Keeps what became of ICE where it found no way: with the stream it is gone.
    pub(crate) fn add_ice_failure(
        &mut self,
        stream: StreamId,
        reason: &str,
        checked: &[CheckedPair],
    ) {
        let ice = json!({"state": "failed", "reason": reason, "checked": checked});
        match self.known.entry(stream).or_default() {
            Value::Object(media) => {
                media.insert("ice".to_owned(), ice);
            }
            media => *media = json!({ "ice": ice }),
        }
    }

    /// What is known of a stream that ends.
    pub(crate) fn take(&mut self, runtime: &Runtime, stream: StreamId) -> Option<Value> {
        self.looked = None;
        self.look(runtime);
        self.known.remove(&stream)
    }
}

fn describe(agent: &UserAgent, stream: StreamId) -> Option<Value> {
    let stream = agent.stream::<AudioStream>(stream)?;
    let format = stream.format()?;
    let statistics = stream.statistics()?;
    let encryption = stream.encryption();
    Some(json!({
        "codec": format.codec,
        "sample_rate": format.sample_rate,
        "srtp": encryption.is_some(),
        "srtp_method": encryption.map(|known| known.method),
        "srtp_cipher": encryption.map(|known| known.cipher),
        "srtp_keys_in_clear": encryption.map(|known| known.keys_in_clear),
        "srtp_discarded": encryption.map(|known| known.discarded),
        "ice": stream.ice().map_or(json!(false), |ice| json!({
            "state": ice.state,
            "rtp": ice.rtp,
            "rtcp": ice.rtcp,
            "checked": ice.checked,
            "relays": ice.relays,
        })),
        "rtcp_mux": stream.is_rtcp_muxed(),
        "packets_sent": statistics.packets_sent,
        "bytes_sent": statistics.bytes_sent,
        "packets_received": statistics.packets_received,
        "bytes_received": statistics.bytes_received,
        "lost": statistics.packets_lost,
        "jitter_ms": statistics.jitter_ms,
        "rtt_ms": statistics.round_trip_ms,
        "local": stream.local_address().map(|address| address.to_string()),
        "remote": stream.remote_address_described().map(|address| address.to_string()),
        "remote_received": stream.remote_address_received().map(|address| address.to_string()),
    }))
}

/// What people want to know of a call that stands.
fn line(media: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let srtp = match media["srtp"] == true {
        true => format!("SRTP {}", text(&media["srtp_cipher"])),
        false => "no SRTP".to_owned(),
    };
    let pair = &media["ice"]["rtp"];
    let ice = match pair.is_object() {
        true => format!(
            "ICE {} to {}",
            text(&pair["local_type"]),
            text(&pair["remote_type"])
        ),
        false => "no ICE".to_owned(),
    };
    let round_trip = media["rtt_ms"]
        .as_f64()
        .map_or_else(String::new, |ms| format!(", round trip {ms:.1} ms"));
    format!(
        "{} {} Hz, {srtp}, {ice}: sent {}, received {}, lost {}, jitter {:.1} ms{round_trip}",
        text(&media["codec"]),
        media["sample_rate"],
        media["packets_sent"],
        media["packets_received"],
        media["lost"],
        media["jitter_ms"].as_f64().unwrap_or_default(),
    )
}

/// Between two looks at the counters of streams.
const LOOK: Duration = Duration::from_millis(200);
/// Between two lines about them.
const TELL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use sipsimple::base::Key as _;

    /// AUS-26: what was looked at in vain stands on the last line, whether the call stood or not.
    #[test]
    fn aus_26_a_failure_of_ice_is_kept() {
        let mut described = Described::default();
        let streams = [1, 2].map(|number| StreamId::from_parts(0, number));
        described
            .known
            .insert(streams[1], json!({"codec": "PCMU", "ice": false}));
        for stream in streams {
            described.add_ice_failure(stream, "no way", &[]);
        }
        let ice = json!({"state": "failed", "reason": "no way", "checked": []});
        assert_eq!(described.known[&streams[0]], json!({ "ice": ice }));
        let kept = json!({"codec": "PCMU", "ice": ice});
        assert_eq!(described.known[&streams[1]], kept);
    }

    #[test]
    fn the_line_says_what_people_ask_for() {
        let mut media = json!({
            "codec": "PCMU", "sample_rate": 8000, "srtp": false, "ice": false, "packets_sent": 250,
            "packets_received": 248, "lost": 2, "jitter_ms": 1.26, "rtt_ms": null,
        });
        let counts = "sent 250, received 248, lost 2, jitter 1.3 ms";
        assert_eq!(
            line(&media),
            format!("PCMU 8000 Hz, no SRTP, no ICE: {counts}")
        );
        media["srtp"] = true.into();
        media["srtp_cipher"] = "AEAD_AES_256_GCM".into();
        media["ice"] = json!({"rtp": {"local_type": "host", "remote_type": "srflx"}});
        media["rtt_ms"] = 20.04.into();
        assert_eq!(
            line(&media),
            format!(
                "PCMU 8000 Hz, SRTP AEAD_AES_256_GCM, ICE host to srflx: {counts}, round trip 20.0 ms"
            )
        );
    }
}
