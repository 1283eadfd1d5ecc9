//! Output of the command: results to stdout, messages, errors and progress to stderr. No other module writes to them.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

/// Reason for which a command failed, in one sentence.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// Exit code of a failed command.
    pub(crate) const EXIT: u8 = 2;

    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure(message.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Buffered stdout, for results.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    colour: bool,
    /// First error. A reader that closed the pipe (`sexton verify … | head`) is no error: the verdict still counts.
    error: Option<io::Error>,
    closed: bool,
    /// `true` once something was written.
    is_used: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let colour = colour_on(&stdout);
        Output { out: BufWriter::new(stdout.lock()), colour, error: None, closed: false, is_used: false }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.write(|out| writeln!(out, "{text}"));
    }

    /// Writes why a command failed: as the one JSON object on stdout if `is_json`, otherwise to stderr.
    ///
    /// After a result on stdout the object goes to stderr, because stdout has one JSON value.
    pub(crate) fn failure(&mut self, failure: &Failure, is_json: bool) {
        let value = || json!({ "error": failure.to_string(), "exit_code": Failure::EXIT });
        match (is_json, self.is_used) {
            (true, false) => self.json(&value()),
            (true, true) => message(value()),
            (false, _) => error(failure),
        }
    }

    /// Writes a JSON value.
    pub(crate) fn json(&mut self, value: &Value) {
        self.write(|out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            out.write_all(b"\n")
        });
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
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
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

/// Returns `true` if the stream is a terminal that shows colours and `NO_COLOR` (<https://no-color.org>) is not set.
pub(crate) fn colour_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && colour_wanted(|name| std::env::var_os(name))
}

fn colour_wanted(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Writes a message to stderr.
pub(crate) fn message(text: impl Display) {
    // An error of stderr cannot be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes to stderr why a command failed.
fn error(failure: &Failure) {
    let word = if colour_on(&io::stderr()) { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    message(format_args!("{word} {failure}"));
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
}
