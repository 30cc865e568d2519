//! Sender and receiver reports (RFC 3550, 6.4).

use super::{RECEIVER_REPORT, SENDER_REPORT, take_u32, write_packet};
use crate::ParseError;
use bytes::{BufMut, BytesMut};

/// What a sender sent (RFC 3550, 6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderReport<'a> {
    /// The sender.
    pub ssrc: u32,
    /// What it sent.
    pub info: SenderInfo,
    /// What it heard, at most 31 blocks.
    pub blocks: ReportBlocks<'a>,
    /// What a profile adds.
    pub extension: &'a [u8],
}

/// What somebody heard who does not send (RFC 3550, 6.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiverReport<'a> {
    /// Who heard it.
    pub ssrc: u32,
    /// What was heard, at most 31 blocks.
    pub blocks: ReportBlocks<'a>,
    /// What a profile adds.
    pub extension: &'a [u8],
}

/// The middle part of a sender report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderInfo {
    /// Wall-clock time of the report, as NTP writes it: seconds since 1900 and their fraction.
    pub ntp: u64,
    /// The same instant on the media's clock.
    pub timestamp: u32,
    /// RTP packets sent with this SSRC.
    pub packets: u32,
    /// Payload bytes in them, without headers and padding.
    pub bytes: u32,
}

/// What was heard from one source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths of what was expected.
    pub fraction_lost: u8,
    /// Lost since the beginning, 24 bits; negative if duplicates outnumber losses.
    pub cumulative_lost: i32,
    /// The highest sequence number heard, with the count of its cycles in the upper 16 bits.
    pub highest_sequence: u32,
    /// Interarrival jitter in units of the media's clock.
    pub jitter: u32,
    /// The middle 32 bits of the NTP time in the last sender report of this source; 0 if none came.
    pub last_sender_report: u32,
    /// How long ago that report came, in 65,536ths of a second; 0 if none came.
    pub delay: u32,
}

/// Report blocks as they stand on the wire, read one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    fn parse(count: u8, body: &'a [u8], at: usize) -> Result<(Self, &'a [u8]), ParseError> {
        let len = usize::from(count) * BLOCK;
        let (bytes, rest) = body
            .split_at_checked(len)
            .ok_or_else(|| ParseError::truncated("report block", at))?;
        Ok((Self { bytes }, rest))
    }

    /// Walks the blocks in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ReportBlock> + use<'a> {
        self.bytes.chunks_exact(BLOCK).map(|b| {
            let word = |at: usize| u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
            ReportBlock {
                ssrc: word(0),
                fraction_lost: b[4],
                // Shifted up and down again to carry the sign of 24 bits.
                cumulative_lost: (word(4) << 8) as i32 >> 8,
                highest_sequence: word(8),
                jitter: word(12),
                last_sender_report: word(16),
                delay: word(20),
            }
        })
    }

    /// How many blocks there are; the wire has five bits for it.
    fn count(&self) -> u8 {
        (self.bytes.len() / BLOCK) as u8
    }
}

impl ReportBlock {
    fn write(&self, out: &mut BytesMut) {
        let lost = self.cumulative_lost.clamp(LOST_MIN, LOST_MAX) as u32 & 0x00ff_ffff;
        out.put_u32(self.ssrc);
        out.put_u32(u32::from(self.fraction_lost) << 24 | lost);
        out.put_u32(self.highest_sequence);
        out.put_u32(self.jitter);
        out.put_u32(self.last_sender_report);
        out.put_u32(self.delay);
    }
}

impl SenderInfo {
    fn write(&self, out: &mut BytesMut) {
        out.put_u64(self.ntp);
        out.put_u32(self.timestamp);
        out.put_u32(self.packets);
        out.put_u32(self.bytes);
    }
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let (ssrc, rest) = take_u32(body, "sender report", at)?;
        let truncated = ParseError::truncated("sender info", at + 4);
        let (info, rest) = rest.split_first_chunk::<INFO>().ok_or(truncated)?;
        let word =
            |at: usize| u32::from_be_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
        let (blocks, extension) = ReportBlocks::parse(count, rest, at + 4 + INFO)?;
        let info = SenderInfo {
            ntp: u64::from(word(0)) << 32 | u64::from(word(4)),
            timestamp: word(8),
            packets: word(12),
            bytes: word(16),
        };
        Ok(Self {
            ssrc,
            info,
            blocks,
            extension,
        })
    }

    /// Appends the report as it stands on the wire.
    pub fn write(&self, out: &mut BytesMut) {
        write_packet(out, SENDER_REPORT, self.blocks.count(), |out| {
            out.put_u32(self.ssrc);
            self.info.write(out);
            out.put_slice(self.blocks.bytes);
            out.put_slice(self.extension);
        });
    }
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8], at: usize) -> Result<Self, ParseError> {
        let (ssrc, rest) = take_u32(body, "receiver report", at)?;
        let (blocks, extension) = ReportBlocks::parse(count, rest, at + 4)?;
        Ok(Self {
            ssrc,
            blocks,
            extension,
        })
    }

    /// Appends the report as it stands on the wire.
    pub fn write(&self, out: &mut BytesMut) {
        write_packet(out, RECEIVER_REPORT, self.blocks.count(), |out| {
            out.put_u32(self.ssrc);
            out.put_slice(self.blocks.bytes);
            out.put_slice(self.extension);
        });
    }
}

/// Appends a report made of its parts: a sender report if there is something sent to tell of. Blocks
/// beyond the 31 that one packet has room for are left out.
pub(crate) fn write_report(
    out: &mut BytesMut,
    ssrc: u32,
    info: Option<SenderInfo>,
    blocks: impl Iterator<Item = ReportBlock>,
) {
    let start = out.len();
    let packet_type = if info.is_some() {
        SENDER_REPORT
    } else {
        RECEIVER_REPORT
    };
    let mut count = 0;
    write_packet(out, packet_type, 0, |out| {
        out.put_u32(ssrc);
        if let Some(info) = info {
            info.write(out);
        }
        for block in blocks.take(MAX_BLOCKS) {
            block.write(out);
            count += 1;
        }
    });
    out[start] |= count;
}

const BLOCK: usize = 24;
const INFO: usize = 20;
/// The most that the five bits of the count can say.
const MAX_BLOCKS: usize = 31;
/// The range of the 24 bits of the cumulative loss.
const LOST_MAX: i32 = 0x007f_ffff;
const LOST_MIN: i32 = -0x0080_0000;
