//! Codecs, tones, wave files, mixer and bridge for sipsimple.

#![deny(unsafe_code)]
