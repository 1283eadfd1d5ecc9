//! Answers to repeated requests: a POST with the `Idempotency-Key` of an earlier one gets the earlier answer.
//!
//! The answers are kept in memory: for a day, the latest 10,000 of at most 64 MiB, and not across a restart. Later, a
//! repeatable request runs again, and [`Begun`](super::begun::Begun) refuses any other.

use axum::body::Bytes;
use parking_lot::Mutex;
use sexton::testing::Monotonic;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Most answers that are kept.
const ANSWERS_MAX: usize = 10_000;
/// Most bytes of answers that are kept.
const ANSWERS_MAX_BYTES: usize = 64 << 20;
/// Time for which an answer is kept.
const KEEP: Duration = Duration::from_secs(24 * 3_600);
/// Longest key, bytes.
pub(super) const KEY_MAX_BYTES: usize = 255;

/// Identity of a request: the peer's user, the path, and the key.
pub(super) type RequestKey = (Option<u32>, &'static str, String);

/// State of a request with an idempotency key.
pub(super) enum Earlier {
    /// The key is new. The caller runs the request and then calls [`Answers::finish`].
    None,
    /// The same request runs at this moment.
    Running,
    /// The key was used for a request with another body.
    OtherBody,
    /// Answer to the same request.
    Answered(Bytes),
}

/// Answers to requests with an idempotency key.
#[derive(Default)]
pub(super) struct Answers(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    by_key: HashMap<RequestKey, Entry>,
    /// Keys in the order of their first use.
    order: VecDeque<(Monotonic, RequestKey)>,
    /// Bytes of all answers.
    bytes: usize,
}

struct Entry {
    body: blake3::Hash,
    answer: Option<Bytes>,
}

impl Answers {
    /// Returns what is known of a request, and notes it if it is new.
    pub(super) fn begin(&self, key: &RequestKey, body: &Bytes, now: Monotonic) -> Earlier {
        let body = blake3::hash(body);
        let mut inner = self.0.lock();
        inner.expire(now);
        match inner.by_key.get(key) {
            Some(entry) if entry.body != body => Earlier::OtherBody,
            Some(Entry { answer: None, .. }) => Earlier::Running,
            Some(Entry { answer: Some(answer), .. }) => Earlier::Answered(answer.clone()),
            None => {
                inner.by_key.insert(key.clone(), Entry { body, answer: None });
                inner.order.push_back((now, key.clone()));
                Earlier::None
            }
        }
    }

    /// Keeps the answer to a request. After a failure, `None`, the request can be sent again.
    pub(super) fn finish(&self, key: &RequestKey, answer: Option<&Bytes>) {
        let mut inner = self.0.lock();
        if let Some(answer) = answer {
            if let Some(entry) = inner.by_key.get_mut(key) {
                entry.answer = Some(answer.clone());
                inner.bytes += answer.len();
            }
            while inner.bytes > ANSWERS_MAX_BYTES && inner.forget_oldest() {}
        } else {
            inner.by_key.remove(key);
            inner.order.retain(|(_, noted)| noted != key);
        }
    }
}

impl Inner {
    fn expire(&mut self, now: Monotonic) {
        while let Some((since, _)) = self.order.front()
            && (self.order.len() >= ANSWERS_MAX || now.since(*since) >= KEEP)
        {
            self.forget_oldest();
        }
    }

    /// Returns `false` if there is nothing to forget.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, key)) = self.order.pop_front() else { return false };
        let answer = self.by_key.remove(&key).and_then(|entry| entry.answer);
        self.bytes -= answer.map_or(0, |answer| answer.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> RequestKey {
        (Some(0), "/v1/holds/place", name.to_owned())
    }

    #[test]
    fn repeated_request_gets_the_earlier_answer_for_a_day() {
        let answers = Answers::default();
        let (begin, day) = (Monotonic::from_ms(0), Monotonic::from_ms(86_400_000));
        let body = Bytes::from_static(b"{}");
        assert!(matches!(answers.begin(&key("a"), &body, begin), Earlier::None));
        assert!(matches!(answers.begin(&key("a"), &body, begin), Earlier::Running));
        answers.finish(&key("a"), Some(&Bytes::from_static(b"answer")));
        assert!(
            matches!(answers.begin(&key("a"), &body, begin), Earlier::Answered(answer) if answer == "answer")
        );
        assert!(matches!(answers.begin(&key("a"), &Bytes::new(), begin), Earlier::OtherBody));
        assert!(matches!(answers.begin(&key("a"), &body, day), Earlier::None));
    }

    #[test]
    fn failed_request_runs_again_and_the_oldest_answers_go() {
        let answers = Answers::default();
        let now = Monotonic::from_ms(0);
        let body = Bytes::new();
        assert!(matches!(answers.begin(&key("a"), &body, now), Earlier::None));
        answers.finish(&key("a"), None);
        assert!(matches!(answers.begin(&key("a"), &body, now), Earlier::None));
        for number in 0..ANSWERS_MAX {
            assert!(matches!(answers.begin(&key(&number.to_string()), &body, now), Earlier::None));
        }
        assert_eq!(answers.0.lock().by_key.len(), ANSWERS_MAX);
        assert!(matches!(answers.begin(&key("a"), &body, now), Earlier::None));
    }

    #[test]
    fn oldest_answers_go_if_all_are_too_long_together() {
        let answers = Answers::default();
        let now = Monotonic::from_ms(0);
        let long = Bytes::from(vec![0; ANSWERS_MAX_BYTES / 4]);
        for number in 0..10 {
            let key = key(&number.to_string());
            assert!(matches!(answers.begin(&key, &long, now), Earlier::None));
            answers.finish(&key, Some(&long));
            assert!(answers.0.lock().bytes <= ANSWERS_MAX_BYTES);
        }
        assert!(matches!(answers.begin(&key("9"), &long, now), Earlier::Answered(_)));
        assert!(matches!(answers.begin(&key("0"), &long, now), Earlier::None));
    }
}
