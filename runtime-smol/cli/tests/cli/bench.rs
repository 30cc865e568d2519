//! `sipsimple bench`: figures of every kind, none of them judged here.

use super::run;

#[test]
fn every_benchmark_has_figures() {
    for what in ["parse", "print"] {
        let ended = run(&["bench", what, "--seconds", "0.05"]);
        let data = &ended.assert_exit(0)["data"];
        assert!(data["ns"].as_f64().unwrap() > 0.0, "{data}");
        assert!(data["mb_per_second"].as_f64().unwrap() > 0.0, "{data}");
    }
    for what in ["transactions", "calls"] {
        let ended = run(&["bench", what, "--seconds", "0.3"]);
        let data = &ended.assert_exit(0)["data"];
        assert!(data["done"].as_u64().unwrap() > 0, "{data}");
        assert!(data["per_second"].as_f64().unwrap() > 0.0, "{data}");
        // RFC 3261, 17.2.2: over UDP a server keeps each of them for Timer J; no answer is stateless.
        assert!(data["kept"].as_u64() >= data["done"].as_u64(), "{data}");
    }
    let ended = run(&["bench", "srtp", "--seconds", "0.1"]);
    let suites = ended.assert_exit(0)["data"]["suites"].as_object().unwrap();
    assert_eq!(suites.len(), 6);
    for (suite, figures) in suites {
        for what in ["seal_ns", "open_ns", "streams_per_core"] {
            assert!(figures[what].as_f64().unwrap() > 0.0, "{suite}: {figures}");
        }
    }
    let ended = run(&["bench", "ice", "--seconds", "0.1"]);
    let data = &ended.assert_exit(0)["data"];
    for candidates in ["1", "4"] {
        let figures = &data["candidates"][candidates];
        assert!(figures["session_us"].as_f64().unwrap() > 0.0, "{data}");
        // In virtual time, the same on every machine.
        assert!(figures["nominated_ms"].as_f64().unwrap() <= 50.0, "{data}");
        assert!(figures["datagrams"].as_u64().unwrap() >= 4, "{data}");
    }
    for what in ["check_write_ns", "check_read_ns"] {
        assert!(data[what].as_f64().unwrap() > 0.0, "{data}");
    }
    let ended = run(&["bench", "memory", "--count", "200"]);
    let data = &ended.assert_exit(0)["data"];
    assert!(data["registration_bytes"].as_u64().unwrap() > 0, "{data}");
    run(&["bench", "parse", "--seconds", "0"]).assert_exit(1);
    assert_eq!(run(&["bench", "nothing"]).exit, 1);
}
