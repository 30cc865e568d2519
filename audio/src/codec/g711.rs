//! ITU-T G.711: eight bits a sample, two laws.

use super::conceal::Concealer;
use super::{Codec, Description};

/// Names the two companding laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Law {
    /// The µ-law of North America and Japan: `PCMU`.
    Mu,
    /// The A-law of the rest of the world: `PCMA`.
    A,
}

impl Law {
    /// Compresses one sample as the reference programs of ITU-T G.191 do.
    #[inline]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => MU_ENCODE[(sample >> 2) as u16 as usize & (MU_ENCODE.len() - 1)],
            Self::A => A_ENCODE[(sample >> 4) as u16 as usize & (A_ENCODE.len() - 1)],
        }
    }

    /// Expands one code; the result is the middle of the interval that the code stands for.
    #[inline]
    pub const fn decode(self, code: u8) -> i16 {
        match self {
            Self::Mu => MU_DECODE[code as usize],
            Self::A => A_DECODE[code as usize],
        }
    }
}

/// Is the codec `PCMU` or `PCMA`: 8 kHz, one byte a sample, with concealment of lost packets.
#[derive(Clone, Debug)]
pub struct G711 {
    law: Law,
    concealer: Concealer,
}

impl G711 {
    /// Makes a codec of that law.
    pub fn new(law: Law) -> Self {
        Self {
            law,
            concealer: Concealer::new(PCMU.sample_rate),
        }
    }
}

impl Codec for G711 {
    fn description(&self) -> &'static Description {
        match self.law {
            Law::Mu => &PCMU,
            Law::A => &PCMA,
        }
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        // One match for all samples keeps the loop free of branches.
        match self.law {
            Law::Mu => payload.extend(samples.iter().map(|&sample| Law::Mu.encode(sample))),
            Law::A => payload.extend(samples.iter().map(|&sample| Law::A.encode(sample))),
        }
    }

    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) {
        let start = samples.len();
        match self.law {
            Law::Mu => samples.extend(payload.iter().map(|&code| Law::Mu.decode(code))),
            Law::A => samples.extend(payload.iter().map(|&code| Law::A.decode(code))),
        }
        self.concealer.heard(&mut samples[start..]);
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        self.concealer.conceal(count, samples);
    }
}

/// `PCMU/8000/1`, payload type 0 (RFC 3551, table 4).
pub const PCMU: Description = Description {
    name: "PCMU",
    clock_rate: 8_000,
    channels: 1,
    payload_type: Some(0),
    fmtp: None,
    sample_rate: 8_000,
};

/// `PCMA/8000/1`, payload type 8 (RFC 3551, table 4).
pub const PCMA: Description = Description {
    name: "PCMA",
    clock_rate: 8_000,
    channels: 1,
    payload_type: Some(8),
    fmtp: None,
    sample_rate: 8_000,
};

/// G.711, table 2: sign, three bits of segment, four of interval, all inverted on the line. The
/// 14-bit magnitude is biased by 33, so that each segment starts at a power of two.
const fn mu_compress(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 {
        (0x80, !sample >> 2)
    } else {
        (0, sample >> 2)
    };
    let biased = if magnitude + MU_BIAS > MU_MAXIMUM {
        MU_MAXIMUM
    } else {
        magnitude + MU_BIAS
    };
    let segment = (biased >> 5).ilog2() as u8;
    let interval = (biased >> (segment + 1)) as u8 & 0x0f;
    !(sign | segment << 4 | interval)
}

const fn mu_expand(code: u8) -> i16 {
    let code = !code;
    let segment = code >> 4 & 7;
    let interval = (code & 0x0f) as i16;
    // Twice the interval plus one is its middle; four of the 16-bit units make one of ours.
    let magnitude = (((interval << 1) + MU_BIAS) << segment) - MU_BIAS;
    if code & 0x80 == 0 {
        magnitude << 2
    } else {
        -(magnitude << 2)
    }
}

