//! The wire of a run as a capture file, for the tools that read such files.

use crate::trace::{Action, Fate, Trace};
use sipsimple::capture::Capture;

impl Trace {
    /// Writes everything that was put on the wire as a capture file.
    ///
    /// What was lost on the way is in it, as in a capture at the sender; what a test took out by
    /// itself is not. Of connections only the bytes are shown, in segments of one write each.
    pub fn pcap(&self) -> Vec<u8> {
        let mut capture = Capture::new();
        for step in self.steps() {
            if let Action::Send {
                fate: Fate::Intercepted,
                ..
            } = &step.action
            {
                continue;
            }
            if let Some((transport, from, to, payload)) = step.action.sent() {
                capture.add(step.at, transport, from, to, payload);
            }
        }
        capture.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HostId;
    use bytes::Bytes;
    use std::time::Duration;

    #[test]
    fn what_was_sent_is_in_the_capture_and_what_was_taken_out_is_not() {
        let mut trace = Trace::default();
        for (payload, fate) in [
            (&b"hello"[..], Fate::Lost),
            (&b"other"[..], Fate::Intercepted),
        ] {
            let send = Action::Send {
                packet: 1,
                from: "10.0.0.1:5060".parse().unwrap(),
                to: "10.0.0.2:5070".parse().unwrap(),
                payload: Bytes::from_static(payload),
                fate,
            };
            trace.push(Duration::from_millis(1_500), HostId::new(0), send);
        }
        let pcap = trace.pcap();
        let has = |text: &[u8]| pcap.windows(text.len()).any(|window| window == text);
        assert!(has(b"hello") && !has(b"other"));
    }
}
