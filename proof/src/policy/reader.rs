//! Reading a policy line by line, with every rule of C2SP tlog-policy.

use std::collections::HashSet;

use super::{ENTRIES_MAX, Group, LineError, Log, NONE, Witness};
use crate::note::{self, KeyType, Verifier};

/// What the lines read so far define.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) logs: Vec<Log>,
    pub(super) witnesses: Vec<Witness>,
    pub(super) groups: Vec<Group>,
    /// The name in the quorum line, `none` included.
    pub(super) quorum: Option<String>,
    /// Names of witnesses and groups.
    names: HashSet<String>,
    /// Names that are in a group.
    members: HashSet<String>,
}

impl Reader {
    /// Takes the next line, without its line feed.
    pub(super) fn line(&mut self, line: &str) -> Result<(), LineError> {
        if let Some(byte) = line.bytes().find(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
            return Err(LineError::ControlCharacter { byte });
        }
        // Space and tab only: Unicode's other spaces are part of names.
        let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
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
        // Only now, so that a group cannot be its own member.
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
    // The same public key under two names would count twice towards a quorum; the same name and id could not
    // be told apart.
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
