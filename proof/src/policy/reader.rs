//! Reader of a policy, line by line, with every rule of C2SP tlog-policy.

use std::collections::HashSet;

use super::error::{ENTRIES_MAX, LineError};
use crate::note::{self, KeyType, Verifier};

/// Predefined quorum that needs no witness.
pub(super) const NONE: &str = "none";

/// Log whose signature a verifier trusts. Its origin is the name of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Key of the log, of type 0x01.
    pub verifier: Verifier,
    /// URL of the log. This crate does not use it.
    pub url: Option<String>,
}

/// Witness whose cosignatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Name within the policy.
    pub name: String,
    /// Key of the witness, of type 0x04.
    pub verifier: Verifier,
    /// URL of the witness. This crate does not use it.
    pub url: Option<String>,
}

/// Group of witnesses and groups. It has cosigned a checkpoint if at least `threshold` of its members have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name within the policy.
    pub name: String,
    /// Number of members that suffice, 1 to the number of members.
    pub threshold: usize,
    /// Names of witnesses and groups on earlier lines, at least one. A name is a member of at most one group.
    pub members: Vec<String>,
}

/// Entries of the lines read so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) logs: Vec<Log>,
    pub(super) witnesses: Vec<Witness>,
    pub(super) groups: Vec<Group>,
    /// Name in the quorum line, `none` included.
    pub(super) quorum: Option<String>,
    /// Names of witnesses and groups.
    names: HashSet<String>,
    /// Names that are members of a group.
    members: HashSet<String>,
}

impl Reader {
    /// Reads the next line, given without its line feed.
    pub(super) fn line(&mut self, line: &str) -> Result<(), LineError> {
        // Only space and tab separate words; other Unicode spaces are part of names.
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        let is_comment = words.first().is_some_and(|word| word.starts_with('#'));
        let refused = |c: &char| c.is_control() && *c != '\t' && (c.is_ascii() || !is_comment);
        if let Some(found) = line.chars().find(refused) {
            return Err(LineError::ControlCharacter { found });
        }
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", vkey, url @ ..] if url.len() <= 1 => self.log(vkey, url.first()),
            ["witness", name, vkey, url @ ..] if url.len() <= 1 => self.witness(name, vkey, url.first()),
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            ["quorum", name] => self.quorum(name),
            _ => Err(LineError::Form {
                expected: "log <vkey> [<url>], witness <name> <vkey> [<url>], \
                           group <name> <all|any|number> <name>..., quorum <name|none> or a comment",
            }),
        }
    }

    fn log(&mut self, vkey: &str, url: Option<&&str>) -> Result<(), LineError> {
        let known = self.logs.iter().map(|log| &log.verifier);
        let verifier = parse_vkey(vkey, KeyType::Ed25519, known)?;
        check_count(self.logs.len(), "logs")?;
        self.logs.push(Log { verifier, url: url.map(|url| (*url).to_owned()) });
        Ok(())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: Option<&&str>) -> Result<(), LineError> {
        let known = self.witnesses.iter().map(|witness| &witness.verifier);
        let verifier = parse_vkey(vkey, KeyType::Cosignature, known)?;
        check_count(self.witnesses.len(), "witnesses")?;
        let name = self.define(name)?;
        self.witnesses.push(Witness { name, verifier, url: url.map(|url| (*url).to_owned()) });
        Ok(())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Result<(), LineError> {
        check_count(self.groups.len(), "groups")?;
        for member in members {
            self.defined(member)?;
            if !self.members.insert((*member).to_owned()) {
                return Err(LineError::MemberTwice { name: (*member).to_owned() });
            }
        }
        let threshold = parse_threshold(threshold, members.len())?;
        // After the check of the members, so that a group cannot be its own member.
        let name = self.define(name)?;
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.groups.push(Group { name, threshold, members });
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), LineError> {
        if self.quorum.is_some() {
            return Err(LineError::SecondQuorum);
        }
        if name != NONE {
            self.defined(name)?;
        }
        self.quorum = Some(name.to_owned());
        Ok(())
    }

    fn define(&mut self, name: &str) -> Result<String, LineError> {
        if name == NONE || !self.names.insert(name.to_owned()) {
            return Err(LineError::NameTaken { name: name.to_owned() });
        }
        Ok(name.to_owned())
    }

    fn defined(&self, name: &str) -> Result<(), LineError> {
        if self.names.contains(name) { Ok(()) } else { Err(LineError::Undefined { name: name.to_owned() }) }
    }
}

fn parse_vkey<'a>(
    vkey: &str,
    kind: KeyType,
    mut known: impl Iterator<Item = &'a Verifier>,
) -> Result<Verifier, LineError> {
    let verifier = Verifier::parse(vkey).map_err(LineError::Key)?;
    let name = verifier.name().to_owned();
    if verifier.key_type() != kind {
        let expected = match kind {
            KeyType::Ed25519 => "0x01 (Ed25519) for a log",
            KeyType::Cosignature => "0x04 (Ed25519 cosignature) for a witness",
        };
        return Err(LineError::WrongKeyType { name, expected });
    }
    // A public key under two names would count twice towards a quorum. Signatures of two keys with the same name and id
    // could not be attributed.
    let same = |v: &Verifier| {
        v.public_key() == verifier.public_key() || (v.id() == verifier.id() && v.name() == verifier.name())
    };
    if known.any(same) { Err(LineError::DuplicateKey { name }) } else { Ok(verifier) }
}

fn parse_threshold(text: &str, members: usize) -> Result<usize, LineError> {
    let number = match text {
        "all" => Some(members),
        "any" => Some(1),
        _ => {
            note::parse_decimal(text, ENTRIES_MAX as u64 * 2).and_then(|number| usize::try_from(number).ok())
        }
    };
    number
        .filter(|number| (1..=members).contains(number))
        .ok_or_else(|| LineError::Threshold { text: text.to_owned(), members })
}

fn check_count(count: usize, kind: &'static str) -> Result<(), LineError> {
    if count < ENTRIES_MAX { Ok(()) } else { Err(LineError::TooMany { kind }) }
}
