//! The fast Fourier transform, for measurements.

use std::f64::consts::TAU;
use std::ops::{Add, Mul, Sub};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    pub(super) const ZERO: Self = Self::real(0.0);

    pub(super) const fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    pub(super) fn conjugate(self) -> Self {
        Self {
            re: self.re,
            im: -self.im,
        }
    }

    pub(super) fn power(self) -> f64 {
        self.re * self.re + self.im * self.im
    }
}

impl Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

impl Sub for Complex {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }
}

impl Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }
}

/// Holds the roots of unity for one size.
#[derive(Debug)]
pub(super) struct Fourier {
    size: usize,
    roots: Vec<Complex>,
}

impl Fourier {
    /// Prepares transforms of `size` values, a power of two.
    pub(super) fn new(size: usize) -> Self {
        debug_assert!(size.is_power_of_two());
        let roots = (0..size / 2)
            .map(|n| {
                let (im, re) = (-TAU * n as f64 / size as f64).sin_cos();
                Complex { re, im }
            })
            .collect();
        Self { size, roots }
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Transforms in place (Cooley and Tukey, decimation in time).
    pub(super) fn forward(&self, values: &mut [Complex]) {
        let bits = self.size.trailing_zeros();
        for place in 0..self.size {
            let mirrored = place.reverse_bits() >> (usize::BITS - bits).min(usize::BITS - 1);
            if place < mirrored {
                values.swap(place, mirrored);
            }
        }
        let mut half = 1;
        while half < self.size {
            let stride = self.size / (half * 2);
            for block in values.chunks_exact_mut(half * 2) {
                let (low, high) = block.split_at_mut(half);
                for (n, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let turned = *b * self.roots[n * stride];
                    (*a, *b) = (*a + turned, *a - turned);
                }
            }
            half *= 2;
        }
    }

    /// Transforms back in place, without the factor of `1 / size`.
    pub(super) fn backward(&self, values: &mut [Complex]) {
        self.forward(values);
        values[1..].reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let size = 16;
        let values: Vec<Complex> = (0..size)
            .map(|n| Complex {
                re: f64::from(n * n % 7),
                im: f64::from(n % 3),
            })
            .collect();
        let mut fast = values.clone();
        Fourier::new(16).forward(&mut fast);
        for (k, fast) in fast.iter().enumerate() {
            let mut slow = Complex::ZERO;
            for (n, &value) in values.iter().enumerate() {
                let (im, re) = (-TAU * (k * n) as f64 / f64::from(size)).sin_cos();
                slow = slow + value * Complex { re, im };
            }
            assert!((*fast - slow).power() < 1e-18);
        }
    }

    #[test]
    fn back_is_where_it_started() {
        let values: Vec<Complex> = (0..64)
            .map(|n| Complex::real(f64::from(n * 5 % 11)))
            .collect();
        let mut there = values.clone();
        let fourier = Fourier::new(64);
        fourier.forward(&mut there);
        fourier.backward(&mut there);
        for (there, value) in there.iter().zip(values) {
            assert!((*there - value * Complex::real(64.0)).power() < 1e-12);
        }
    }
}
