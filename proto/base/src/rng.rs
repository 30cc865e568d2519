//! Seeded randomness that can be split, one per machine.

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use std::fmt;

/// ChaCha20 seeded by the owner; each machine gets a [`fork`](Self::fork) of its own, so that a draw
/// added to one machine does not shift the others. Secrets come from it: `Debug` prints nothing.
#[derive(Clone)]
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// Starts from 32 bytes; the same bytes give the same sequence on every machine.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Splits off an independent generator.
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.seed())
    }

    /// Splits off an independent generator that takes little room; it draws what a
    /// [`fork`](Self::fork) in its place would have drawn.
    pub fn fork_seldom(&mut self) -> SeldomRng {
        SeldomRng {
            seed: self.seed(),
            position: 0,
        }
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    /// Draws 32 bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Draws 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws a number below `bound`, or 0 if `bound` is 0; the bias is below 2⁻³².
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.u32()) * u64::from(bound)) >> 32) as u32
    }

    /// Draws a number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Appends `count` random characters of `[a-z0-9]`, five bits of randomness each: a token for
    /// tags, branches and Call-IDs (RFC 3261, 25.1) that also stands in a URI unescaped.
    pub fn push_token(&mut self, count: usize, out: &mut String) {
        for _ in 0..count {
            out.push(ALPHABET[(self.u32() >> 27) as usize] as char);
        }
    }

    /// Draws a token of `count` characters; see [`push_token`](Self::push_token).
    pub fn token(&mut self, count: usize) -> String {
        let mut out = String::with_capacity(count);
        self.push_token(count, &mut out);
        out
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

/// A generator for what stands long and draws rarely: 40 bytes instead of the 304 of [`Rng`], which keeps
/// four blocks of ChaCha20 ahead. Each draw makes them anew.
#[derive(Clone)]
pub struct SeldomRng {
    seed: [u8; 32],
    /// In words of 32 bits.
    position: u64,
}

impl SeldomRng {
    /// Lets `draw` have the generator where it stood; draws that belong together cost as one.
    pub fn draw<T>(&mut self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        let mut generator = ChaCha20Rng::from_seed(self.seed);
        generator.set_word_pos(self.position.into());
        let mut rng = Rng(generator);
        let drawn = draw(&mut rng);
        // Nobody draws 2^64 words.
        self.position = rng.0.get_word_pos() as u64;
        drawn
    }
}

impl fmt::Debug for SeldomRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeldomRng")
    }
}

// No `l`, `o`, `0`, `1`: people read tags aloud.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_do_not_shift_each_other() {
        let mut a = Rng::from_seed([1; 32]);
        let mut b = a.clone();
        let mut fork_a = a.fork();
        let mut fork_b = b.fork();
        fork_a.u64();
        assert_eq!(a.u64(), b.u64());
        assert_ne!(fork_a.u64(), fork_b.u64());
    }

    #[test]
    fn bounds_and_tokens() {
        let mut rng = Rng::from_seed([2; 32]);
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit())));
        let token = rng.token(20);
        assert_eq!(token.len(), 20);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric()));
    }

    #[test]
    fn who_draws_seldom_draws_the_same() {
        let mut parent = Rng::from_seed([4; 32]);
        let mut rng = parent.clone().fork();
        let mut seldom = parent.fork_seldom();
        for count in [0, 1, 7, 20, 63, 64, 65, 3] {
            assert_eq!(seldom.draw(|rng| rng.token(count)), rng.token(count));
            assert_eq!(seldom.draw(Rng::u64), rng.u64());
            assert_eq!(seldom.draw(Rng::u32), rng.u32());
        }
    }

    #[test]
    fn debug_shows_no_state() {
        let mut rng = Rng::from_seed([3; 32]);
        assert_eq!(format!("{rng:?} {:?}", rng.fork_seldom()), "Rng SeldomRng");
    }
}
