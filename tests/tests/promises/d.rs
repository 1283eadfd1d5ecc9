//! D. Cloud SMS, a web page for receiving messages.

use super::CLOUD_SMS;
use crate::site::{DAY_MS, Site, ms};
use sexton_proof::receipt::Outcome;
use sexton_proof::record::{Method, Reason};
use sexton_tests::HOUR_MS;

#[test]
fn server_logs_are_kept_for_six_months_and_are_gone_before_the_27th_week_is_over() {
    let site = Site::new(CLOUD_SMS);
    for (start, six_months_later) in
        [("2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"), ("2026-08-31T22:30:00Z", "2027-02-28T22:30:00Z")]
    {
        let (start_ms, floor_ms) = (ms(start), ms(six_months_later));
        site.pass_until(start_ms);
        let log = site.put("server-log", start);
        site.pass_until(floor_ms - HOUR_MS);
        assert!(site.has(start), "the log of {start} is gone before {six_months_later}");
        site.pass_until(start_ms + 27 * 7 * DAY_MS);
        assert!(!site.has(start));
        let verdict = site.verdict(log, start);
        assert_eq!((verdict.start_ms, verdict.floor_ms), (start_ms, floor_ms));
        assert!(verdict.time_ms >= floor_ms && verdict.time_ms < floor_ms + DAY_MS);
        assert_eq!(site.receipt(log, start), (Outcome::Kept, Method::Deleted, Reason::Due));
    }
    site.assert_sound();
}
