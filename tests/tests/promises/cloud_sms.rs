//! D. Cloud SMS, a web page for receiving messages.

use super::CLOUD_SMS;
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_tests::HOUR_MS;
use sexton_tests::simulation::{DAY_MS, Simulation, ms};

#[test]
fn server_log_is_kept_6_months_and_gone_within_27_weeks() {
    let sim = Simulation::new(CLOUD_SMS);
    for (start, six_months_later) in
        [("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"), ("2026-08-31T22:30:00Z", "2027-02-28T22:30:00Z")]
    {
        let (start_ms, floor_ms) = (ms(start), ms(six_months_later));
        sim.pass_until(start_ms);
        let log = sim.put("server-log", start);
        sim.pass_until(floor_ms - HOUR_MS);
        assert!(sim.has(start), "the log of {start} is gone before {six_months_later}");
        sim.pass_until(start_ms + 27 * 7 * DAY_MS);
        assert!(!sim.has(start));
        let verdict = sim.verdict(log, start);
        assert_eq!((verdict.start_ms, verdict.floor_ms), (start_ms, floor_ms));
        assert!(verdict.time_ms >= floor_ms && verdict.time_ms < floor_ms + DAY_MS);
        assert_eq!(sim.receipt(log, start), (Compliance::Kept, Method::Deleted, Reason::Due));
    }
    sim.assert_sound();
}
