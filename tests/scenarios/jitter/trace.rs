//! What networks do to packets: models with a seed.

use base::Rng;

/// A packet of a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    /// 20 ms of speech, or the beginning of noise.
    pub(super) is_noise: bool,
    /// When the fastest packet that was spoken at this time would come, in microseconds.
    pub(super) earliest: i64,
    /// When it comes, `None` for never.
    pub(super) arrival: Option<i64>,
}

/// Packets in order of their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    pub(super) packets: Vec<Packet>,
    pub(super) clock_rate: u32,
    /// The length of a packet in microseconds.
    pub(super) length: i64,
}

impl Trace {
    /// The jitter that 95 of 100 packets stay below, in milliseconds.
    pub(super) fn p95(&self) -> f64 {
        let mut jitter: Vec<i64> = self
            .packets
            .iter()
            .filter_map(|packet| Some(packet.arrival? - packet.earliest))
            .collect();
        jitter.sort_unstable();
        jitter[jitter.len() * 95 / 100] as f64 / 1e3
    }

    pub(super) fn lost(&self) -> usize {
        let lost = |packet: &&Packet| packet.arrival.is_none();
        self.packets.iter().filter(lost).count()
    }
}

/// What happens on the way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network {
    /// Nothing.
    Steady,
    /// A bell with this deviation, in milliseconds.
    Gaussian(f64),
    /// Anything up to so many milliseconds.
    Uniform(f64),
    /// For a second in each four everything is tripled: a neighbour who loads the line.
    Bursts(f64),
    /// Each five seconds everything is held back for so long, and then comes at once.
    Spikes(f64),
    /// A speaker's clock that is so many millionths faster, and a little jitter.
    Drift(f64),
    /// After 20 s the way is so much longer, after 40 s as short as before.
    Route(f64),
    /// Speech for a second, noise for one and a half (RFC 3389), and a bell.
    Spurts(f64),
}

impl Network {
    pub(super) const ALL: [(&'static str, Self); 17] = [
        ("steady", Self::Steady),
        ("gaussian 2 ms", Self::Gaussian(2.0)),
        ("gaussian 10 ms", Self::Gaussian(10.0)),
        ("gaussian 25 ms", Self::Gaussian(25.0)),
        ("uniform 20 ms", Self::Uniform(20.0)),
        ("uniform 40 ms", Self::Uniform(40.0)),
        ("uniform 60 ms", Self::Uniform(60.0)),
        ("uniform 100 ms", Self::Uniform(100.0)),
        ("bursts 5 ms", Self::Bursts(5.0)),
        ("bursts 15 ms", Self::Bursts(15.0)),
        ("spikes 100 ms", Self::Spikes(100.0)),
        ("spikes 300 ms", Self::Spikes(300.0)),
        ("drift +200 ppm", Self::Drift(200.0)),
        ("drift -200 ppm", Self::Drift(-200.0)),
        ("route +80 ms", Self::Route(80.0)),
        ("route -30 ms", Self::Route(-30.0)),
        ("spurts 10 ms", Self::Spurts(10.0)),
    ];

    /// A minute of it, `loss` of a hundred packets lost at random.
    pub(super) fn trace(self, loss: u32, seed: u8) -> Trace {
        let mut rng = Rng::from_seed([seed; 32]);
        let mut packets = Vec::new();
        let mut held = 0.0f64;
        for number in 0..3_000u32 {
            let spoken = f64::from(number) * 20.0;
            let in_cycle = number % 125;
            let is_noise = matches!(self, Self::Spurts(_)) && in_cycle == 50;
            if matches!(self, Self::Spurts(_)) && in_cycle > 50 {
                continue;
            }
            let earliest = 50.0
                + match self {
                    Self::Drift(ppm) => spoken * (1.0 - ppm / 1e6),
                    Self::Route(longer) if (1_000..2_000).contains(&number) => spoken + longer,
                    _ => spoken,
                };
            let jitter = match self {
                Self::Steady => 0.0,
                Self::Gaussian(deviation) | Self::Spurts(deviation) => bell(&mut rng, deviation),
                Self::Uniform(most) => most * rng.unit(),
                Self::Bursts(deviation) if number % 200 < 50 => bell(&mut rng, 3.0 * deviation),
                Self::Bursts(deviation) => bell(&mut rng, deviation),
                Self::Spikes(length) => {
                    if number % 250 == 100 {
                        held = earliest + length;
                    }
                    (held - earliest).max(0.0) + 2.0 * rng.unit()
                }
                Self::Drift(_) | Self::Route(_) => bell(&mut rng, 2.0),
            };
            let is_lost = rng.below(100) < loss;
            packets.push(Packet {
                sequence: packets.len() as u64 + 65_500,
                timestamp: (number * 160).wrapping_add(0xffff_f000),
                is_noise,
                earliest: (earliest * 1e3) as i64,
                arrival: (!is_lost).then_some(((earliest + jitter) * 1e3) as i64),
            });
        }
        Trace {
            packets,
            clock_rate: 8_000,
            length: 20_000,
        }
    }
}

/// A bell around three deviations that ends at none and at six.
fn bell(rng: &mut Rng, deviation: f64) -> f64 {
    let sum: f64 = (0..12).map(|_| rng.unit()).sum();
    (sum - 3.0).clamp(0.0, 6.0) * deviation
}
