//! Rules that choose the class of an object by its prefix, size and tags.

use crate::error::Error;
use crate::listing::ListedObject;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rule that gives objects a class. All that it states must hold.
///
/// ```
/// let rule: sexton_s3::Rule = serde_json::from_str(
///     r#"{"class": "upload-30d", "prefix": "uploads/", "min_size": 1, "tags": {"kind": "photo"}}"#,
/// )?;
/// assert_eq!(rule.prefix, "uploads/");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// Class of the objects.
    pub class: String,
    /// Prefix of their keys. Default: all keys.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Smallest size, bytes. Delete markers and uploads have no size, so a rule with a bound leaves them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u64>,
    /// Largest size, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// Tags that the object has, among others. Reading them costs a request per object. Delete markers and uploads have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Rule {
    /// Returns a rule that gives every object this class.
    #[must_use]
    pub fn new(class: impl Into<String>) -> Self {
        Self {
            class: class.into(),
            prefix: String::new(),
            min_size: None,
            max_size: None,
            tags: BTreeMap::new(),
        }
    }

    /// Returns `true` if prefix and size fit.
    fn fits(&self, object: &ListedObject) -> bool {
        let is_sized = self.min_size.is_some() || self.max_size.is_some();
        let size_fits = match object.size {
            None => !is_sized,
            Some(size) => {
                self.min_size.is_none_or(|min| size >= min) && self.max_size.is_none_or(|max| size <= max)
            }
        };
        size_fits && object.key.starts_with(&self.prefix)
    }
}

/// Returns the first rule that holds for an object. `tags` reads its tags, such as by [`S3Store::tags`](crate::S3Store::tags).
/// It is called at most once, and only if a rule depends on it.
///
/// # Errors
/// The error of `tags`. The class is then not known.
pub fn first_rule<'r>(
    rules: &'r [Rule],
    object: &ListedObject,
    tags: impl FnOnce() -> Result<Vec<(String, String)>, Error>,
) -> Result<Option<&'r Rule>, Error> {
    let mut read = None;
    let mut tags = Some(tags);
    for rule in rules.iter().filter(|rule| rule.fits(object)) {
        if rule.tags.is_empty() {
            return Ok(Some(rule));
        }
        if let Some(tags) = tags.take() {
            read = Some(tags()?);
        }
        let has = |(name, value): (&String, &String)| {
            read.iter().flatten().any(|(own, its)| own == name && its == value)
        };
        if rule.tags.iter().all(has) {
            return Ok(Some(rule));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    fn object(key: &str, size: Option<u64>) -> ListedObject {
        ListedObject {
            key: key.into(),
            version: Version::Object("v".into()),
            modified_ms: 0,
            size,
            is_latest: true,
        }
    }

    fn class<'r>(rules: &'r [Rule], object: &ListedObject, tags: &[(&str, &str)]) -> Option<&'r str> {
        let tags = || Ok(tags.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        first_rule(rules, object, tags).unwrap().map(|rule| rule.class.as_str())
    }

    #[test]
    fn first_rule_that_fits_gives_the_class() {
        let mut small = Rule::new("small");
        small.max_size = Some(9);
        small.prefix = "a/".into();
        let mut large = Rule::new("large");
        large.min_size = Some(10);
        let rules = [small, large];
        assert_eq!(class(&rules, &object("a/1", Some(9)), &[]), Some("small"));
        assert_eq!(class(&rules, &object("a/1", Some(10)), &[]), Some("large"));
        assert_eq!(class(&rules, &object("b", Some(9)), &[]), None);
        assert_eq!(class(&rules, &object("a/1", None), &[]), None, "a marker has no size");
        assert_eq!(class(&[Rule::new("all")], &object("a/1", None), &[]), Some("all"));
    }

    #[test]
    fn tags_are_read_only_for_a_rule_that_depends_on_them() {
        let mut tagged = Rule::new("photo");
        tagged.prefix = "a/".into();
        tagged.tags = [("kind".to_owned(), "photo".to_owned())].into();
        let rules = [tagged.clone(), tagged, Rule::new("rest")];
        assert_eq!(class(&rules, &object("a/1", Some(1)), &[("x", "y"), ("kind", "photo")]), Some("photo"));
        assert_eq!(class(&rules, &object("a/1", Some(1)), &[("kind", "text")]), Some("rest"));
        let denied = || Err(Error::Denied("no right".into()));
        assert!(first_rule(&rules, &object("b", Some(1)), denied).is_ok_and(|rule| rule.is_some()));
        assert!(first_rule(&rules, &object("a/1", Some(1)), denied).is_err());
    }
}
