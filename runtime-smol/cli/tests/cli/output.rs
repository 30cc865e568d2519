//! What is printed besides results: the log, and colours.

use super::{run, start};
use std::process::{Command, Output};

/// `-v` and `-vv` write the log of the stack to stderr, and leave stdout alone.
#[test]
fn verbose_says_more_on_stderr() {
    for (flags, levels) in [
        (&[][..], [false, false]),
        (&["-v"], [true, false]),
        (&["-vv"], [true, true]),
    ] {
        let mut answer = start(&["answer", "--auto", "--count", "1"]);
        let uri = answer.uri("udp");
        // A timer that fires is a trace: the latest is the first report of RTCP.
        let length = if levels[1] { "3.5" } else { "0.2" };
        let call = ["call", &uri, "--hangup-after", length];
        let ended = run(&[&call, flags].concat());
        ended.assert_exit(0);
        answer.end().assert_exit(0);
        let seen = ["DEBUG", "TRACE"].map(|level| ended.stderr.contains(level));
        assert_eq!(seen, levels, "{flags:?}: {}", ended.stderr);
        if levels[0] {
            assert!(ended.stderr.contains("sipsimple::session: "));
        } else {
            assert_eq!(ended.stderr, "");
        }
    }
    assert_eq!(run(&["dns", "sip:127.0.0.1", "-q", "-v"]).exit, 1);
}

/// Nobody asked for colours in a pipe; who asks gets them, and programs never do.
#[test]
fn colours_are_for_terminals_or_on_demand() {
    let ask = |more: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sipsimple"));
        // A port that nothing listens on: events, and a failure.
        let uri = "sip:127.0.0.1:9;transport=tcp";
        command.args(["call", uri, "--bind", "127.0.0.1"]);
        command.args(more).output().unwrap()
    };
    let colours =
        |output: &Output| [&output.stdout, &output.stderr].map(|text| text.contains(&0x1b));
    assert_eq!(colours(&ask(&[])), [false; 2]);
    assert_eq!(colours(&ask(&["--color", "never"])), [false; 2]);
    assert_eq!(colours(&ask(&["--color", "always", "--json"])), [false; 2]);
    let painted = ask(&["--color", "always"]);
    assert_eq!(colours(&painted), [true; 2]);
    let text = String::from_utf8(painted.stdout).unwrap();
    assert!(text.contains("\x1b[31mSIPSessionDidFail\x1b[0m"), "{text}");
    assert_eq!(run(&["dns", "sip:127.0.0.1", "--color", "blue"]).exit, 1);
}
