//! Configuration of a service: one TOML file.

use crate::ownership;
#[cfg(feature = "s3")]
use crate::sources::Bucket;
use crate::sources::{Directory, SourceSettings, Sources};
use serde::Deserialize;
use sexton::Span;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Path of the configuration if the command names none.
pub const DEFAULT_PATH: &str = "/etc/sexton/sexton.toml";

/// Configuration of a service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Data folder. The first start creates it.
    pub data: PathBuf,
    /// Origin line of the log: a name that no other engine uses. The first start stores it, and another one is refused
    /// later.
    pub origin: String,
    /// Folder of the sockets. Default: `/run/sexton`.
    #[serde(default = "runtime")]
    pub runtime: PathBuf,
    /// Sockets for hosts and operators.
    #[serde(default)]
    pub sockets: Sockets,
    /// Listener for metrics and health; none by default.
    #[serde(default)]
    pub metrics: Option<Tcp>,
    /// Listener for the public log; none by default.
    #[serde(default)]
    pub public_log: Option<Tcp>,
    /// Schedules of the upkeep.
    #[serde(default)]
    pub schedule: Schedule,
    /// Directories under a promise.
    #[serde(default, rename = "directory")]
    pub directories: Vec<Directory>,
    /// Buckets under a promise.
    #[cfg(feature = "s3")]
    #[serde(default, rename = "bucket")]
    pub buckets: Vec<Bucket>,
    /// Threads that delete, at least 1. Default: 2.
    #[serde(default = "threads")]
    pub threads: usize,
    /// Longest time in which batches in flight finish after SIGTERM. Default: 60 s.
    #[serde(default = "stop_within", deserialize_with = "span")]
    pub stop_within: Duration,
}

/// Sockets for hosts and operators.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Sockets {
    /// Permissions of `register.sock`, octal. Default: `"660"`.
    #[serde(deserialize_with = "mode")]
    pub register_mode: u32,
    /// Permissions of `control.sock`, octal. Default: `"600"`, the user of the service and root only.
    #[serde(deserialize_with = "mode")]
    pub control_mode: u32,
    /// Most open connections of each socket. Default: 256.
    pub connections: usize,
}

/// TCP listener.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tcp {
    /// Address and port. Nothing on it is authenticated, so an address other than loopback is for a trusted network.
    pub listen: SocketAddr,
}

/// Schedules of the upkeep.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Schedule {
    /// Time between two runs of reclaiming, which clears data of ended objects from the index. Default: 1 h.
    #[serde(deserialize_with = "span")]
    pub reclaim: Duration,
    /// Time between two attempts to publish what an earlier attempt could not. Default: 1 s.
    #[serde(deserialize_with = "span")]
    pub publish: Duration,
}

impl Default for Sockets {
    fn default() -> Self {
        Sockets { register_mode: 0o660, control_mode: 0o600, connections: 256 }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { reclaim: Duration::from_secs(3_600), publish: Duration::from_secs(1) }
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// A sentence that names the file, the line and the field.
    pub fn read(path: &Path) -> Result<Config, String> {
        let text = fs::read_to_string(path)
            .map_err(|e| format!("the configuration {} cannot be read: {e}", path.display()))?;
        Config::parse(&text).map_err(|why| format!("the configuration {}: {why}", path.display()))
    }

    /// Parses the text of a configuration.
    ///
    /// # Errors
    /// A sentence that names the line and the field. An unknown field comes with the field that is spelt like it.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
            let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{place}{}", with_suggestion(error.message()))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Sources under a promise.
    #[must_use]
    pub fn sources(&self) -> SourceSettings {
        let settings = SourceSettings::default().directories(self.directories.clone());
        #[cfg(feature = "s3")]
        let settings = settings.buckets(self.buckets.clone());
        settings
    }

    /// Path of the socket on which hosts register.
    #[must_use]
    pub fn register_socket(&self) -> PathBuf {
        self.runtime.join("register.sock")
    }

    /// Path of the socket on which operators decide.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.runtime.join(ownership::CONTROL)
    }

    /// Refuses values that contradict each other or the machine.
    fn check(&self) -> Result<(), String> {
        for (field, path) in [("data", &self.data), ("runtime", &self.runtime)] {
            if !path.is_absolute() {
                return Err(format!(
                    "{field} = {:?} is a relative path; give an absolute one",
                    path.display()
                ));
            }
        }
        if self.threads == 0 {
            return Err("threads = 0; at least 1 is needed".to_owned());
        }
        if self.sockets.connections == 0 {
            return Err("sockets.connections = 0; at least 1 is needed".to_owned());
        }
        Sources::check(&self.sources()).map_err(|e| e.to_string())?;
        Ok(())
    }
}

/// Returns the message of an unknown field with the known field that is spelt most like it.
fn with_suggestion(message: &str) -> String {
    if cfg!(not(feature = "s3")) && message.starts_with("unknown field `bucket`") {
        return "buckets are not in this build; build the command with `--features s3`".to_owned();
    }
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let nearest = match names.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            let distance = |name: &&&str| strsim::damerau_levenshtein(unknown, name);
            known.iter().min_by_key(distance).filter(|name| distance(name) <= 3)
        }
        _ => None,
    };
    match nearest {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message.to_owned(),
    }
}

fn runtime() -> PathBuf {
    PathBuf::from(ownership::RUNTIME)
}

fn threads() -> usize {
    2
}

fn stop_within() -> Duration {
    Duration::from_secs(60)
}

/// Reads an exact span, as in `90s` or `1h`.
pub(crate) fn span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let span: Span = text.parse().map_err(serde::de::Error::custom)?;
    span.exact()
        .ok_or_else(|| serde::de::Error::custom(format!("{text} is a calendar span; use s, m, h, d or w")))
}

/// Reads permissions in octal, as in `660`.
fn mode<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let text = String::deserialize(deserializer)?;
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err(serde::de::Error::custom(format!(
            "{text:?} are no permissions; write them in octal, like \"660\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = "data = \"/var/lib/sexton\"\norigin = \"example.com/uploads\"\n";

    #[test]
    fn shortest_configuration_has_the_defaults() {
        let config = Config::parse(SHORT).unwrap();
        assert_eq!(config.control_socket(), Path::new("/run/sexton/control.sock"));
        assert_eq!((config.sockets.register_mode, config.sockets.control_mode), (0o660, 0o600));
        assert_eq!(config.schedule.reclaim, Duration::from_secs(3_600));
        assert_eq!((config.metrics, config.public_log), (None, None));
    }

    #[test]
    fn wrong_field_is_refused_with_line_and_suggestion() {
        for (text, message) in [
            ("thread = 2", "line 3: unknown field `thread`"),
            ("thread = 2", "did you mean `threads`?"),
            ("[schedule]\nreclam = \"1h\"", "line 4: unknown field `reclam`"),
            ("[schedule]\nreclam = \"1h\"", "did you mean `reclaim`?"),
            ("threads = 0", "threads = 0; at least 1 is needed"),
            ("stop_within = \"1mo\"", "1mo is a calendar span"),
            ("runtime = \"run\"", "runtime = \"run\" is a relative path"),
            ("[sockets]\ncontrol_mode = \"0999\"", "\"0999\" are no permissions"),
            ("[metrics]\nlisten = \"localhost\"", "invalid socket address"),
            ("[schedule]\nreclaim = \"0s\"", "a span is a number from 1"),
        ] {
            let error = Config::parse(&format!("{SHORT}{text}")).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        assert!(Config::parse("origin = \"a\"").unwrap_err().contains("missing field `data`"));
    }
}
