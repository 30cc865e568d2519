use super::*;
use base::Rng;
use proptest::prelude::*;

const CARRIERS: [Carrier; 12] = [
    Carrier::Invite,
    Carrier::Provisional,
    Carrier::Success,
    Carrier::Failure,
    Carrier::Ack,
    Carrier::Reliable,
    Carrier::Prack,
    Carrier::PrackSuccess,
    Carrier::PrackFailure,
    Carrier::Update,
    Carrier::UpdateSuccess,
    Carrier::UpdateFailure,
];
const PHASES: [Phase; 13] = [
    Phase::Idle,
    Phase::OfferSent,
    Phase::Previewed,
    Phase::OfferAwaited,
    Phase::AnswerDue,
    Phase::OfferReceived,
    Phase::OfferDue,
    Phase::AnswerAwaited,
    Phase::PrackDue,
    Phase::PrackAwaited,
    Phase::PrackReceived,
    Phase::UpdateSent,
    Phase::UpdateReceived,
];

#[test]
fn no_row_stands_twice() {
    for (n, row) in TABLE.iter().enumerate() {
        let same = TABLE
            .iter()
            .position(|other| (other.0, other.1, other.2, other.3) == (row.0, row.1, row.2, row.3));
        assert_eq!(same, Some(n), "{row:?}");
    }
}

#[test]
fn an_invite_and_an_offer_in_update_need_an_idle_exchange() {
    for phase in PHASES {
        for (carrier, description) in [
            (Carrier::Invite, WITH),
            (Carrier::Invite, NONE),
            (Carrier::Update, WITH),
        ] {
            let mut machine = OfferAnswer {
                phase,
                invite: Running::Nobodys,
            };
            let refused = machine.receive(carrier, description).is_err();
            assert_eq!(refused, phase != Phase::Idle, "{phase:?} {carrier:?}");
        }
    }
}

/// RFC 6337, pattern 3: answered reliably, and the INVITE still runs.
#[test]
fn pattern_3_invite_and_reliable_response() {
    let (mut caller, mut callee) = (OfferAnswer::new(), OfferAnswer::new());
    caller.send(Carrier::Invite, true).unwrap();
    callee.receive(Carrier::Invite, true).unwrap();
    assert_eq!(callee.send(Carrier::Reliable, true), Ok(Meaning::Answer));
    assert_eq!(caller.receive(Carrier::Reliable, true), Ok(Meaning::Answer));
    // No INVITE may cross, but an UPDATE may.
    assert_eq!(caller.receive(Carrier::Invite, true), Err(Breach::Glare));
    assert_eq!(callee.receive(Carrier::Invite, true), Err(Breach::Overlap));
    assert!(callee.send(Carrier::Invite, true).is_err());
    assert_eq!(caller.send(Carrier::Update, true), Ok(Meaning::Offer));
    assert_eq!(callee.receive(Carrier::Update, true), Ok(Meaning::Offer));
    assert_eq!(callee.receive(Carrier::Update, true), Err(Breach::Overlap));
    assert_eq!(caller.receive(Carrier::Update, true), Err(Breach::Glare));
    assert_eq!(
        callee.send(Carrier::UpdateSuccess, true),
        Ok(Meaning::Answer)
    );
    assert_eq!(
        caller.receive(Carrier::UpdateSuccess, true),
        Ok(Meaning::Answer)
    );
    assert!(callee.send(Carrier::Success, true).is_err());
    assert_eq!(callee.send(Carrier::Success, false), Ok(Meaning::Nothing));
    assert_eq!(caller.receive(Carrier::Success, true), Ok(Meaning::Ignored));
    assert_eq!((caller.phase(), callee.phase()), (Phase::Idle, Phase::Idle));
    assert_eq!(caller.send(Carrier::Invite, true), Ok(Meaning::Offer));
}

/// RFC 6337, patterns 4 and 5.
#[test]
fn patterns_4_and_5_reliable_response_and_prack() {
    let (mut caller, mut callee) = (OfferAnswer::new(), OfferAnswer::new());
    caller.send(Carrier::Invite, false).unwrap();
    callee.receive(Carrier::Invite, false).unwrap();
    assert!(callee.send(Carrier::Reliable, false).is_err());
    assert_eq!(callee.send(Carrier::Reliable, true), Ok(Meaning::Offer));
    assert_eq!(caller.receive(Carrier::Reliable, true), Ok(Meaning::Offer));
    assert!(caller.send(Carrier::Prack, false).is_err());
    assert_eq!(caller.send(Carrier::Prack, true), Ok(Meaning::Answer));
    assert!(callee.send(Carrier::Success, false).is_err());
    let mut broken = callee.clone();
    assert_eq!(
        broken.receive(Carrier::Prack, false),
        Err(Breach::MissingAnswer)
    );
    assert_eq!(callee.receive(Carrier::Prack, true), Ok(Meaning::Answer));
    assert_eq!(callee.receive(Carrier::Prack, true), Ok(Meaning::Offer));
    assert!(callee.send(Carrier::Success, false).is_err());
    assert_eq!(
        callee.send(Carrier::PrackSuccess, true),
        Ok(Meaning::Answer)
    );
}

