mod life;
mod options;
mod record;
mod worklist;
mod world;

use world::{World, config, origin};
