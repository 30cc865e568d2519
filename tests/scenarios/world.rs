//! The world itself: does it behave like kernels and networks, and twice alike?

use base::{Deadline, Key, LinkError};
use bytes::{Bytes, BytesMut};
use simulator::{Condition, Crash, Cut, FileContent, HostId, Loss, Node, Path, World};
use sipsimple::agent::{
    Class, Connection, FileDo, FileDone, FileId, Input, LinkId, Open, Output, System,
};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Does what the test says and remembers what it was told.
#[derive(Default)]
struct Toy {
    out: VecDeque<Output>,
    seen: Vec<Input>,
    deadline: Option<Instant>,
    /// Answers every datagram.
    echo: bool,
    /// Gives credit for what it reads.
    reads: bool,
    links: u32,
    bytes: BytesMut,
    total: u64,
    adopted: Vec<LinkId>,
}

impl Node for Toy {
    fn handle(&mut self, now: Instant, input: Input) {
        match &input {
            Input::Timeout if self.deadline.is_some_and(|at| at <= now) => self.deadline = None,
            Input::Datagram {
                link,
                from,
                payload,
                ..
            } if self.echo => self.out.push_back(Output::Transmit {
                link: *link,
                from: None,
                to: *from,
                payload: payload.clone().freeze(),
            }),
            Input::Accepted { connection, .. } => self.adopt(*connection),
            Input::Bytes { link, payload } => {
                self.bytes.extend_from_slice(payload);
                if self.reads {
                    let more = payload.len() as u32;
                    self.out.push_back(Output::Receive { link: *link, more });
                }
            }
            Input::Sent { total, .. } => self.total = *total,
            _ => {}
        }
        self.seen.push(input);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        self.deadline.map(|at| Deadline::new(at, "toy"))
    }
}

impl Toy {
    fn open(&mut self, how: Open) -> LinkId {
        let link = LinkId::from_parts(0, self.links);
        self.links += 1;
        self.out.push_back(Output::Open { link, how });
        link
    }

    fn adopt(&mut self, connection: Connection) {
        let link = LinkId::from_parts(0, self.links);
        self.links += 1;
        self.adopted.push(link);
        self.out.push_back(Output::Adopt { connection, link });
    }

    fn closed(&self, wanted: LinkId) -> Option<Option<LinkError>> {
        self.seen.iter().find_map(|input| match input {
            Input::Closed { link, error } if *link == wanted => Some(*error),
            _ => None,
        })
    }

    fn datagrams(&self) -> usize {
        let datagram = |input: &&Input| matches!(input, Input::Datagram { .. });
        self.seen.iter().filter(datagram).count()
    }
}

const SIGNALLING: Class = Class::Signalling;

fn ip(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn udp(address: &str) -> Open {
    Open::Udp {
        bind: address.parse().unwrap(),
        class: SIGNALLING,
        multicast: None,
    }
}

fn open(world: &mut World, host: HostId, how: Open) -> LinkId {
    world.command(host, "open", |toy: &mut Toy, _| toy.open(how))
}

fn send(world: &mut World, host: HostId, link: LinkId, to: &str, len: usize) {
    let to: SocketAddr = to.parse().unwrap();
    let payload = Bytes::from(vec![b'x'; len]);
    let transmit = Output::Transmit {
        link,
        from: None,
        to,
        payload,
    };
    world.command(host, "send", |toy: &mut Toy, _| toy.out.push_back(transmit));
}

fn pair(seed: u64) -> (World, HostId, HostId) {
    let mut world = World::new(seed);
    let a = world.add_host("a", &[ip(1)], Toy::default());
    let b = world.add_host(
        "b",
        &[ip(2)],
        Toy {
            echo: true,
            reads: true,
            ..Toy::default()
        },
    );
    (world, a, b)
}

#[test]
fn datagrams_travel_and_closed_ports_answer_by_icmp() {
    let (mut world, a, b) = pair(1);
    let link = open(&mut world, a, udp("0.0.0.0:0"));
    open(&mut world, b, udp("10.0.0.2:5060"));
    send(&mut world, a, link, "10.0.0.2:5060", 10);
    send(&mut world, a, link, "10.0.0.2:5061", 10);
    send(&mut world, a, link, "10.0.0.9:5060", 10);
    send(&mut world, a, link, "10.0.0.2:5060", 70_000);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.node::<Toy>(b).datagrams(), 1);
    let toy = world.node::<Toy>(a);
    assert_eq!(toy.datagrams(), 1);
    let errors: Vec<LinkError> = toy
        .seen
        .iter()
        .filter_map(|input| match input {
            Input::Undeliverable { error, .. } => Some(*error),
            _ => None,
        })
        .collect();
    let expected = [
        LinkError::Unreachable,
        LinkError::TooLarge,
        LinkError::Refused,
    ];
    assert_eq!(errors, expected);
    assert_eq!(world.violations(), []);
}

