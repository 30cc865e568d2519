//! The endpoint: transactions, dialogs, usages and flows in one machine.

pub mod config;
pub mod input;
pub mod output;
pub mod stats;

pub use config::{Availability, Config, Limits};
pub use input::Input;
pub use output::{Dropped, Event, Output};
pub use stats::{Counters, Stats};
