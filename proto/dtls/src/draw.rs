//! Where the provider draws from: the generator of the association that is running, and nothing else.

use base::Rng;
use std::{cell::RefCell, mem};

thread_local! {
    /// Providers are static and the generators of associations are not: one is lent for as long as a call
    /// lasts, and taken back at its end.
    static LENT: RefCell<Option<Rng>> = const { RefCell::new(None) };
}

/// Runs `call`, which draws from `rng`.
pub(crate) fn lend<T>(rng: &mut Rng, call: impl FnOnce() -> T) -> T {
    let own = mem::replace(rng, Rng::from_seed([0; 32]));
    let before = LENT.with(|lent| lent.replace(Some(own)));
    let result = call();
    if let Some(own) = LENT.with(|lent| lent.replace(before)) {
        *rng = own;
    }
    result
}

/// Fills `bytes`; false if nothing is lent.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    LENT.with(|lent| {
        let mut lent = lent.borrow_mut();
        let rng = lent.as_mut();
        rng.map(|rng| rng.fill(bytes)).is_some()
    })
}
