//! One publishes, others watch, and a presence server is between them: through loss, over UDP and TCP
//! (RFC 3856, RFC 3903, RFC 6665).

use crate::{
    runs::{LOSSES, Matrix, Proxied},
    subscription::{Watched, watched_by},
};
use simulator::{
    Crash, HostId, Stage,
    server::{Consent, Presence, PresenceStats},
};
use sipsimple::{
    agent::{Config, Publish, Subscribe, UserAgent},
    sip::usage::subscription::State,
};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// The caller publishes, the phones are watchers, each of somebody else.
fn matrix(name: &'static str) -> Matrix {
    Matrix {
        proxy: Proxied::Never,
        phones: 3,
        apart: true,
        configure: by_the_server,
        ..Matrix::new(name)
    }
}

/// All that an agent asks for goes by way of the server; with half of the seeds over TCP.
fn by_the_server(_: &str, config: &mut Config) {
    let transport = ["udp", "tcp"][usize::from(config.seed[0] % 2)];
    for account in &mut config.accounts {
        let proxy = format!("sip:{ADDRESS}:{PORT};transport={transport};lr");
        account.outbound_proxy = proxy.parse().ok();
    }
}

struct Scene<'a> {
    stage: &'a mut Stage,
    server: HostId,
    begun: Instant,
}

impl<'a> Scene<'a> {
    fn new(stage: &'a mut Stage) -> Self {
        let ip: IpAddr = ADDRESS.parse().unwrap();
        let presence = Presence::new(SocketAddr::new(ip, PORT));
        let server = stage.world.add_host("presence", &[ip], presence);
        let begun = stage.world.now();
        Self {
            stage,
            server,
            begun,
        }
    }

    fn watchers(&self) -> Vec<HostId> {
        self.stage.phones.clone()
    }

    fn server<R>(&mut self, what: &str, act: impl FnOnce(&mut Presence, Instant) -> R) -> R {
        self.stage.world.command(self.server, what, act)
    }

    fn stats(&self) -> PresenceStats {
        self.stage.world.node::<Presence>(self.server).stats()
    }

    fn publish(&mut self, text: &str) {
        let publish = Publish::new("presence", TYPE, text.to_owned());
        self.stage.agent(self.stage.alice, "publish", |agent, now| {
            agent.publish(now, publish).unwrap();
        });
    }

    fn unpublish(&mut self) {
        self.stage
            .agent(self.stage.alice, "unpublish", |agent, now| {
                agent.unpublish(now, None, "presence").unwrap();
            });
    }

    fn subscribe(&mut self, host: HostId, expires: Option<u64>) {
        let mut subscribe = Subscribe::new("sip:alice@example.com".parse().unwrap(), "presence");
        if let Some(expires) = expires {
            subscribe.expires = Duration::from_secs(expires);
        }
        self.stage.agent(host, "subscribe", |agent, now| {
            agent.subscribe(now, subscribe).unwrap();
        });
    }

    fn subscribe_all(&mut self) {
        for host in self.watchers() {
            self.subscribe(host, None);
        }
    }

    /// What a watcher knows of its last subscription.
    fn known(&self, host: HostId) -> Watched {
        let all = watched_by(self.stage, host);
        all.into_values().next_back().unwrap_or_default()
    }

    fn documents(&self) -> Vec<String> {
        let hosts = self.watchers().into_iter();
        hosts.map(|host| self.known(host).document).collect()
    }

    /// Runs until it is so, at most for so long.
    fn until(&mut self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.stage.world.elapsed() + limit;
        loop {
            let is_reached = is_so(self);
            if is_reached || self.stage.world.elapsed() >= end {
                return is_reached;
            }
            self.stage.world.run_for(STEP);
        }
    }

    /// Runs until all watchers know this.
    fn all_know(&mut self, text: &str) -> Result<(), String> {
        let count = self.watchers().len();
        match self.until(PATIENCE, |scene| scene.documents() == vec![text; count]) {
            true => Ok(()),
            false => Err(format!("{:?} and not {text:?}", self.documents())),
        }
    }

    /// Takes everything back, and waits until nothing is left of it at the server: what gets lost expires.
    fn finish(mut self, played: Result<(), String>) -> String {
        self.unpublish();
        for host in self.watchers() {
            for id in watched_by(self.stage, host).into_keys() {
                self.stage.agent(host, "unsubscribe", |agent, now| {
                    // What has failed for good needs no end.
                    let _ = agent.unsubscribe(now, id);
                });
            }
        }
        self.stage.world.run_for(LIFE);
        let server = self.stage.world.node::<Presence>(self.server);
        let now = self.begun + self.stage.world.elapsed();
        match (
            played,
            server.watchers(),
            server.compositor().published(now),
        ) {
            (Ok(()), 0, 0) => "told".to_owned(),
            (Ok(()), watchers, published) => {
                format!("{watchers} watchers and {published} publications left")
            }
            (Err(what), ..) => what,
        }
    }

