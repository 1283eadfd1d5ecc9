//! Lifecycle configuration of the bucket: rules by which the server itself deletes, and where they contradict promises.

use crate::error::Error;
use crate::store::S3Store;
use crate::trouble::Trouble;
use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule as SdkRule, Tag};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// Rule of the bucket's own lifecycle configuration, as far as it deletes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleRule {
    /// Id of the rule; empty if it has none.
    pub id: String,
    /// `true` if the rule is in force.
    pub is_enabled: bool,
    /// Prefix of the keys of its objects. Empty: all keys.
    pub prefix: String,
    /// `true` if the rule is for objects with some tags or sizes only.
    pub is_filtered: bool,
    /// Age after which current objects expire, days. In a bucket with versioning they get a delete marker.
    pub expire_days: Option<u32>,
    /// Instant at which current objects expire, Unix milliseconds.
    pub expire_at_ms: Option<i64>,
    /// Time since it was replaced after which a version is deleted, days.
    pub noncurrent_days: Option<u32>,
    /// Age after which multipart uploads are aborted, days.
    pub abort_uploads_days: Option<u32>,
    /// `true` if delete markers are removed that have no version behind them.
    pub removes_markers: bool,
}

/// Promise that a class makes for the objects of a prefix, to be compared with the bucket's lifecycle configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Promise {
    /// Name of the class.
    pub class: String,
    /// Prefix of the keys of its objects. Empty: all keys.
    pub prefix: String,
    /// Age before which no object is deleted. `None`: the class states none.
    pub floor: Option<Duration>,
}

impl Promise {
    /// Returns the promise of a class.
    #[must_use]
    pub fn new(class: impl Into<String>, prefix: impl Into<String>, floor: Option<Duration>) -> Self {
        Self { class: class.into(), prefix: prefix.into(), floor }
    }
}

impl S3Store {
    /// Reads the bucket's lifecycle configuration. A bucket or server without one has no rules.
    ///
    /// # Errors
    /// [`Error::NoBucket`]; [`Error::Denied`] without the right `s3:GetLifecycleConfiguration`; [`Error::Failed`].
    pub fn lifecycle(&self) -> Result<Vec<LifecycleRule>, Error> {
        self.call("the lifecycle configuration of the bucket cannot be read", |shared| async move {
            let caller = &shared.caller;
            let request = |client: &aws_sdk_s3::Client| {
                client.get_bucket_lifecycle_configuration().bucket(&caller.bucket).send()
            };
            match caller.send(request).await {
                Ok(output) => Ok(output.rules.unwrap_or_default().iter().map(LifecycleRule::of).collect()),
                Err(Trouble::NoConfiguration | Trouble::Unsupported) => Ok(Vec::new()),
                Err(trouble) => Err(trouble),
            }
        })
    }
}

impl LifecycleRule {
    fn of(rule: &SdkRule) -> Self {
        let filter = rule.filter();
        let and = filter.and_then(|filter| filter.and());
        // The older form has the prefix beside the filter.
        #[expect(deprecated, reason = "servers still answer with it")]
        let prefix = [rule.prefix(), filter.and_then(|f| f.prefix()), and.and_then(|and| and.prefix())];
        let tags: &[Tag] = and.map(|and| and.tags()).unwrap_or_default();
        let sizes = [
            filter.and_then(|f| f.object_size_greater_than()),
            filter.and_then(|f| f.object_size_less_than()),
            and.and_then(|and| and.object_size_greater_than()),
            and.and_then(|and| and.object_size_less_than()),
        ];
        let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
        let expiration = rule.expiration();
        Self {
            id: rule.id().unwrap_or_default().to_owned(),
            is_enabled: rule.status() == &ExpirationStatus::Enabled,
            prefix: prefix.into_iter().flatten().next().unwrap_or_default().to_owned(),
            is_filtered: filter.is_some_and(|f| f.tag().is_some())
                || !tags.is_empty()
                || sizes.iter().any(Option::is_some),
            expire_days: days(expiration.and_then(|e| e.days())),
            expire_at_ms: expiration.and_then(|e| e.date()).and_then(|date| date.to_millis().ok()),
            noncurrent_days: days(rule.noncurrent_version_expiration().and_then(|n| n.noncurrent_days())),
            abort_uploads_days: days(
                rule.abort_incomplete_multipart_upload().and_then(|a| a.days_after_initiation()),
            ),
            removes_markers: expiration.and_then(|e| e.expired_object_delete_marker()).unwrap_or(false),
        }
    }