#[test]
fn a_port_is_bound_once() {
    let (mut world, a, _) = pair(2);
    let first = open(&mut world, a, udp("0.0.0.0:5060"));
    let second = open(&mut world, a, udp("10.0.0.1:5060"));
    let foreign = open(&mut world, a, udp("10.0.0.9:5060"));
    world.run_for(Duration::from_millis(1));
    let toy = world.node::<Toy>(a);
    assert_eq!(toy.closed(first), None);
    assert_eq!(toy.closed(second), Some(Some(LinkError::AddressInUse)));
    assert_eq!(toy.closed(foreign), Some(Some(LinkError::AddressGone)));
    let close = Output::Close { link: first };
    world.command(a, "close", |toy: &mut Toy, _| toy.out.push_back(close));
    let third = open(&mut world, a, udp("10.0.0.1:5060"));
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.node::<Toy>(a).closed(third), None);
}

#[test]
fn what_is_not_open_cannot_be_used() {
    let (mut world, a, _) = pair(3);
    let link = open(&mut world, a, udp("10.0.0.1:5060"));
    world.run_for(Duration::from_millis(1));
    for _ in 0..2 {
        let close = Output::Close { link };
        world.command(a, "close", |toy: &mut Toy, _| toy.out.push_back(close));
    }
    send(&mut world, a, link, "10.0.0.2:5060", 1);
    world.command(a, "again", |toy: &mut Toy, _| {
        let how = udp("10.0.0.1:5060");
        toy.out.push_back(Output::Open { link, how });
    });
    assert_eq!(world.violations().len(), 3);
}

#[test]
fn a_node_that_makes_no_progress_is_found() {
    struct Spinner(Instant);
    impl Node for Spinner {
        fn handle(&mut self, _: Instant, _: Input) {}
        fn poll_output(&mut self) -> Option<Output> {
            None
        }
        fn poll_timeout(&self) -> Option<Deadline> {
            Some(Deadline::new(self.0, "for ever"))
        }
    }
    let mut world = World::new(4);
    let now = world.now();
    world.add_host("spinner", &[ip(1)], Spinner(now));
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.violations().len(), 1);
    assert!(world.violations()[0].text.contains("for ever"));
}

/// Connects a and b and lets a write `len` bytes of a pattern.
fn stream(seed: u64, cut: Cut, path: &Path, len: usize) -> (World, HostId, HostId, LinkId) {
    let (mut world, a, b) = pair(seed);
    world.set_cut(cut);
    world.set_default_path(path.clone());
    let bind = "10.0.0.2:5060".parse().unwrap();
    let class = SIGNALLING;
    open(&mut world, b, Open::Listen { bind, class });
    let connect = Open::Connect {
        from: None,
        to: bind,
        class,
    };
    let link = open(&mut world, a, connect);
    let opened = Condition::new(move |world| {
        let opened = |input: &Input| matches!(input, Input::Opened { peer: Some(_), .. });
        world.node::<Toy>(a).seen.iter().any(opened)
    });
    assert!(world.until(Duration::from_secs(120), opened));
    for at in (0..len).step_by(1_000) {
        let end = len.min(at + 1_000);
        let piece: Vec<u8> = (at..end)
            .map(|n| FileContent::pattern(1, n as u64))
            .collect();
        let payload = piece.into();
        let write = Output::Write { link, payload };
        world.command(a, "write", |toy: &mut Toy, _| toy.out.push_back(write));
    }
    (world, a, b, link)
}

#[test]
fn bytes_arrive_in_order_however_they_are_cut() {
    for (seed, cut) in [
        (1, Cut::Random),
        (2, Cut::Random),
        (3, Cut::AtMost(1)),
        (4, Cut::Whole),
    ] {
        let path = Path::lossy(0.4);
        let (mut world, a, b, link) = stream(seed, cut, &path, 20_000);
        let finish = Output::Finish { link };
        world.command(a, "finish", |toy: &mut Toy, _| toy.out.push_back(finish));
        // Most of the time is the kernel's, which sends lost segments again.
        world.run_for(Duration::from_secs(3_600));
        let toy = world.node::<Toy>(b);
        let expected: Vec<u8> = (0..20_000).map(|n| FileContent::pattern(1, n)).collect();
        assert!(toy.bytes[..] == expected[..], "{cut:?}");
        assert_eq!(toy.closed(toy.adopted[0]), Some(None));
        assert_eq!(world.node::<Toy>(a).closed(link), Some(None));
        assert_eq!(world.node::<Toy>(a).total, 20_000);
        assert_eq!(world.violations(), []);
        assert!(world.connection_ends().is_empty());
    }
}

