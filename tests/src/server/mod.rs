//! Virtual servers: small, permissive, misbehaving on demand.
//!
//! They are written on the message layers of `sip` and `ice` alone and share no machine with the user agent, so
//! that a mistake there is not repeated here. Only who asks for passwords is the stack's own
//! [`Challenger`](sip::auth::Challenger): a user agent answers by other code.

mod compositor;
mod dns;
mod gate;
mod peer;
mod presence;
mod proxy;
mod registrar;
mod shell;
mod stun;
mod turn;
mod websocket;
mod wire;

pub use compositor::Compositor;
pub use dns::{Asked, DnsFault, NameServer};
pub use gate::Gate;
pub use peer::{Peer, Received};
pub use presence::{Consent, Presence, PresenceStats};
pub use proxy::{Proxy, ProxyStats, RecordRoute};
pub use registrar::{Quirk, Registrar, Rules};
pub use shell::Shell;
pub use stun::StunServer;
pub use turn::TurnServer;
pub use websocket::WebServer;
