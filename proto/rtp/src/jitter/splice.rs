//! One line of positions out of the sequences of all sources that were followed.

use crate::Frame;

/// Gives each frame a position that rises over changes of source and sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    followed: Option<Followed>,
    /// Frames of somebody else who may become the one to follow.
    waiting: Vec<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct Followed {
    ssrc: u32,
    /// The highest sequence number that came.
    newest: u64,
    /// What is added to sequence numbers, modulo 2^64.
    offset: u64,
    /// The first position that belongs to this sequence.
    begin: u64,
}

/// Where a frame belongs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Position {
    At(u64),
    /// To no sequence that is followed; `abandoned` frames that waited are given up for it.
    Apart {
        abandoned: u8,
    },
}

impl Line {
    /// Finds the position of a frame.
    pub(super) fn place(&mut self, frame: &Frame) -> Position {
        let Some(followed) = &mut self.followed else {
            let begin = FIRST;
            self.followed = Some(Followed {
                ssrc: frame.ssrc,
                newest: frame.sequence,
                offset: begin.wrapping_sub(frame.sequence),
                begin: begin - MISORDER,
            });
            return Position::At(begin);
        };
        let ahead = frame.sequence.wrapping_sub(followed.newest) as i64;
        if frame.ssrc == followed.ssrc && (-(MISORDER as i64)..DROPOUT).contains(&ahead) {
            if ahead > 0 {
                followed.newest = frame.sequence;
                // Whoever speaks on stays the one to follow.
                self.waiting.clear();
            }
            return Position::At(frame.sequence.wrapping_add(followed.offset));
        }
        let near = |other: &Frame| {
            let apart = frame.sequence.wrapping_sub(other.sequence) as i64;
            other.ssrc == frame.ssrc && apart != 0 && apart.unsigned_abs() <= RESTART_WINDOW
        };
        if self.waiting.iter().all(near) {
            return Position::Apart { abandoned: 0 };
        }
        let abandoned = self.waiting.len() as u8;
        self.waiting.clear();
        Position::Apart { abandoned }
    }

    /// Lets a frame wait; true if that makes enough of its kind to follow them.
    pub(super) fn wait(&mut self, frame: Frame) -> bool {
        self.waiting.push(frame);
        self.waiting.len() == PROOF
    }

    /// Follows those who wait, and returns them.
    pub(super) fn switch(&mut self) -> Vec<Frame> {
        let frames = std::mem::take(&mut self.waiting);
        let lowest = frames.iter().map(|frame| frame.sequence).min();
        if let (Some(lowest), Some(followed), Some(first)) =
            (lowest, &mut self.followed, frames.first())
        {
            let begin = followed.newest.wrapping_add(followed.offset) + 1;
            // Room below for packets that were overtaken at the change.
            let at = begin + MISORDER;
            let offset = at.wrapping_sub(lowest);
            *followed = Followed {
                ssrc: first.ssrc,
                newest: lowest,
                offset,
                begin,
            };
        }
        frames
    }

    /// How many frames are missing between `next` and `position`: none across a change.
    pub(super) fn missing(&self, next: u64, position: u64) -> u64 {
        match &self.followed {
            Some(followed) if next <= followed.begin && followed.begin <= position => 0,
            Some(_) | None => position.saturating_sub(next),
        }
    }
}

/// The first position, with room below for packets that the first one overtook.
const FIRST: u64 = 1 << 16;
/// How far behind the newest a frame may be (RFC 3550, A.1): further back is another sequence.
const MISORDER: u64 = 100;
/// How far ahead of the newest a frame may be (RFC 3550, A.1).
const DROPOUT: i64 = 3_000;
/// How near to each other two frames must be to belong together.
const RESTART_WINDOW: u64 = 16;
/// Frames in a row that make somebody the one to follow.
const PROOF: usize = 2;
