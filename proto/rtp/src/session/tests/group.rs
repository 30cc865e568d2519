//! Who is in the session, and who is who.

use super::*;

#[test]
fn a_source_that_says_bye_may_come_back() {
    let mut end = End::new(1);
    end.hear(&rtp(9, 0, 1, 0, b"x"));
    let before = media(end.hear(&rtp(9, 0, 2, 160, b"x"))).sequence;
    let mut report = BytesMut::new();
    write_report(&mut report, 9, None, std::iter::empty());
    let mut bye = report.clone();
    write_bye(&mut bye, 9);
    end.outputs();
    assert!(end.report(&bye));
    assert_eq!(
        end.outputs(),
        [Output::SourceLeft {
            ssrc: 9,
            end: SourceEnd::Bye
        }]
    );
    assert_eq!(end.session.group().members, 1);
    assert_eq!(end.session.group().members, 1);
    assert_eq!(
        media(end.hear(&rtp(9, 0, 3, 320, b"x"))).sequence,
        before + 1
    );
    assert_eq!(end.session.group().members, 2);
    // RTCP brings it back as well.
    end.report(&bye);
    assert_eq!(end.session.group().members, 1);
    end.report(&report);
    assert_eq!(end.session.group().members, 2);
}

/// RFC 3550, 6.3.5.
#[test]
fn a_silent_source_is_dropped_and_its_counts_stay() {
    let mut end = End::new(1);
    for sequence in [1, 2, 4] {
        end.hear(&rtp(9, 0, sequence, 0, b"x"));
    }
    let heard = end.now;
    end.outputs();
    let mut left = Vec::new();
    while left.is_empty() {
        left = end.wake();
        left.retain(|output| !matches!(output, Output::Rtcp(_)));
    }
    assert_eq!(
        left,
        [Output::SourceLeft {
            ssrc: 9,
            end: SourceEnd::Silent
        }]
    );
    assert!(
        end.now - heard > Duration::from_secs(25),
        "{:?}",
        end.now - heard
    );
    let statistics = end.session.statistics();
    assert_eq!(
        (statistics.packets_received, statistics.packets_lost),
        (3, 1)
    );
}

/// RFC 3550, 8.2.
#[test]
fn a_collision_changes_our_ssrc_once() {
    let mut end = End::new(1);
    end.speak();
    let old = end.session.ssrc();
    // Somebody else drew the same number: the packet is theirs, and none is lost.
    let frame = media(end.hear(&rtp(old, 0, 5, 0, b"x")));
    assert_eq!(frame.ssrc, old);
    let outputs = end.outputs();
    let new = end.session.ssrc();
    assert_ne!(new, old);
    assert_eq!(
        outputs[1..],
        [
            Output::SsrcChanged { old, new },
            Output::SourceJoined { ssrc: old }
        ]
    );
    let bye = compounds(outputs).next().unwrap();
    let last = Compound::parse(&bye)
        .unwrap()
        .packets()
        .last()
        .unwrap()
        .unwrap();
    let Rtcp::Bye(bye) = last else {
        panic!("{last:?}")
    };
    assert_eq!(bye.ssrcs().collect::<Vec<_>>(), [old]);
    // The new number from the same address is our own traffic in a loop.
    let looped = end.speak();
    assert_eq!(end.hear(&looped), Received::Ignored(Ignored::Looped));
    assert_eq!(end.session.ssrc(), new);
    assert_eq!(end.session.statistics().looped, 1);
    assert_eq!(end.outputs(), []);
}

#[test]
fn a_collision_is_seen_in_rtcp_too() {
    let mut end = End::new(1);
    let old = end.session.ssrc();
    let mut compound = BytesMut::new();
    write_report(&mut compound, old, None, std::iter::empty());
    assert!(end.report(&compound));
    // Nothing was ever sent with it, so nobody needs a BYE (6.3.7).
    assert_eq!(
        end.outputs(),
        [Output::SsrcChanged {
            old,
            new: end.session.ssrc()
        }]
    );
    // Our own description by way of a mixer is no collision; one with another name is.
    for (name, changes) in [
        (end.session.cname().to_owned(), false),
        ("other".to_owned(), true),
    ] {
        let ssrc = end.session.ssrc();
        let mut compound = BytesMut::new();
        write_report(&mut compound, 77, None, std::iter::empty());
        write_cname(&mut compound, ssrc, &name);
        end.session.handle_rtcp(end.now, address(6_000), &compound);
        assert_eq!(end.session.ssrc() != ssrc, changes);
    }
}

