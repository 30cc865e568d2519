//! Codecs, tones, WAV files, mixer and bridge: the sound of a softphone, without its hardware.
//!
//! | part | what it does |
//! |---|---|
//! | [`codec`] | G.711 with concealment of losses, and the names of codecs in SDP |
//! | [`Mixer`] | ports and bridges: everybody in a bridge hears all others, 10 ms at a time |
//! | [`Engine`] | the thread that runs a mixer in real time |
//! | [`Track`] | the port of an RTP stream: jitter buffer and codec, frames in and out |
//! | [`wave`] | WAV files: read, written, and as ports played and recorded |
//! | [`tone`] | sines and DTMF, made and recognised |
//! | [`device`] | ports of sound cards, and one that is not there |
//! | [`measure`] | level, pitch, and whether what was heard is what was sent |
//! | [`speech`] | something like speech, for tests |
//! | [`Sound`], [`resample`] | sound in memory, and its sample rate |
//!
//! All of it except [`Engine`] is made of plain machines: no clock, no thread, no lock. All sound
//! is mono, in samples of 16 bits.
//!
//! Two tones in a bridge, and who hears what:
//!
//! ```
//! use std::time::Instant;
//!
//! use audio::{Mixer, Sound, device::Null, measure, mixer::TICK, tone::Tone};
//!
//! let mut mixer = Mixer::new(8_000)?;
//! let bridge = mixer.open_bridge();
//! let (mut device, port) = Null::new(8_000);
//! let device_port = mixer.add(port)?;
//! let tone = mixer.add(Tone::new(8_000, 440.0, -20.0))?;
//! mixer.join(bridge, device_port)?;
//! mixer.join(bridge, tone)?;
//!
//! let start = Instant::now();
//! let mut heard = Vec::new();
//! for tick in 0..100 {
//!     mixer.tick(start + TICK * tick);
//!     heard.extend(device.advance(TICK));
//! }
//! let heard = Sound::new(8_000, heard);
//! assert_eq!(measure::dominant_frequency(&heard).map(f64::round), Some(440.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(unsafe_code)]

mod bridge;
pub mod codec;
pub mod device;
pub mod engine;
pub mod frame;
mod level;
pub mod measure;
pub mod mixer;
mod port;
pub mod resample;
mod ring;
mod shorten;
mod sound;
pub mod speech;
pub mod tone;
pub mod track;
pub mod wave;

pub use bridge::{BridgeError, BridgeId, Member, PortId};
pub use engine::Engine;
pub use mixer::Mixer;
pub use port::AudioPort;
pub use sound::Sound;
pub use track::Track;