#[test]
fn a_stalled_reader_stops_the_writer() {
    let (mut world, a, b, link) = stream(5, Cut::Random, &Path::ideal(), 0);
    world.command(b, "stall", |toy: &mut Toy, _| toy.reads = false);
    for _ in 0..40 {
        let payload = Bytes::from(vec![0; 10_000]);
        let write = Output::Write { link, payload };
        world.command(a, "write", |toy: &mut Toy, _| toy.out.push_back(write));
    }
    world.run_for(Duration::from_secs(60));
    let (read, taken) = (world.node::<Toy>(b).bytes.len(), world.node::<Toy>(a).total);
    assert_eq!(read, 64 * 1024);
    assert_eq!(taken, 64 * 1024 + 128 * 1024);
    let link = world.node::<Toy>(b).adopted[0];
    world.command(b, "read", |toy: &mut Toy, _| {
        toy.reads = true;
        let more = 400_000;
        toy.out.push_back(Output::Receive { link, more });
    });
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.node::<Toy>(b).bytes.len(), 400_000);
    assert_eq!(world.node::<Toy>(a).total, 400_000);
}

#[test]
fn connections_are_refused_time_out_and_break() {
    let (mut world, a, b) = pair(6);
    let to = "10.0.0.2:5060".parse().unwrap();
    let class = SIGNALLING;
    let connect = || Open::Connect {
        from: None,
        to,
        class,
    };
    let refused = open(&mut world, a, connect());
    world.run_for(Duration::from_secs(1));
    let error = world.node::<Toy>(a).closed(refused);
    assert_eq!(error, Some(Some(LinkError::Refused)));

    open(&mut world, b, Open::Listen { bind: to, class });
    world.cut_path(a, b);
    let hole = open(&mut world, a, connect());
    world.run_for(Duration::from_secs(100));
    assert_eq!(world.node::<Toy>(a).closed(hole), None);
    world.run_for(Duration::from_secs(100));
    let error = world.node::<Toy>(a).closed(hole);
    assert_eq!(error, Some(Some(LinkError::TimedOut)));

    world.mend_path(a, b);
    let broken = open(&mut world, a, connect());
    world.run_for(Duration::from_secs(1));
    world.reset_connections(a, b);
    let error = world.node::<Toy>(a).closed(broken);
    assert_eq!(error, Some(Some(LinkError::Reset)));
}

#[test]
fn a_cut_holds_bytes_back_and_a_long_one_breaks_the_connection() {
    let (mut world, a, b, link) = stream(7, Cut::Random, &Path::ideal(), 0);
    world.cut_path(a, b);
    let write = |world: &mut World| {
        let payload = Bytes::from_static(b"0123456789");
        let write = Output::Write { link, payload };
        world.command(a, "write", |toy: &mut Toy, _| toy.out.push_back(write));
    };
    write(&mut world);
    world.run_for(Duration::from_secs(50));
    assert!(world.node::<Toy>(b).bytes.is_empty());
    world.mend_path(a, b);
    world.run_for(Duration::from_secs(70));
    assert_eq!(&world.node::<Toy>(b).bytes[..], b"0123456789");
    world.cut_path(a, b);
    write(&mut world);
    world.run_for(Duration::from_secs(1_200));
    let error = world.node::<Toy>(a).closed(link);
    assert_eq!(error, Some(Some(LinkError::TimedOut)));
}

#[test]
fn a_crash_ends_connections_as_it_should() {
    for (crash, told_at_once) in [(Crash::Process, true), (Crash::Power, false)] {
        let (mut world, a, b, link) = stream(8, Cut::Random, &Path::ideal(), 100);
        world.run_for(Duration::from_secs(1));
        world.crash(b, crash);
        world.run_for(Duration::from_secs(10));
        assert_eq!(world.node::<Toy>(a).closed(link).is_some(), told_at_once);
        world.restart(b, Toy::default());
        if !told_at_once {
            let payload = Bytes::from_static(b"x");
            let write = Output::Write { link, payload };
            world.command(a, "write", |toy: &mut Toy, _| toy.out.push_back(write));
            world.run_for(Duration::from_secs(10));
            let error = world.node::<Toy>(a).closed(link);
            assert_eq!(error, Some(Some(LinkError::Reset)));
        }
        assert_eq!(world.violations(), []);
    }
}

