mod accounts;
mod callers;
mod calling;
mod hostile;
mod life;
mod options;
mod record;
mod sessions;
mod stream;
mod subscriptions;
mod tls;
mod transfer;
mod worklist;
pub(super) mod world;

use world::{World, config, origin};
