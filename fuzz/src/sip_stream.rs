//! SIP over streams: what comes out does not depend on how the stream is cut, and memory is bounded.

use sip::message::{
    MAX_BODY, MAX_HEAD,
    frame::{Frame, FrameError, Framer},
};

/// Takes the first byte as the length of pieces, feeds the rest whole and in pieces, and compares.
///
/// # Panics
/// The outcomes differ, or a limit is exceeded.
pub fn sip_stream(data: &[u8]) {
    let Some((&size, stream)) = data.split_first() else {
        return;
    };
    let size = usize::from(size).max(1);
    let whole = run(stream, stream.len().max(1));
    assert_eq!(run(stream, size), whole);
    let total: usize = whole.0.iter().map(len).sum();
    assert!(total <= stream.len(), "nothing is invented");
}

fn len(frame: &Frame) -> usize {
    match frame {
        Frame::Message(message) => message.len(),
        Frame::Ping | Frame::Pong => "\r\n".len(),
    }
}

fn run(stream: &[u8], size: usize) -> (Vec<Frame>, Option<FrameError>) {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    for piece in stream.chunks(size) {
        framer.push(piece);
        loop {
            match framer.poll() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    framer.push(piece);
                    assert_eq!((framer.poll(), framer.buffered()), (Ok(None), 0));
                    return (frames, Some(error));
                }
            }
        }
        assert!(framer.buffered() <= MAX_HEAD + MAX_BODY + size);
    }
    (frames, None)
}