/// G.711, table 1: sign, three bits of segment, four of interval, even bits inverted on the line.
const fn a_compress(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 {
        (0, !sample >> 4)
    } else {
        (0x80, sample >> 4)
    };
    let code = if magnitude < 32 {
        // The first two segments have the same step.
        magnitude as u8
    } else {
        let shift = magnitude.ilog2() as u8 - 4;
        (shift + 1) << 4 | ((magnitude >> shift) as u8 & 0x0f)
    };
    (sign | code) ^ A_EVEN_BITS
}

const fn a_expand(code: u8) -> i16 {
    let code = code ^ A_EVEN_BITS;
    let segment = code >> 4 & 7;
    let interval = (code & 0x0f) as i16;
    let magnitude = if segment == 0 {
        (interval << 4) + 8
    } else {
        ((interval << 4) + 0x108) << (segment - 1)
    };
    if code & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

const fn expand_all(law: Law) -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        table[code] = match law {
            Law::Mu => mu_expand(code as u8),
            Law::A => a_expand(code as u8),
        };
        code += 1;
    }
    table
}

/// Tabulates the encoder over the high `16 - shift` bits of a sample, as two's complement.
const fn compress_all<const SIZE: usize>(law: Law, shift: u32) -> [u8; SIZE] {
    let mut table = [0; SIZE];
    let mut place = 0;
    while place < SIZE {
        let sample = ((place << shift) & 0xffff) as u16 as i16;
        table[place] = match law {
            Law::Mu => mu_compress(sample),
            Law::A => a_compress(sample),
        };
        place += 1;
    }
    table
}

const MU_BIAS: i16 = 33;
/// The largest magnitude, with bias, that the last segment holds.
const MU_MAXIMUM: i16 = 0x1fff;
const A_EVEN_BITS: u8 = 0x55;

static MU_DECODE: [i16; 256] = expand_all(Law::Mu);
static A_DECODE: [i16; 256] = expand_all(Law::A);
/// µ-law looks at the upper 14 bits of a sample, A-law at the upper 12.
static MU_ENCODE: [u8; 1 << 14] = compress_all(Law::Mu, 2);
static A_ENCODE: [u8; 1 << 12] = compress_all(Law::A, 4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoded_codes_encode_to_themselves() {
        for law in [Law::Mu, Law::A] {
            for code in 0..=255u8 {
                let back = law.encode(law.decode(code));
                // Both codes of µ-law's zero decode to it; the positive one is sent.
                let expected = if law == Law::Mu && code == 0x7f {
                    0xff
                } else {
                    code
                };
                assert_eq!(back, expected, "{law:?} {code:#04x}");
            }
        }
    }

    #[test]
    fn corners_are_those_of_the_recommendation() {
        // G.711, tables 1a, 1b, 2a and 2b: largest values, and the codes of silence.
        assert_eq!(Law::Mu.encode(i16::MAX), 0x80);
        assert_eq!(Law::Mu.encode(i16::MIN), 0x00);
        assert_eq!(Law::A.encode(i16::MAX), 0x80 ^ 0x2a);
        assert_eq!(Law::A.encode(i16::MIN), 0x2a);
        assert_eq!(Law::Mu.encode(0), 0xff);
        assert_eq!(Law::A.encode(0), 0xd5);
        assert_eq!(Law::Mu.decode(0x80), 32_124);
        assert_eq!(Law::A.decode(0xaa), 32_256);
    }

    #[test]
    fn encoding_is_monotonous_and_near() {
        for law in [Law::Mu, Law::A] {
            let mut last = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let heard = law.decode(law.encode(sample));
                assert!(heard >= last, "{law:?} {sample}");
                last = heard;
                let error = (i32::from(heard) - i32::from(sample)).abs();
                let step = (i32::from(sample).abs() / 16).max(16);
                assert!(error <= step, "{law:?} {sample} heard as {heard}");
            }
        }
    }

    #[test]
    fn the_machine_uses_its_law() {
        let mut mu = G711::new(Law::Mu);
        let mut payload = Vec::new();
        mu.encode(&[0, 1_000, -1_000], &mut payload);
        let mut samples = vec![7];
        mu.decode(&payload, &mut samples);
        assert_eq!(samples, [7, 0, 988, -988]);
        let mut other = Vec::new();
        G711::new(Law::A).encode(&[0, 1_000, -1_000], &mut other);
        assert_ne!(payload, other);
    }
}
