//! Codecs, tones, wave files, mixer and bridge for sipsimple.

#![deny(unsafe_code)]

mod bridge;
pub mod codec;
pub mod device;
pub mod measure;
pub mod mixer;
mod port;
pub mod resample;
mod ring;
mod sound;
pub mod speech;
pub mod tone;
pub mod wave;

pub use bridge::{BridgeError, BridgeId, Member, PortId};
pub use mixer::Mixer;
pub use port::AudioPort;
pub use sound::Sound;