#[test]
fn sleep_makes_deadlines_late_and_says_so() {
    let (mut world, a, b) = pair(9);
    let link = open(&mut world, a, udp("10.0.0.1:5060"));
    open(&mut world, b, udp("10.0.0.2:5060"));
    world.run_for(Duration::from_secs(1));
    world.command(b, "arm", |toy: &mut Toy, now| {
        toy.deadline = Some(now + Duration::from_secs(5));
    });
    world.suspend(b, Duration::from_secs(60));
    send(&mut world, a, link, "10.0.0.2:5060", 1);
    world.run_for(Duration::from_secs(30));
    assert!(world.node::<Toy>(b).deadline.is_some());
    world.run_for(Duration::from_secs(31));
    let toy = world.node::<Toy>(b);
    assert!(toy.deadline.is_none());
    assert_eq!(toy.datagrams(), 0);
    let asleep = Duration::from_secs(60);
    let resumed = |input: &Input| matches!(input, Input::System(System::Resumed { asleep: a }) if *a == asleep);
    assert!(toy.seen.iter().any(resumed));
}

#[test]
fn new_addresses_are_told_and_old_sockets_are_dead() {
    let (mut world, a, b) = pair(10);
    let link = open(&mut world, a, udp("10.0.0.1:5060"));
    open(&mut world, b, udp("10.0.0.2:5060"));
    world.run_for(Duration::from_secs(1));
    world.set_addresses(a, &[ip(7)]);
    send(&mut world, a, link, "10.0.0.2:5060", 1);
    world.run_for(Duration::from_secs(1));
    let toy = world.node::<Toy>(a);
    let gone = LinkError::AddressGone;
    let dead =
        |input: &Input| matches!(input, Input::Undeliverable { error, .. } if *error == gone);
    assert!(toy.seen.iter().any(dead));
    let link = open(&mut world, a, udp("10.0.0.7:5060"));
    send(&mut world, a, link, "10.0.0.2:5060", 1);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.node::<Toy>(a).datagrams(), 1);
}

#[test]
fn files_are_read_in_pieces() {
    let (mut world, a, _) = pair(11);
    let (size, seed) = (1 << 40, 3);
    world.put_file(a, "huge", FileContent::Pattern { size, seed });
    let file = FileId::from_parts(0, 0);
    world.command(a, "read", |toy: &mut Toy, _| {
        let name = "huge".to_owned();
        let what = FileDo::Open { name };
        toy.out.push_back(Output::File { file, what });
        let what = FileDo::Read {
            at: size - 1,
            len: 10,
        };
        toy.out.push_back(Output::File { file, what });
    });
    world.run_for(Duration::from_secs(1));
    let toy = world.node::<Toy>(a);
    let read = |input: &Input| matches!(input, Input::File { done: FileDone::Read { data, .. }, .. } if data.len() == 1);
    assert!(toy.seen.iter().any(read));
}

/// Two toys that play ping-pong over a bad path, for the comparison of runs.
fn ping_pong(seed: u64, tracing: bool) -> World {
    let (mut world, a, b) = pair(seed);
    world.set_tracing(tracing);
    world.set_default_path(Path {
        duplicate: 0.1,
        reorder: 0.1,
        loss: Loss::Burst {
            to_bad: 0.1,
            to_good: 0.3,
            good: 0.01,
            bad: 0.5,
        },
        ..Path::lossy(0.0)
    });
    let link = open(&mut world, a, udp("10.0.0.1:5060"));
    open(&mut world, b, udp("10.0.0.2:5060"));
    world.run_for(Duration::from_secs(1));
    for len in 1..1_000 {
        send(&mut world, a, link, "10.0.0.2:5060", len);
        world.run_for(Duration::from_millis(7));
    }
    world.run_for(Duration::from_secs(10));
    world
}

#[test]
fn one_seed_gives_one_run() {
    let first = ping_pong(12, true);
    let second = ping_pong(12, true);
    assert_eq!(first.trace().first_difference(second.trace()), None);
    assert_eq!(first.trace().lines(), second.trace().lines());
    let other = ping_pong(13, true);
    assert!(first.trace().first_difference(other.trace()).is_some());
    let silent = ping_pong(12, false);
    assert_eq!(silent.steps(), first.steps());
    let arrived = |world: &World| {
        world
            .node::<Toy>(world.hosts().last().unwrap().0)
            .datagrams()
    };
    assert_eq!(arrived(&silent), arrived(&first));
    // About a tenth is lost, a tenth is doubled: both happened.
    assert!(
        (800..1_050).contains(&arrived(&first)),
        "{}",
        arrived(&first)
    );
}

#[test]
fn ladders_show_what_was_sent() {
    let (mut world, a, b) = pair(14);
    let link = open(&mut world, a, udp("10.0.0.1:5060"));
    open(&mut world, b, udp("10.0.0.2:5060"));
    send(&mut world, a, link, "10.0.0.2:5060", 3);
    world.run_for(Duration::from_secs(1));
    let ladder = world.trace().ladder();
    assert!(
        ladder.contains("10.0.0.1:5060 --> 10.0.0.2:5060 xxx"),
        "{ladder}"
    );
    assert!(
        ladder.contains("10.0.0.2:5060 --> 10.0.0.1:5060 xxx"),
        "{ladder}"
    );
}