    /// Returns the deletions of the rule: what is deleted, and the earliest age at which that happens.
    fn deletions(&self) -> Vec<(String, Option<Duration>)> {
        let after = |what: &str, days: Option<u32>| {
            days.map(|days| (format!("{what} after {days} days"), Some(DAY.saturating_mul(days))))
        };
        let at =
            self.expire_at_ms.map(|ms| (format!("objects at the instant {ms} ms, whatever their age"), None));
        let markers =
            self.removes_markers.then(|| ("delete markers without a version behind them".to_owned(), None));
        [
            after("objects", self.expire_days),
            at,
            // A version may be replaced as soon as it is stored.
            after("replaced versions", self.noncurrent_days),
            after("incomplete uploads", self.abort_uploads_days),
            markers,
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Compares the bucket's rules with the promises of classes. Returns one message for each contradiction.
///
/// Every rule in force that deletes objects of a class contradicts it: the server asks no hold and leaves no evidence. A rule
/// that may delete before the floor of the class breaks its promise.
///
/// ```
/// use sexton_s3::{LifecycleRule, Promise, contradictions};
/// use std::time::Duration;
///
/// let mut rule = LifecycleRule::default();
/// rule.id = "tidy".into();
/// rule.is_enabled = true;
/// rule.expire_days = Some(7);
/// let floor = Duration::from_hours(30 * 24);
/// let found = contradictions(&[rule], &[Promise::new("upload-30d", "uploads/", Some(floor))]);
/// assert!(found[0].contains("before the floor"), "{found:?}");
/// ```
#[must_use]
pub fn contradictions(rules: &[LifecycleRule], promises: &[Promise]) -> Vec<String> {
    let mut found = Vec::new();
    for rule in rules.iter().filter(|rule| rule.is_enabled) {
        for promise in promises.iter().filter(|promise| overlap(&rule.prefix, &promise.prefix)) {
            found.extend(rule.deletions().iter().map(|(what, age)| message(rule, promise, what, *age)));
        }
    }
    found
}

fn overlap(a: &str, b: &str) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

fn message(rule: &LifecycleRule, promise: &Promise, what: &str, age: Option<Duration>) -> String {
    let some = if rule.is_filtered { " with certain tags or sizes" } else { "" };
    let reach = if rule.prefix.len() > promise.prefix.len() { &rule.prefix } else { &promise.prefix };
    let begin = format!(
        "the bucket's own lifecycle rule {:?} deletes {what}{some} below {reach:?}, which are of the class {}",
        rule.id, promise.class
    );
    let is_early = promise.floor.is_some_and(|floor| age.is_none_or(|age| age < floor));
    if is_early {
        format!(
            "{begin}: that may be before the floor of the class; disable the rule, or exempt the prefix from it"
        )
    } else {
        format!(
            "{begin}: the server asks no hold and leaves no evidence; disable the rule, or exempt the prefix from it"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u64) -> Option<Duration> {
        Some(Duration::from_hours(24 * days))
    }

    fn rule(prefix: &str, expire_days: u32) -> LifecycleRule {
        LifecycleRule {
            id: "r".into(),
            is_enabled: true,
            prefix: prefix.into(),
            expire_days: Some(expire_days),
            ..LifecycleRule::default()
        }
    }

    #[test]
    fn rule_contradicts_the_classes_whose_prefix_it_meets() {
        let promises = [Promise::new("a", "a/", days(7)), Promise::new("b", "b/", None)];
        assert_eq!(contradictions(&[rule("c/", 1)], &promises), Vec::<String>::new());
        assert_eq!(contradictions(&[rule("a/x/", 1)], &promises).len(), 1);
        assert_eq!(contradictions(&[rule("", 1)], &promises).len(), 2);
        let disabled = LifecycleRule { is_enabled: false, ..rule("", 1) };
        assert!(contradictions(&[disabled], &promises).is_empty());
    }

    #[test]
    fn rule_below_the_floor_is_told_from_one_above() {
        let promises = [Promise::new("a", "", days(7))];
        let texts = contradictions(&[rule("", 6), rule("", 7)], &promises);
        assert!(texts[0].contains("before the floor") && !texts[1].contains("before the floor"), "{texts:?}");
        let at = LifecycleRule { expire_days: None, expire_at_ms: Some(0), ..rule("", 0) };
        assert!(contradictions(&[at], &promises)[0].contains("before the floor"));
    }

    #[test]
    fn each_deletion_of_a_rule_is_reported() {
        let all = LifecycleRule {
            noncurrent_days: Some(1),
            abort_uploads_days: Some(1),
            removes_markers: true,
            is_filtered: true,
            ..rule("", 1)
        };
        let texts = contradictions(&[all], &[Promise::new("a", "", None)]);
        assert_eq!(texts.len(), 4, "{texts:?}");
        assert!(texts.iter().all(|text| text.contains("certain tags")));
    }
}