    /// Without losses nothing is done twice.
    fn is_lossless(&self) -> bool {
        self.stage.setup().loss() == 0.0
    }
}

/// PUB-03, PUB-04, SUB-06: what is published, changed and removed arrives at all watchers, those who were
/// there before and those who come later.
#[test]
fn pub_03_04_sub_06_published_state_arrives_at_every_watcher() {
    matrix("presence").run("told", |stage| {
        let mut scene = Scene::new(stage);
        let play = |scene: &mut Scene<'_>| {
            let watchers = scene.watchers();
            scene.subscribe(watchers[0], None);
            scene.stage.world.run_for(Duration::from_secs(2));
            scene.publish("open");
            scene.stage.world.run_for(Duration::from_secs(2));
            for host in &watchers[1..] {
                scene.subscribe(*host, None);
            }
            scene.all_know("open")?;
            for text in ["away", "busy"] {
                scene.publish(text);
                scene.all_know(text)?;
            }
            scene.unpublish();
            scene.all_know("")?;
            if scene.is_lossless() {
                let stats = scene.stats();
                assert_eq!((stats.published, stats.unmatched, stats.lost), (4, 0, 0));
                // Three begin, one of them before there is a state; each hears of what follows.
                assert_eq!(stats.notified, 3 + 1 + 3 * 3);
            }
            Ok(())
        };
        let played = play(&mut scene);
        scene.finish(played)
    });
}

/// PUB-06, SUB-08: a server that has lost everything answers 412 and 481, and is told and asked anew.
#[test]
fn pub_06_sub_08_a_server_that_restarted_is_told_everything_again() {
    let matrix = Matrix {
        losses: &LOSSES[..2],
        one_in: 2,
        ..matrix("presence restart")
    };
    matrix.run("told", |stage| {
        let mut scene = Scene::new(stage);
        let play = |scene: &mut Scene<'_>| {
            scene.publish("before");
            scene.subscribe_all();
            scene.all_know("before")?;
            scene.stage.world.run_for(Duration::from_secs(5));
            scene.server("restart", |server, _| server.restart());
            scene.stage.world.run_for(Duration::from_secs(5));
            scene.publish("after");
            scene.all_know("after")?;
            let stats = scene.stats();
            let is_so = match scene.is_lossless() {
                true => (stats.unmatched, stats.strangers) == (1, 3),
                false => stats.unmatched >= 1 && stats.strangers >= 1,
            };
            match is_so {
                true => Ok(()),
                false => Err(format!("{stats:?}")),
            }
        };
        let played = play(&mut scene);
        scene.finish(played)
    });
}

/// RFC 3903, 4.1, and RFC 6665, 4.2.2: whoever is gone without a word is forgotten when his time is over, as
/// a publisher and as a watcher.
#[test]
fn rfc_3903_4_1_what_is_not_refreshed_expires() {
    let matrix = Matrix {
        losses: &LOSSES[..2],
        one_in: 4,
        ..matrix("presence expiry")
    };
    matrix.run("told", |stage| {
        let mut scene = Scene::new(stage);
        let alice = scene.stage.alice;
        let gone = scene.stage.bob();
        let others = scene.watchers()[1..].to_vec();
        let play = |scene: &mut Scene<'_>| {
            scene.publish("open");
            scene.subscribe_all();
            scene.all_know("open")?;
            scene.stage.world.run_for(Duration::from_secs(5));
            for host in [alice, gone] {
                scene.stage.world.crash(host, Crash::Power);
            }
            // He does not answer his last report, if not another one before it.
            let is_forgotten = |scene: &Scene<'_>| {
                let mut known = others.iter().map(|host| scene.known(*host).document);
                let server = scene.stage.world.node::<Presence>(scene.server);
                known.all(|document| document.is_empty()) && server.watchers() == others.len()
            };
            let is_forgotten = scene.until(LIFE + PATIENCE, is_forgotten);
            let stats = scene.stats();
            for (host, name) in [(alice, "alice"), (gone, "bob")] {
                let agent = UserAgent::new(scene.stage.world.now(), scene.stage.config(name, 1));
                scene.stage.world.restart(host, agent);
            }
            scene.stage.world.run_for(Duration::from_secs(1));
            match is_forgotten && stats.expired + stats.lost >= 1 {
                true => Ok(()),
                false => Err(format!("{:?}, {stats:?}", scene.documents())),
            }
        };
        let played = play(&mut scene);
        scene.finish(played)
    });
}

