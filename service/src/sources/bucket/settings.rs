//! Settings of buckets, as the configuration has them.

use super::super::length::Length;
use super::super::shared::invalid;
use serde::{Deserialize, Serialize};
use sexton::Result;
use sexton::decision::RootSource;
use sexton_s3::{Options, Rule};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// Time between two listings, if the settings do not say.
const RESCAN: Length = Length(Duration::from_hours(1));

/// Bucket whose objects are objects of the service: a `[[bucket]]` of the configuration.
///
/// Credentials have no place here: they come from the credential chain of the AWS SDK, which also renews them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Bucket {
    /// Name of the source: 1 to 32 of the characters `a` to `z`, `0` to `9` and `-`. It never changes, because the keys
    /// of its objects begin with it and a slash.
    pub name: String,
    /// Name of the bucket.
    pub bucket: String,
    /// Class of new objects that no rule fits. Default: none, and these objects are left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Rules that give new objects a class. The first one that fits counts.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Prefix of the keys that are listed. Default: the whole bucket.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Region that signatures name. Default: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// URL of the server. Default: AWS, at the endpoint of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// File with the certificates (PEM) of the authorities that may vouch for the server. Default: those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// `true` if the bucket is in the path of URLs, as most servers other than AWS need it.
    #[serde(default)]
    pub path_style: bool,
    /// Profile of the shared configuration files. Default: the one of the credential chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `true` if each object is looked at before its deletion, so that receipts show it as deleted. `false` saves that request:
    /// receipts then say only that the server was asked and did not refuse. Default: true.
    #[serde(default = "confirm")]
    pub confirm: bool,
    /// `true` to take a bucket whose server cannot delete the registered object and no other.
    #[serde(default)]
    pub unsafe_unversioned: bool,
    /// Most requests that wait for the server at a time. Default: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_in_flight: Option<u16>,
    /// Time between the beginnings of two listings, which find new objects. Default: 1h.
    #[serde(default = "rescan")]
    pub rescan: Length,
    /// Limit on deletions in a second. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_deletes_per_second: Option<NonZeroU32>,
}

fn confirm() -> bool {
    true
}

fn rescan() -> Length {
    RESCAN
}

/// Settings that were checked, with what was made of them.
#[derive(Clone, Debug)]
pub(in super::super) struct Settings {
    pub(in super::super) source: RootSource,
    pub(in super::super) bucket: Bucket,
    /// The rules, and one for all other objects if they have a class.
    pub(super) rules: Vec<Rule>,
    pub(super) options: Options,
}

impl Bucket {
    /// Creates the settings of a bucket with the defaults.
    pub fn new(name: impl Into<String>, bucket: impl Into<String>, class: impl Into<String>) -> Self {
        Bucket {
            name: name.into(),
            bucket: bucket.into(),
            class: Some(class.into()),
            rules: Vec::new(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            ca_file: None,
            path_style: false,
            profile: None,
            confirm: true,
            unsafe_unversioned: false,
            requests_in_flight: None,
            rescan: RESCAN,
            max_deletes_per_second: None,
        }
    }

    /// Returns the URL of the bucket, for people.
    pub(super) fn url(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("s3://{} at {endpoint}", self.bucket),
            None => format!("s3://{}", self.bucket),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// `Invalid` for the first setting that is wrong.
    pub(in super::super) fn check(&self) -> Result<Settings> {
        let refused = |what: &str| Err(invalid(format!("the bucket {:?}: {what}", self.name)));
        let source = RootSource::new(&self.name)?;
        if self.rescan == Length::default() {
            return refused("rescan is 0; give at least 1s");
        }
        let mut rules = self.rules.clone();
        rules.extend(self.class.as_ref().map(Rule::new));
        if rules.is_empty() {
            return refused("it has no class; give class, or a [[bucket.rule]]");
        }
        let mut options = Options::new(&self.bucket, self.region.as_deref().unwrap_or("us-east-1"));
        options.endpoint.clone_from(&self.endpoint);
        options.ca_file.clone_from(&self.ca_file);
        options.profile.clone_from(&self.profile);
        options.path_style = self.path_style;
        options.confirm = self.confirm;
        options.unsafe_unversioned = self.unsafe_unversioned;
        if let Some(requests) = self.requests_in_flight {
            options.requests_in_flight = requests.into();
        }
        match options.check() {
            Ok(()) => Ok(Settings { source, bucket: self.clone(), rules, options }),
            Err(error) => refused(&error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_file_are_read_with_their_defaults() {
        let text = "name = \"up\"\nbucket = \"uploads\"\nclass = \"upload-3h\"\n";
        let read: Bucket = toml::from_str(text).unwrap();
        assert_eq!(read, Bucket::new("up", "uploads", "upload-3h"));
        let rules = "endpoint = \"https://s3.example.com\"\npath_style = true\nrescan = \"15m\"\nconfirm = false\n\
                     [[rule]]\nprefix = \"logs/\"\nclass = \"log-73h\"\nmax_size = 9\ntags = { kind = \"raw\" }\n";
        let read: Bucket = toml::from_str(&format!("{text}{rules}")).unwrap();
        let checked = read.check().unwrap();
        let classes: Vec<&str> = checked.rules.iter().map(|rule| rule.class.as_str()).collect();
        assert_eq!((classes, read.rescan), (vec!["log-73h", "upload-3h"], Length(Duration::from_mins(15))));
        assert_eq!(toml::from_str::<Bucket>(&toml::to_string(&read).unwrap()).unwrap(), read);
        assert!(toml::from_str::<Bucket>(&format!("{text}secret_key = \"x\"\n")).is_err());
    }

    #[test]
    fn wrong_settings_are_refused_with_the_reason() {
        let with = |change: &dyn Fn(&mut Bucket)| {
            let mut of = Bucket::new("up", "uploads", "upload-3h");
            change(&mut of);
            of.check().map(|_| ()).unwrap_err().to_string()
        };
        for (found, expected) in [
            (with(&|of| of.name = "Up".into()), "the name \"Up\" of a source"),
            (with(&|of| of.class = None), "it has no class"),
            (with(&|of| of.rescan = Length::default()), "rescan is 0"),
            (with(&|of| of.bucket = "a/b".into()), "\"a/b\" has no valid name"),
            (with(&|of| of.endpoint = Some("s3.example.com".into())), "is not like https://"),
            (with(&|of| of.requests_in_flight = Some(0)), "requests_in_flight is 0"),
        ] {
            assert!(found.contains(expected), "{found}");
        }
    }
}
