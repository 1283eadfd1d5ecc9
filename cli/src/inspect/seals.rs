//! Content of seal files. They may be longer than memory, so they are read piece by piece.

use super::sheet::{Sheet, Value};
use super::{Inspected, Malformed};
use sexton_proof::record::{FileKind, MAGIC};
use sexton_proof::seal::{Form, SealReadError, SealReader};
use std::io::{self, BufReader, Read};

/// Forms of segments and their names, in the order of their codes.
const FORMS: [&str; 4] = ["fresh", "continues", "replaces", "continues and replaces"];

/// Returns `true` if a file that begins with these bytes is a seal file.
pub(super) fn is_seal(first: &[u8]) -> bool {
    first.strip_prefix(&MAGIC).is_some_and(|rest| rest.first() == Some(&FileKind::Seal.code()))
}

/// Number of segments of a form, and of their entries.
#[derive(Clone, Copy, Default)]
struct Tally {
    segments: u64,
    entries: u64,
}

/// Reads a seal file to its end.
///
/// # Errors
/// The file cannot be read. A malformed file is inspected, too.
pub(super) fn inspect(source: impl Read) -> io::Result<Inspected<'static>> {
    match read(source) {
        Ok(sheet) => Ok(Ok(sheet)),
        Err(SealReadError::Read(error)) => Err(error),
        Err(malformed) => Ok(Err(Malformed::of("seal")(&malformed))),
    }
}

fn read(source: impl Read) -> Result<Sheet<'static>, SealReadError> {
    let mut reader = SealReader::new(BufReader::new(source))?;
    let number = reader.header().number;
    let mut tallies = [Tally::default(); FORMS.len()];
    while let Some(part) = reader.next_part()? {
        if let Some(tally) = tallies.get_mut(usize::from(part.segment.form.code())) {
            tally.segments += u64::from(part.first == part.segment.first);
            tally.entries += part.entries.len() as u64;
        }
    }
    let totals = reader.finish()?;
    let linked = |has: fn(Form) -> bool| -> u64 {
        let forms = (0..).zip(&tallies).filter(|(code, _)| Form::from_code(*code).is_some_and(has));
        forms.map(|(_, tally)| tally.entries).sum()
    };
    let row = |(form, tally): &(&str, Tally)| {
        Sheet::default().with("form", *form).with("segments", tally.segments).with("entries", tally.entries)
    };
    let forms: Vec<(&str, Tally)> = FORMS.into_iter().zip(tallies).collect();
    Ok(Sheet::of("seal")
        .with("seal", number)
        .with("n", totals.entries)
        .hex("root", &totals.root)
        .with("continuing", linked(|form| form.continues))
        .with("replacing", linked(|form| form.replaces))
        .with("forms", Value::rows_of(forms, row)))
}
