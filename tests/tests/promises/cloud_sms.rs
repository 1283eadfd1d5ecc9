//! D. Cloud SMS, a web page for receiving messages.

use super::CLOUD_SMS;
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_tests::simulation::{Simulation, instant};
use sexton_tests::{DAY, HOUR};

#[test]
fn server_log_is_kept_6_months_and_gone_within_27_weeks() {
    let sim = Simulation::new(CLOUD_SMS);
    for (name, six_months_later) in
        [("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"), ("2026-08-31T22:30:00Z", "2027-02-28T22:30:00Z")]
    {
        let (start, floor) = (instant(name), instant(six_months_later));
        sim.pass_until(start);
        let log = sim.put("server-log", name);
        sim.pass_until(floor.saturating_sub(HOUR));
        assert!(sim.has(name), "the log of {name} is gone before {six_months_later}");
        sim.pass_until(start.saturating_add(27 * 7 * DAY));
        assert!(!sim.has(name));
        let verdict = sim.verdict(log, name);
        assert_eq!((verdict.start, verdict.floor), (start, Some(floor)));
        assert!(verdict.time >= floor && verdict.time < floor.saturating_add(DAY));
        assert_eq!(sim.receipt(log, name), (Compliance::Kept, Method::Deleted, Reason::Due));
    }
    sim.assert_sound();
}
