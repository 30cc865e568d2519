//! Every scenario, vector and house rule, in one binary.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic, and says what it skipped"
)]

mod accounts;
mod archive;
mod attacker;
mod beside;
mod bulk;
mod call;
mod cancel;
mod chaos;
mod clock;
mod codecs;
mod costs;
mod coverage;
mod digest;
mod documented;
mod dtls;
mod early;
mod engine;
mod failover;
mod flows;
mod fork;
mod generated;
mod gruu;
mod guard;
mod hold;
mod hostile;
mod hygiene;
mod ice;
mod ice_peer;
mod info;
mod invitation;
mod ipv6;
mod jitter;
mod limits;
mod line;
mod loss;
#[path = "../measure/mod.rs"]
mod measure;
mod misuse;
mod mixed;
mod mux;
mod names;
mod nat;
mod nat_type;
mod pickup;
mod prack;
mod presence;
mod probe;
mod proposal;
mod protos;
mod proxy;
mod race;
mod redirect;
mod reflection;
mod refresher;
mod registrar;
mod requirements;
mod roam;
mod roles;
mod rtp;
mod runs;
mod runtimes;
mod sdp;
mod sdp_lines;
mod srtp;
mod stun_vectors;
mod subscription;
mod tls;
mod torture;
mod torture_endpoint;
mod transfer;
mod trickle;
mod turn;
mod update;
mod vectors;
mod websocket;
mod wire;
mod world;

use measure::heap;
