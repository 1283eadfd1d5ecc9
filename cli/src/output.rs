//! Output of the command: results to stdout, messages, errors and progress to stderr. No other module writes to them.
//!
//! Everything passes through [`visible`] here. So text of a file or a server cannot move the cursor, reorder a line, or
//! begin another one.

use clap::error::{ContextKind, ContextValue};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use sexton_proof::visible::{is_hidden, visible};
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

/// Reason for which a command failed, in one sentence.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    exit_code: u8,
}

impl Failure {
    /// Exit code of a failed command.
    pub(crate) const EXIT: u8 = 2;
    /// Exit code of a command that lost the connection to the service: it may be done or not.
    #[cfg(feature = "serve")]
    const EXIT_UNKNOWN: u8 = 6;

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), exit_code: Failure::EXIT }
    }

    /// Returns the failure of a command whose outcome is unknown.
    #[cfg(feature = "serve")]
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Failure { message: message.into(), exit_code: Failure::EXIT_UNKNOWN }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Buffered stdout, for results.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    /// `None` without colours.
    marks: Option<Marks>,
    /// First error. A reader that closed the pipe (`sexton verify … | head`) is no error: the verdict still counts.
    error: Option<io::Error>,
    closed: bool,
    /// `true` once something was written.
    is_used: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let marks = colour_on(&stdout).then(Marks::new);
        Output { out: BufWriter::new(stdout.lock()), marks, error: None, closed: false, is_used: false }
    }

    /// Writes a line. A line feed in the text is escaped, too.
    pub(crate) fn line(&mut self, text: impl Display) {
        let text = text.to_string();
        let line =
            self.marks.as_ref().map_or_else(|| visible(&text).into_owned(), |marks| marks.resolve(&text));
        self.write(|out| writeln!(out, "{line}"));
    }

    /// Writes why a command failed: as the one JSON object on stdout if `is_json`, otherwise to stderr.
    ///
    /// After a result on stdout the object goes to stderr, because stdout has one JSON value.
    pub(crate) fn failure(&mut self, failure: &Failure, is_json: bool) {
        let value = || json!({ "error": failure.to_string(), "exit_code": failure.exit_code });
        match (is_json, self.is_used) {
            (true, false) => self.json(&value()),
            (true, true) => message(value()),
            (false, _) => error(failure),
        }
    }

    /// Writes a JSON value over several lines.
    pub(crate) fn json(&mut self, value: &impl Serialize) {
        self.write(|out| {
            serde_json::to_writer_pretty(JsonEscaper(out), value)?;
            out.write_all(b"\n")
        });
    }

    /// Writes a JSON value in one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) {
        self.write(|out| {
            serde_json::to_writer(JsonEscaper(out), value)?;
            out.write_all(b"\n")
        });
    }

    /// Calls `write` while the bar is not drawn, so that it does not end up between the lines.
    pub(crate) fn above<T>(&mut self, bar: &ProgressBar, write: impl FnOnce(&mut Self) -> T) -> T {
        if bar.is_hidden() {
            return write(self);
        }
        bar.suspend(|| {
            let result = write(self);
            self.write(Write::flush);
            result
        })
    }

    fn write(&mut self, action: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) {
        self.is_used = true;
        if !self.closed
            && let Err(error) = action(&mut self.out)
        {
            self.closed = true;
            self.error = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
        }
    }

    pub(crate) fn good(&self, text: impl Display) -> String {
        self.paint("32", text)
    }

    pub(crate) fn bad(&self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn strong(&self, text: impl Display) -> String {
        self.paint("1", text)
    }

    pub(crate) fn faint(&self, text: impl Display) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: impl Display) -> String {
        self.marks.as_ref().map_or_else(|| text.to_string(), |marks| marks.paint(code, &text))
    }

    /// Flushes the buffer, and returns the first error.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if !self.closed {
            self.write(Write::flush);
        }
        match self.error.take() {
            None => Ok(()),
            Some(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
        }
    }
}

/// Marks of styles in a line that is not written yet. They hold a random number, so no text of a file has one.
struct Marks(String);

impl Marks {
    fn new() -> Self {
        Marks(format!("\x1b<{:016x}>", RandomState::new().build_hasher().finish()))
    }

    fn paint(&self, code: &str, text: &dyn Display) -> String {
        let Marks(mark) = self;
        format!("{mark}{code}m{text}{mark}0m")
    }