#[test]
fn pattern_1_invite_and_2xx() {
    let (mut caller, mut callee) = (OfferAnswer::new(), OfferAnswer::new());
    assert_eq!(caller.send(Carrier::Invite, true), Ok(Meaning::Offer));
    assert_eq!(callee.receive(Carrier::Invite, true), Ok(Meaning::Offer));
    assert_eq!(
        callee.send(Carrier::Provisional, true),
        Ok(Meaning::Preview)
    );
    assert_eq!(
        caller.receive(Carrier::Provisional, true),
        Ok(Meaning::Preview)
    );
    assert_eq!(
        callee.send(Carrier::Success, false),
        Err(WrongPhase(Phase::OfferReceived))
    );
    assert_eq!(callee.send(Carrier::Success, true), Ok(Meaning::Answer));
    assert_eq!(caller.receive(Carrier::Success, true), Ok(Meaning::Answer));
    assert_eq!(
        caller.send(Carrier::Ack, true),
        Err(WrongPhase(Phase::Idle))
    );
    assert_eq!(caller.send(Carrier::Ack, false), Ok(Meaning::Nothing));
    assert_eq!(callee.receive(Carrier::Ack, false), Ok(Meaning::Nothing));
}

#[test]
fn pattern_2_2xx_and_ack() {
    let (mut caller, mut callee) = (OfferAnswer::new(), OfferAnswer::new());
    assert_eq!(caller.send(Carrier::Invite, false), Ok(Meaning::Nothing));
    assert_eq!(callee.receive(Carrier::Invite, false), Ok(Meaning::Nothing));
    assert_eq!(
        callee.send(Carrier::Provisional, true),
        Err(WrongPhase(Phase::OfferDue))
    );
    assert_eq!(
        caller.receive(Carrier::Provisional, true),
        Ok(Meaning::Ignored)
    );
    assert_eq!(callee.send(Carrier::Success, true), Ok(Meaning::Offer));
    assert_eq!(caller.receive(Carrier::Success, true), Ok(Meaning::Offer));
    assert_eq!(
        caller.send(Carrier::Ack, false),
        Err(WrongPhase(Phase::AnswerDue))
    );
    assert_eq!(caller.send(Carrier::Ack, true), Ok(Meaning::Answer));
    assert_eq!(callee.receive(Carrier::Ack, true), Ok(Meaning::Answer));
    assert_eq!((caller.phase(), callee.phase()), (Phase::Idle, Phase::Idle));
}

#[test]
fn descriptions_that_do_not_come() {
    let mut caller = OfferAnswer::new();
    caller.send(Carrier::Invite, true).unwrap();
    assert_eq!(
        caller.receive(Carrier::Success, false),
        Err(Breach::MissingAnswer)
    );
    caller.send(Carrier::Invite, false).unwrap();
    assert_eq!(
        caller.receive(Carrier::Success, false),
        Err(Breach::MissingOffer)
    );
    let mut callee = OfferAnswer::new();
    callee.receive(Carrier::Invite, false).unwrap();
    callee.send(Carrier::Success, true).unwrap();
    assert_eq!(
        callee.receive(Carrier::Ack, false),
        Err(Breach::MissingAnswer)
    );
    caller.send(Carrier::Invite, true).unwrap();
    caller.receive(Carrier::Provisional, true).unwrap();
    assert_eq!(
        caller.receive(Carrier::Success, false),
        Ok(Meaning::PreviewStands)
    );
}

#[test]
fn crossing_invites_are_refused_and_change_nothing() {
    let mut ours = OfferAnswer::new();
    ours.send(Carrier::Invite, true).unwrap();
    let breach = ours.receive(Carrier::Invite, true).unwrap_err();
    assert_eq!(breach.status(), Some(Status::REQUEST_PENDING));
    assert_eq!(ours.receive(Carrier::Success, true), Ok(Meaning::Answer));

    let mut theirs = OfferAnswer::new();
    theirs.receive(Carrier::Invite, true).unwrap();
    let breach = theirs.receive(Carrier::Invite, false).unwrap_err();
    assert_eq!(breach.status(), Some(Status::SERVER_INTERNAL_ERROR));
    assert_eq!(theirs.send(Carrier::Success, true), Ok(Meaning::Answer));
}

