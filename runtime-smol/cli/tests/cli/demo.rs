//! `sipsimple demo`, whole and broken.

use super::{Place, start};

/// All at the same time: each of them mostly waits for speech.
#[test]
fn the_demo_verifies_every_step_and_notices_what_is_broken() {
    let place = Place::new("demo");
    let whole = [
        (
            "smol",
            start(&["demo", "--runtime", "smol", "--out", &place.file("")]),
        ),
        ("std", start(&["demo", "--runtime", "std"])),
    ];
    let broken = ["media", "dtmf", "hold"].map(|what| (what, start(&["demo", "--break", what])));
    for (runtime, demo) in whole {
        let demo = demo.end();
        let last = demo.assert_exit(0);
        assert!(last["t"].as_f64().unwrap() < 20.0, "{runtime}: {last}");
        let verified = demo.lines.iter().filter(|line| line["event"] == "verified");
        let steps: Vec<&str> = verified
            .map(|line| line["data"]["step"].as_str().unwrap())
            .collect();
        assert_eq!(
            steps,
            [
                "registration",
                "call",
                "dtmf",
                "hold",
                "hang-up",
                "spiral",
                "unregistration",
                "speech from alice to bob",
                "speech from bob to alice"
            ]
        );
        let ladder = last["data"]["ladder"].as_array().unwrap();
        let has = |text: &str| {
            ladder
                .iter()
                .any(|line| line.as_str().unwrap().contains(text))
        };
        assert!(has("INVITE (SDP sendonly)") && has("BYE"), "{ladder:#?}");
        assert!(
            has("401 Unauthorized REGISTER") && has("407 Proxy Auth"),
            "{ladder:#?}"
        );
    }
    for file in ["alice-said", "alice-heard", "bob-said", "bob-heard"] {
        assert!(
            std::fs::metadata(place.file(&format!("{file}.wav")))
                .unwrap()
                .len()
                > 10_000
        );
    }
    for (what, demo) in broken {
        let demo = demo.end();
        let reason = demo.assert_exit(8)["reason"].as_str().unwrap();
        let expected = match what {
            "media" => "media",
            "dtmf" => "digits",
            _ => "hold",
        };
        assert!(reason.contains(expected), "{what}: {reason}");
    }
}