    /// Returns the line as a terminal shows it: marks become styles, everything else its visible form.
    fn resolve(&self, line: &str) -> String {
        let mut parts = line.split(&self.0);
        let mut out = visible(parts.next().unwrap_or_default()).into_owned();
        for part in parts {
            let (code, rest) = part.split_once('m').unwrap_or(("0", part));
            out += &format!("\x1b[{code}m{}", visible(rest));
        }
        out
    }
}

/// Writer of JSON that escapes the hidden characters of strings as `\u…`. The value stays the same.
///
/// Outside of strings the only hidden character is the line feed, and a string has none that is not escaped.
struct JsonEscaper<'a, W>(&'a mut W);

impl<W: Write> Write for JsonEscaper<'_, W> {
    /// Writes whole characters, as the serializer does.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        let mut clean = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_hidden(*c) && *c != '\n') {
            self.0.write_all(text.get(clean..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(self.0, "\\u{unit:04x}")?;
            }
            clean = at + c.len_utf8();
        }
        self.0.write_all(text.get(clean..).unwrap_or_default().as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writer of the program log to stderr, one event per line.
#[cfg(feature = "engine")]
pub(crate) struct LogWriter;

#[cfg(feature = "engine")]
impl Write for LogWriter {
    /// Writes one event, as the subscriber does.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        message(String::from_utf8_lossy(event.strip_suffix(b"\n").unwrap_or(event)));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns `true` if the stream is a terminal that shows colours and `NO_COLOR` (<https://no-color.org>) is not set.
pub(crate) fn colour_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && colour_wanted(|name| std::env::var_os(name))
}

fn colour_wanted(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Writes a message to stderr, in one line.
pub(crate) fn message(text: impl Display) {
    write_to_stderr("", &text);
}

/// Writes to stderr why a command failed.
fn error(failure: &Failure) {
    let word = if colour_on(&io::stderr()) { "\x1b[1;31merror:\x1b[0m " } else { "error: " };
    write_to_stderr(word, failure);
}

fn write_to_stderr(word: &str, text: &dyn Display) {
    // An error of stderr cannot be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "{word}{}", visible(&text.to_string()));
}

/// Writes to stderr why the command line is refused. The text has several lines, and quotes arguments, which may be names
/// of files.
pub(crate) fn refused_usage(mut refused: clap::Error) {
    let quoted: Vec<(ContextKind, ContextValue)> = refused
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(visible(text).into_owned()))),
            // Tips, which quote the argument.
            ContextValue::StyledStrs(tips) if tips.iter().any(|tip| tip.to_string().contains(is_hidden)) => {
                Some((kind, ContextValue::StyledStrs(Vec::new())))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in quoted {
        refused.insert(kind, value);
    }
    refused.render().to_string().lines().for_each(message);
}

/// Progress bar over `total` steps. It is drawn on a terminal only.
pub(crate) fn progress(total: usize, what: &'static str) -> ProgressBar {
    let template = "{msg:<22} [{bar:32}] {human_pos}/{human_len}  {elapsed}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style.progress_chars("=> ")).with_message(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_with_no_color_or_dumb_terminal_is_off() {
        let wanted = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
            colour_wanted(find)
        };
        assert!(wanted(&[]));
        assert!(wanted(&[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!wanted(&[("TERM", "xterm"), ("NO_COLOR", "1")]));
        assert!(!wanted(&[("TERM", "dumb")]));
    }

    const HOSTILE: &str = "a\x1b[2K\r\n\u{9b}1A\u{202e}\u{200b}\x7f\u{feff}b";

    #[test]
    fn painted_line_escapes_everything_but_its_own_styles() {
        let marks = Marks::new();
        let line = format!("{} {HOSTILE}", marks.paint("32", &HOSTILE));
        let shown = r"a\x1b[2K\r\n\u{9b}1A\u{202e}\u{200b}\x7f\u{feff}b";
        assert_eq!(marks.resolve(&line), format!("\x1b[32m{shown}\x1b[0m {shown}"));
        // A mark of another run is only text.
        let other = Marks::new().paint("32", &"kept:");
        assert!(!marks.resolve(&other).contains('\x1b'), "{other:?}");
    }

    #[test]
    fn json_has_the_same_value_and_nothing_hidden() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "\u{e0001}", "ok"] });
        for pretty in [false, true] {
            let mut bytes = Vec::new();
            let escaper = JsonEscaper(&mut bytes);
            if pretty {
                serde_json::to_writer_pretty(escaper, &value)
            } else {
                serde_json::to_writer(escaper, &value)
            }
            .unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains(|c| is_hidden(c) && c != '\n'), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
    }
}