/// RFC 5407, 3.1.4 and 3.1.5: a re-INVITE overtakes the ACK of the 2xx.
#[test]
fn an_invite_before_the_ack() {
    let mut offered = OfferAnswer::new();
    offered.receive(Carrier::Invite, true).unwrap();
    offered.send(Carrier::Success, true).unwrap();
    assert_eq!(offered.receive(Carrier::Invite, true), Ok(Meaning::Offer));

    let mut late = OfferAnswer::new();
    late.receive(Carrier::Invite, false).unwrap();
    late.send(Carrier::Success, true).unwrap();
    assert_eq!(late.receive(Carrier::Invite, true), Err(Breach::Glare));
    assert_eq!(late.receive(Carrier::Ack, true), Ok(Meaning::Answer));
}

#[test]
fn a_failure_withdraws_the_offer() {
    let mut ours = OfferAnswer::new();
    ours.send(Carrier::Invite, true).unwrap();
    assert_eq!(
        ours.receive(Carrier::Failure, false),
        Ok(Meaning::Withdrawal)
    );
    assert_eq!(ours.phase(), Phase::Idle);
    let mut theirs = OfferAnswer::new();
    theirs.receive(Carrier::Invite, true).unwrap();
    assert_eq!(
        theirs.send(Carrier::Failure, false),
        Ok(Meaning::Withdrawal)
    );
    let mut late = OfferAnswer::new();
    late.receive(Carrier::Invite, false).unwrap();
    late.send(Carrier::Success, true).unwrap();
    late.abandon();
    assert_eq!(late.phase(), Phase::Idle);
}

#[test]
fn delays_are_those_of_section_14() {
    let mut rng = Rng::from_seed([1; 32]);
    let draws: Vec<_> = (0..20_000)
        .map(|_| glare_delay(&mut rng, true).as_millis())
        .collect();
    assert_eq!(
        (draws.iter().min(), draws.iter().max()),
        (Some(&2_100), Some(&4_000))
    );
    assert!(draws.iter().all(|ms| ms % 10 == 0));
    let draws: Vec<_> = (0..20_000)
        .map(|_| glare_delay(&mut rng, false).as_millis())
        .collect();
    assert_eq!(
        (draws.iter().min(), draws.iter().max()),
        (Some(&0), Some(&2_000))
    );
    let draws: Vec<_> = (0..1_000).map(|_| overlap_retry_after(&mut rng)).collect();
    assert_eq!(
        (draws.iter().min(), draws.iter().max()),
        (Some(&0), Some(&10))
    );
}

proptest! {
    /// RFC 3264, 4: at no time are two offers open, and every answer closes one.
    #[test]
    fn any_sequence_is_legal(steps in proptest::collection::vec((any::<bool>(), 0..CARRIERS.len(), any::<bool>()), 0..60)) {
        let mut machine = OfferAnswer::new();
        let mut open = false;
        for (direction, carrier, description) in steps {
            let before = machine.clone();
            let meaning = match direction {
                SEND => match machine.send(CARRIERS[carrier], description) {
                    Ok(meaning) => meaning,
                    Err(_) => {
                        prop_assert_eq!(&machine, &before);
                        continue;
                    }
                },
                RECEIVE => match machine.receive(CARRIERS[carrier], description) {
                    Ok(meaning) => meaning,
                    Err(Breach::Glare | Breach::Overlap) => {
                        prop_assert_eq!(&machine, &before);
                        continue;
                    }
                    Err(Breach::MissingAnswer | Breach::MissingOffer) => {
                        prop_assert_eq!(machine.phase(), Phase::Idle);
                        open = false;
                        continue;
                    }
                },
            };
            match meaning {
                Meaning::Offer => {
                    prop_assert!(!open);
                    open = true;
                }
                Meaning::Answer | Meaning::Withdrawal | Meaning::PreviewStands => {
                    prop_assert!(open);
                    open = false;
                }
                Meaning::Preview => prop_assert!(open),
                Meaning::Nothing | Meaning::Ignored => {}
            }
            prop_assert!(open || matches!(machine.phase(), Phase::Idle | Phase::OfferAwaited | Phase::OfferDue));
        }
    }
}
