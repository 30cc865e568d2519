//! What is done again and again, made ready to be measured: by benchmarks, by counts of instructions,
//! and by tests that allow so many allocations and bytes and no more.

pub(crate) mod call;
pub(crate) mod dtls;
pub(crate) mod heap;
pub(crate) mod ice;
pub(crate) mod leg;
pub(crate) mod message;
pub(crate) mod registration;
pub(crate) mod rtp;
pub(crate) mod sdp;
pub(crate) mod srtp;
pub(crate) mod stun;
pub(crate) mod transaction;

/// An operation that has a price.
pub(crate) struct Operation {
    /// What tables call it, such as `sip/print`.
    pub(crate) name: String,
    /// How many there are of it in one round; 0 never.
    pub(crate) items: usize,
    prepare: Box<dyn Fn() -> Round>,
}

/// Does the operation once more.
pub(crate) type Round = Box<dyn FnMut()>;

impl Operation {
    fn new<R: FnMut() + 'static>(
        name: impl Into<String>,
        items: usize,
        prepare: impl Fn() -> R + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            items,
            prepare: Box::new(move || Box::new(prepare())),
        }
    }

    /// Makes what it works on; always the same.
    pub(crate) fn prepare(&self) -> Round {
        (self.prepare)()
    }
}

/// All of them. `full`: also those among so many others that making them ready takes long.
pub(crate) fn operations(full: bool) -> Vec<Operation> {
    let mut operations = message::operations();
    operations.extend(sdp::operations());
    operations.extend(transaction::operations(full));
    operations.extend(call::operations(full));
    operations.extend(rtp::operations(full));
    operations.extend(srtp::operations());
    operations.extend(dtls::operations());
    operations.extend(stun::operations());
    operations.extend(ice::operations());
    operations
}
