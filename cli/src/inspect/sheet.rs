//! Names and values shown for a file, as text and as JSON.

use crate::format;
use crate::output::Output;
use serde::{Serialize, Serializer};
use sexton_proof::time::{Timestamp, whole_ms};
use std::fmt::Write as _;
use std::time::Duration;

/// Names and values in order. JSON has the names as they are. Text omits the unit of a name.
#[derive(Default)]
pub(super) struct Sheet<'a>(Vec<(&'static str, Value<'a>)>);

/// Value of a sheet.
pub(super) enum Value<'a> {
    Text(String),
    Number(u64),
    Yes(bool),
    /// Instant, or `None` for a missing bound. Its name ends in `_ms`.
    Instant(Option<Timestamp>),
    /// Length of time. Its name ends in `_ms`.
    Length(Duration),
    Texts(Vec<String>),
    /// Nested sheet.
    Sheet(Sheet<'a>),
    /// Small sheets, one per line.
    Rows(Rows<'a>),
    /// Nested sheets, numbered.
    Sheets(Vec<Sheet<'a>>),
}

/// Rows, each made when it is shown: a file may have a million records.
pub(super) struct Rows<'a> {
    n: usize,
    row: Box<dyn Fn(usize) -> Option<Sheet<'a>> + 'a>,
}

impl<'a> Rows<'a> {
    fn iter(&self) -> impl Iterator<Item = Sheet<'a>> {
        (0..self.n).filter_map(&self.row)
    }
}

impl<'a> Value<'a> {
    /// Returns `n` rows, of which `row` makes each by its number.
    pub(super) fn rows(n: usize, row: impl Fn(usize) -> Option<Sheet<'a>> + 'a) -> Self {
        Value::Rows(Rows { n, row: Box::new(row) })
    }

    /// Returns a row for each item.
    pub(super) fn rows_of<T: 'a>(items: Vec<T>, row: impl Fn(&T) -> Sheet<'a> + 'a) -> Self {
        Value::rows(items.len(), move |at| items.get(at).map(&row))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<&str> for Value<'_> {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Value::Number(number as u64)
    }
}

impl<'a> Sheet<'a> {
    /// Creates a sheet that begins with the format of the file.
    pub(super) fn of(format: &str) -> Self {
        Sheet::default().with("format", format)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value<'a>>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a value if there is one.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl Into<Value<'a>>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn hex(self, name: &'static str, bytes: &[u8]) -> Self {
        self.with(name, hex::encode(bytes))
    }

    pub(super) fn instant(self, name: &'static str, at: Timestamp) -> Self {
        self.with(name, Value::Instant(Some(at)))
    }

    pub(super) fn print(&self, output: &mut Output) {
        self.print_indented(output, 0);
    }

    fn print_indented(&self, output: &mut Output, depth: usize) {
        let width = self.0.iter().map(|(name, _)| label(name).len()).max().unwrap_or(0);
        let pad = "  ".repeat(depth);
        for (name, value) in &self.0 {
            let name = label(name);
            match value {
                Value::Sheet(sheet) => {
                    output.line(output.strong(format_args!("{pad}{name}")));
                    sheet.print_indented(output, depth + 1);
                }
                Value::Sheets(sheets) => {
                    for (at, sheet) in sheets.iter().enumerate() {
                        output.line(output.strong(format_args!("{pad}{name} {at}")));
                        sheet.print_indented(output, depth + 1);
                    }
                }
                Value::Rows(rows) => {
                    output.line(output.strong(format_args!("{pad}{name} ({})", rows.n)));
                    for (at, row) in rows.iter().enumerate() {
                        output.line(format_args!("{pad}  {at:>6}  {}", row.line()));
                    }
                }
                Value::Texts(texts) => {
                    output.line(output.strong(format_args!("{pad}{name} ({})", texts.len())));
                    for (at, text) in texts.iter().enumerate() {
                        output.line(format_args!("{pad}  {at:>6}  {text}"));
                    }
                }
                plain => output.line(format_args!("{pad}{name:width$}  {}", plain.text(true))),
            }
        }
    }

    /// Returns the whole sheet in one line.
    fn line(&self) -> String {
        let mut line = String::new();
        for (at, (name, value)) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "  " };
            // Writing to a String cannot fail.
            let _ = write!(line, "{between}{} {}", label(name), value.text(false));
        }
        line
    }
}

/// Returns a name without its unit, which stands in the text of the value.
fn label(name: &str) -> String {
    name.strip_suffix("_ms").unwrap_or(name).replace('_', " ")
}

impl Value<'_> {
    /// Returns the value in one line. With `raw`, an instant has its number of milliseconds too.
    fn text(&self, raw: bool) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Yes(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            Value::Instant(None) => "none".to_owned(),
            Value::Instant(Some(at)) if raw => format!("{at} ({})", at.unix_ms()),
            Value::Instant(Some(at)) => at.to_string(),
            Value::Length(span) => format!("{} ({})", format::length(*span), whole_ms(*span)),
            Value::Texts(texts) => texts.join(" "),
            Value::Sheet(sheet) => sheet.line(),
            Value::Rows(rows) => rows.iter().map(|row| row.line()).collect::<Vec<_>>().join("; "),
            Value::Sheets(all) => all.iter().map(Sheet::line).collect::<Vec<_>>().join("; "),
        }
    }
}

impl Serialize for Sheet<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Number(number) => serializer.serialize_u64(*number),
            Value::Length(span) => serializer.serialize_u64(whole_ms(*span)),
            Value::Yes(yes) => serializer.serialize_bool(*yes),
            Value::Instant(at) => at.map(Timestamp::unix_ms).serialize(serializer),
            Value::Texts(texts) => texts.serialize(serializer),
            Value::Sheet(sheet) => sheet.serialize(serializer),
            Value::Sheets(all) => all.serialize(serializer),
            Value::Rows(rows) => serializer.collect_seq(rows.iter()),
        }
    }
}
