//! Codecs, tones, wave files, mixer and bridge for sipsimple.

#![deny(unsafe_code)]

pub mod codec;
pub mod measure;
mod port;
pub mod resample;
mod sound;
pub mod speech;
pub mod tone;
pub mod wave;

pub use port::AudioPort;
pub use sound::Sound;
