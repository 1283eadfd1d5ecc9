//! Names and values shown for a file, as text and as JSON.

use crate::format;
use crate::output::Output;
use serde_json::Value as Json;
use sexton_proof::time::{Timestamp, whole_ms};
use std::fmt::Write as _;
use std::time::Duration;

/// Names and values in order. JSON has the names as they are. Text omits the unit of a name.
#[derive(Debug, Default)]
pub(super) struct Sheet(Vec<(&'static str, Value)>);

/// Value of a sheet.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Yes(bool),
    /// Instant, or `None` for a missing bound. Its name ends in `_ms`.
    Instant(Option<Timestamp>),
    /// Length of time. Its name ends in `_ms`.
    Length(Duration),
    Texts(Vec<String>),
    /// Nested sheet.
    Sheet(Sheet),
    /// Small sheets, one per line.
    Rows(Vec<Sheet>),
    /// Nested sheets, numbered.
    Sheets(Vec<Sheet>),
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Value::Number(number as u64)
    }
}

impl Sheet {
    /// Creates a sheet that begins with the format of the file.
    pub(super) fn of(format: &str) -> Self {
        Sheet::default().with("format", format)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a value if there is one.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
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
                    output.line(output.strong(format_args!("{pad}{name} ({})", rows.len())));
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

impl Value {
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
            Value::Rows(all) | Value::Sheets(all) => {
                all.iter().map(Sheet::line).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

impl Sheet {
    pub(super) fn json(&self) -> Json {
        Json::Object(self.0.iter().map(|(name, value)| ((*name).to_owned(), value.json())).collect())
    }
}

impl Value {
    fn json(&self) -> Json {
        match self {
            Value::Text(text) => text.as_str().into(),
            Value::Number(number) => (*number).into(),
            Value::Length(span) => whole_ms(*span).into(),
            Value::Yes(yes) => (*yes).into(),
            Value::Instant(at) => at.map(Timestamp::unix_ms).into(),
            Value::Texts(texts) => texts.as_slice().into(),
            Value::Sheet(sheet) => sheet.json(),
            Value::Rows(all) | Value::Sheets(all) => all.iter().map(Sheet::json).collect(),
        }
    }
}