/// RFC 7160, 4.1.
#[test]
fn another_clock_rate_takes_another_ssrc() {
    let mut end = End::new(1);
    end.speak();
    let old = end.session.ssrc();
    end.session.set_clock_rate(end.now, 8_000);
    assert_eq!(end.session.ssrc(), old);
    end.session.set_clock_rate(end.now, 16_000);
    assert_ne!(end.session.ssrc(), old);
    assert_eq!(compounds(end.outputs()).count(), 1);
    let before = end.session.media_time(end.now);
    assert_eq!(
        end.session.media_time(end.now + Duration::from_millis(20)),
        before.wrapping_add(320)
    );
}

/// RFC 3550, 6.3.7.
#[test]
fn leaving_says_bye_if_anybody_knows_us() {
    let mut end = End::new(1);
    end.session.leave(end.now);
    assert_eq!(end.outputs(), []);
    assert_eq!(end.session.poll_timeout(), None);

    let mut end = End::new(1);
    end.speak();
    end.session.leave(end.now);
    end.session.leave(end.now);
    let compound = compounds(end.outputs()).next().unwrap();
    let packets: Vec<_> = Compound::parse(&compound)
        .unwrap()
        .packets()
        .map(Result::unwrap)
        .collect();
    assert!(
        matches!(
            packets[..],
            [Rtcp::SenderReport(_), Rtcp::Sdes(_), Rtcp::Bye(_)]
        ),
        "{packets:?}"
    );
    assert_eq!(
        end.hear(&rtp(9, 0, 1, 0, b"x")),
        Received::Ignored(Ignored::Left)
    );
    assert_eq!(end.session.poll_timeout(), None);
}

#[test]
fn a_large_group_is_left_after_others() {
    let mut end = End::new(1);
    end.speak();
    for ssrc in 0..60 {
        let mut compound = BytesMut::new();
        write_report(&mut compound, ssrc, None, std::iter::empty());
        end.report(&compound);
    }
    assert_eq!(end.session.group().members, 61);
    let began = end.now;
    end.session.leave(end.now);
    assert_eq!(end.outputs(), []);
    let mut bye = BytesMut::new();
    write_report(&mut bye, 5, None, std::iter::empty());
    write_bye(&mut bye, 5);
    (0..200).for_each(|_| assert!(end.report(&bye)));
    let first = end.session.poll_timeout().unwrap().at;
    let compound = end.next_compound();
    assert!(matches!(
        Compound::parse(&compound).unwrap().packets().last(),
        Some(Ok(Rtcp::Bye(_)))
    ));
    // 200 others left meanwhile: the timer was reconsidered.
    assert!(
        end.now > first && end.now - began > Duration::from_secs(10),
        "{:?}",
        end.now - began
    );
    assert_eq!(end.session.poll_timeout(), None);
}

#[test]
fn the_table_of_sources_is_bounded_and_keeps_who_speaks() {
    let mut end = End::new(1);
    end.hear(&rtp(9, 0, 1, 0, b"x"));
    let before = media(end.hear(&rtp(9, 0, 2, 160, b"x"))).sequence;
    end.outputs();
    for ssrc in 1_000..3_000 {
        end.now += Duration::from_millis(1);
        end.hear(&rtp(ssrc, 0, 1, 0, b"x"));
    }
    assert_eq!(end.session.sources.len(), MAX_SOURCES);
    assert_eq!(end.outputs().len(), MAX_OUTPUTS);
    assert_eq!(
        media(end.hear(&rtp(9, 0, 3, 320, b"x"))).sequence,
        before + 1
    );
    // It was never forgotten, or it would join again.
    assert_eq!(end.outputs(), []);
    assert_eq!(end.session.statistics().packets_received, 2_003);
}

/// RFC 3550, 8.2: data and control are told apart, since they come from ports of their own.
#[test]
fn a_conflict_in_rtp_is_none_in_rtcp() {
    let mut end = End::new(1);
    end.speak();
    end.hear(&rtp(end.session.ssrc(), 0, 5, 0, b"x"));
    let ssrc = end.session.ssrc();
    let mut compound = BytesMut::new();
    write_report(&mut compound, ssrc, None, std::iter::empty());
    assert!(end.session.handle_rtcp(end.now, address(5_000), &compound));
    assert_ne!(end.session.ssrc(), ssrc);
    assert!(!end.session.handle_rtcp(end.now, address(5_000), &{
        let mut compound = BytesMut::new();
        write_report(&mut compound, end.session.ssrc(), None, std::iter::empty());
        compound
    }));
    // Nothing was sent with the new number, so the next report is a receiver's.
    end.outputs();
    assert_eq!(end.next_compound()[1], 201);
}
