use super::*;

const T: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin")]
fn origin() -> Instant {
    Instant::now()
}

fn refresh() -> Refresh {
    Refresh::new(32 * T, &mut Rng::from_seed([7; 32]))
}

/// How long after its grant it wants to be renewed.
fn wait(refresh: &Refresh, start: Instant) -> f64 {
    let deadline = refresh.poll_timeout().unwrap();
    assert_eq!(deadline.why, "refresh");
    deadline.at.duration_since(start).as_secs_f64()
}

#[test]
fn rgn_07_a_life_is_renewed_so_that_two_transactions_fit() {
    let start = origin();
    let mut refresh = refresh();
    for (life, latest) in [
        (600, 531.0),
        (300, 231.0),
        (180, 111.0),
        (179, 89.5),
        (60, 30.0),
        (2, 1.0),
        (3_600, 3_531.0),
    ] {
        let mut waits = Vec::new();
        for _ in 0..200 {
            refresh.grant(start, life * T);
            waits.push(wait(&refresh, start));
        }
        let (least, most) = waits
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), wait| {
                (least.min(*wait), most.max(*wait))
            });
        assert!(most <= latest, "{life}: {most}");
        assert!(least >= latest * 0.95, "{life}: {least}");
        assert!(most - least > latest * 0.04, "{life}: hardly jittered");
    }
}

#[test]
fn longer_timers_never_renew_before_the_half() {
    let start = origin();
    let mut refresh = Refresh::new(128 * T, &mut Rng::from_seed([7; 32]));
    refresh.grant(start, 200 * T);
    assert!((95.0..=100.0).contains(&wait(&refresh, start)));
}

#[test]
fn one_refresh_that_fails_is_followed_by_a_second() {
    let start = origin();
    let mut refresh = refresh();
    refresh.grant(start, 300 * T);
    let first = refresh.poll_timeout().unwrap().at;
    assert_eq!(refresh.handle_timeout(first), Some(Due::Refresh));
    assert_eq!(refresh.handle_timeout(first), None, "said once");
    // Timer F.
    let failed = first + 32 * T;
    assert!(refresh.fail(failed, None));
    let second = refresh.poll_timeout().unwrap().at;
    // RFC 3261, 10.2.7: not at once.
    assert!(second >= failed + 2 * T && second <= failed + 4 * T);
    assert_eq!(refresh.handle_timeout(second), Some(Due::Refresh));
    // Even that ends before the expiry, and is the last.
    assert!(second + 32 * T <= start + 300 * T);
    assert!(!refresh.fail(second + 32 * T, None));
    assert_eq!(refresh.handle_timeout(start + 300 * T), Some(Due::Expired));
    assert_eq!(refresh.poll_timeout(), None);
    assert_eq!(refresh.life(), None);
}

#[test]
fn a_second_try_needs_time_and_obeys_retry_after() {
    let start = origin();
    let mut refresh = refresh();
    refresh.grant(start, 60 * T);
    let first = refresh.poll_timeout().unwrap().at;
    assert_eq!(refresh.handle_timeout(first), Some(Due::Refresh));
    assert!(!refresh.fail(first + 2 * T, None), "32 s do not fit");
    refresh.grant(start, 300 * T);
    let first = refresh.poll_timeout().unwrap().at;
    refresh.handle_timeout(first);
    assert!(refresh.fail(first + T, Some(20 * T)));
    assert_eq!(refresh.poll_timeout().unwrap().at, first + 21 * T);
    assert!(!refresh.fail(first + T, None), "it is planned already");
}

#[test]
fn what_slept_too_long_is_over() {
    let start = origin();
    let mut refresh = refresh();
    refresh.grant(start, 60 * T);
    assert_eq!(
        refresh.handle_timeout(start + 3_600 * T),
        Some(Due::Expired)
    );
    assert_eq!(refresh.handle_timeout(start + 3_600 * T), None);
    refresh.grant(start, Duration::MAX);
    assert_eq!(refresh.life(), Some(MAX_LIFE));
}

#[test]
fn a_change_of_the_network_does_not_wait() {
    let start = origin();
    let mut refresh = refresh();
    refresh.hurry(start);
    assert_eq!(refresh.poll_timeout(), None, "nothing is held");
    refresh.grant(start, 600 * T);
    refresh.hurry(start + T);
    assert_eq!(refresh.handle_timeout(start + T), Some(Due::Refresh));
}