/// SUB-04, RFC 3856, 6.6: pending until the user consents, and rejected when he does so no more; whoever is
/// rejected does not come back by himself.
#[test]
fn sub_04_the_server_asks_for_consent() {
    let matrix = Matrix {
        losses: &LOSSES[..2],
        ..matrix("presence consent")
    };
    matrix.run("told", |stage| {
        let mut scene = Scene::new(stage);
        let bob = scene.stage.bob();
        let consent = |scene: &mut Scene<'_>, consent| {
            scene.server("consent", |server, now| {
                server.set_consent(now, "bob", "alice", consent);
            });
        };
        let play = |scene: &mut Scene<'_>| {
            consent(scene, Consent::Awaited);
            scene.publish("open");
            scene.subscribe_all();
            let others = scene.watchers()[1..].to_vec();
            let is_pending = scene.until(PATIENCE, |scene| {
                let mut told = others.iter().map(|host| scene.known(*host).document);
                let state = scene.known(bob).states.last().copied();
                state == Some(State::Pending) && told.all(|document| document == "open")
            });
            if !is_pending || !scene.known(bob).document.is_empty() {
                return Err(format!("not pending: {:?}", scene.known(bob)));
            }
            consent(scene, Consent::Given);
            scene.all_know("open")?;
            consent(scene, Consent::Refused);
            scene.publish("away");
            let is_rejected = scene.until(PATIENCE, |scene| {
                let mut told = others.iter().map(|host| scene.known(*host).document);
                scene.known(bob).is_over && told.all(|document| document == "away")
            });
            let known = scene.known(bob);
            if !is_rejected {
                return Err(format!("not rejected: {known:?}"));
            }
            scene.subscribe(bob, None);
            let is_refused = scene.until(PATIENCE, |scene| {
                scene.known(bob).is_over && scene.known(bob).reports == 0
            });
            match is_refused {
                true => Ok(()),
                false => Err(format!("not refused: {:?}", scene.known(bob))),
            }
        };
        let played = play(&mut scene);
        scene.finish(played)
    });
}

/// SUB-08: renewed as long as it is wanted, and told of every change until then; a subscription of no time
/// asks once (RFC 6665, 4.4.3).
#[test]
fn sub_08_subscriptions_are_renewed_ended_or_ask_once() {
    let matrix = Matrix {
        losses: &LOSSES[..2],
        one_in: 4,
        ..matrix("presence renewal")
    };
    matrix.run("told", |stage| {
        let mut scene = Scene::new(stage);
        let hosts = scene.watchers();
        let play = |scene: &mut Scene<'_>| {
            scene.publish("open");
            for (host, expires) in hosts.iter().zip([60, 300]) {
                scene.subscribe(*host, Some(expires));
            }
            let is_published = |scene: &Scene<'_>| scene.known(hosts[0]).document == "open";
            if !scene.until(PATIENCE, is_published) {
                return Err(format!("{:?}", scene.documents()));
            }
            // Who asks once is told what there is then.
            scene.subscribe(hosts[2], Some(0));
            scene.all_know("open")?;
            let asked_once = |scene: &Scene<'_>| scene.known(hosts[2]).is_over;
            if !scene.until(PATIENCE, asked_once) {
                return Err(format!("asks on: {:?}", scene.known(hosts[2])));
            }
            scene.stage.world.run_for(Duration::from_secs(1_500));
            let renewed = scene.stats().renewed;
            scene.publish("still here");
            let is_told = scene.until(PATIENCE, |scene| {
                let mut known = hosts[..2].iter().map(|host| scene.known(*host).document);
                known.all(|document| document == "still here")
            });
            let is_so = is_told && renewed > 20 && scene.known(hosts[2]).document == "open";
            match is_so {
                true => Ok(()),
                false => Err(format!("{:?}, {renewed} renewed", scene.documents())),
            }
        };
        let played = play(&mut scene);
        scene.finish(played)
    });
}

const ADDRESS: &str = "10.0.0.8";
const PORT: u16 = 5060;
const TYPE: &str = "application/pidf+xml";
const STEP: Duration = Duration::from_millis(100);
/// For several whole transactions and the pauses between them, and for the refresh by which a watcher finds
/// that it is not known any more.
const PATIENCE: Duration = Duration::from_secs(500);
/// What was granted for a subscription, and 64·T1 for the last report.
const LIFE: Duration = Duration::from_secs(400);
