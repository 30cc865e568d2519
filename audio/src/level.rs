//! How loud samples are.

/// Returns the RMS level in dBFS; −∞ for silence.
///
/// 0 dBFS is a square wave over the full scale, so that the loudest undistorted sine has −3.01.
pub fn level(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return f64::NEG_INFINITY;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    decibels(sum / samples.len() as f64 / 32_768f64.powi(2))
}

/// Returns a ratio of powers in dB.
pub(crate) fn decibels(ratio: f64) -> f64 {
    10.0 * ratio.log10()
}