/// RFC 4028, 10.
#[test]
fn a_session_is_renewed_by_its_refresher_and_given_up_by_both() {
    let start = origin();
    let mut refresher = refresh();
    refresher.grant_session(start, start, 1_800 * T, true);
    assert_eq!(refresher.poll_timeout().unwrap().at, start + 900 * T);
    assert_eq!(
        refresher.handle_timeout(start + 900 * T),
        Some(Due::Refresh)
    );
    assert_eq!(refresher.poll_timeout().unwrap().at, start + 1_768 * T);
    let mut other = refresh();
    other.grant_session(start, start, 90 * T, false);
    assert_eq!(other.poll_timeout().unwrap().at, start + 60 * T);
    assert_eq!(other.handle_timeout(start + 60 * T), Some(Due::Expired));
}

/// RFC 4028, 10: the peer counts from its 2xx, which may have been on its way for long.
#[test]
fn a_session_is_renewed_in_time_for_a_peer_that_counts_longer() {
    let start = origin();
    for (late, refresh_at) in [(19, 45), (44, 45), (45, 45)] {
        let mut refresher = refresh();
        let now = start + late * T;
        refresher.grant_session(now, start, 90 * T, true);
        let refresh_at = (start + refresh_at * T).max(now + 90 * T / 8);
        assert_eq!(refresher.poll_timeout().unwrap().at, refresh_at);
        assert_eq!(refresher.handle_timeout(refresh_at), Some(Due::Refresh));
        // We give it up as late as we may.
        assert_eq!(refresher.poll_timeout().unwrap().at, now + 60 * T);
    }
}

/// RFC 5626, 4.5.
#[test]
fn waits_double_up_to_half_an_hour_and_are_jittered() {
    let mut rng = Rng::from_seed([9; 32]);
    let mut backoff = Backoff::new();
    for bound in [30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800] {
        let wait = backoff.fail(&mut rng, None);
        assert!(
            wait <= bound * T && wait >= bound * T / 2,
            "{bound}: {wait:?}"
        );
    }
    assert_eq!(backoff.failures(), 9);
    backoff.succeed();
    assert!(backoff.fail(&mut rng, None) <= 30 * T);
    assert_eq!(backoff.fail(&mut rng, Some(7_200 * T)), 7_200 * T);
}

/// The table is what the code does: every row by its name, and no state that is not in it.
#[test]
fn the_table_is_what_the_code_does() {
    let rows: Vec<Vec<&str>> = include_str!("../refresh.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .skip(1)
        .map(|row| row.split('|').map(str::trim).collect())
        .filter(|row: &Vec<&str>| !row.iter().any(|cell| cell.starts_with("--")))
        .collect();
    let start = origin();
    let mut seen = Vec::new();
    for state in ["Idle", "Held", "Due", "Again", "Last"] {
        for input in ["Grant", "RefreshTime", "ExpiryTime", "Fail", "Clear"] {
            let mut refresh = in_state(start, state);
            let before = refresh.state;
            let timers = refresh.poll_timeout();
            let moves = match input {
                "Grant" => {
                    refresh.grant(start, 300 * T);
                    true
                }
                "RefreshTime" => {
                    let at = refresh.refresh_at;
                    at.is_some_and(|at| refresh.handle_timeout(at).is_some())
                }
                "ExpiryTime" => {
                    let at = refresh.expires_at;
                    at.is_some_and(|at| refresh.handle_timeout(at).is_some())
                }
                "Fail" => refresh.fail(start + 250 * T, None),
                _ => {
                    refresh.clear();
                    timers.is_some()
                }
            };
            if moves {
                seen.push((state, input, format!("{:?}", refresh.state)));
            } else {
                assert_eq!(refresh.state, before, "{state} {input}");
            }
        }
    }
    let mut table: Vec<_> = rows
        .iter()
        .map(|row| (row[0], row[1], row[2].to_owned()))
        .collect();
    table.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, table);
}

fn in_state(start: Instant, state: &str) -> Refresh {
    let mut refresh = refresh();
    if state == "Idle" {
        return refresh;
    }
    refresh.grant(start, 300 * T);
    if state == "Held" {
        return refresh;
    }
    refresh.handle_timeout(refresh.refresh_at.unwrap());
    if state == "Due" {
        return refresh;
    }
    assert!(refresh.fail(start + 232 * T, None));
    if state == "Again" {
        return refresh;
    }
    refresh.handle_timeout(refresh.refresh_at.unwrap());
    assert_eq!(format!("{:?}", refresh.state), state);
    refresh
}
