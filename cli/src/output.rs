//! The only place that writes: results to stdout, talk, errors and progress to stderr.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};

/// Why a command could not do its work: one clear sentence.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// The exit code that goes with it.
    pub(crate) const EXIT: u8 = 2;

    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Failure(sentence.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "engine")]
impl From<sexton::Error> for Failure {
    fn from(error: sexton::Error) -> Self {
        Failure(error.to_string())
    }
}

/// Results on their way to stdout.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    colour: bool,
    /// The first error. A reader that went away (`sexton verify … | head`) is none: the verdict still counts.
    failed: Option<io::Error>,
    closed: bool,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let colour = colour_on(&stdout);
        Output { out: BufWriter::new(stdout.lock()), colour, failed: None, closed: false }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl Display) {
        self.write(|out| writeln!(out, "{text}"));
    }

    /// Writes an object as JSON.
    pub(crate) fn json(&mut self, value: &Value) {
        self.write(|out| {
            serde_json::to_writer_pretty(&mut *out, value)?;
            out.write_all(b"\n")
        });
    }

    fn write(&mut self, how: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) {
        if !self.closed
            && let Err(error) = how(&mut self.out)
        {
            self.closed = true;
            self.failed = Some(error).filter(|error| error.kind() != ErrorKind::BrokenPipe);
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

    /// Writes out what is left.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.write(Write::flush);
        match self.failed {
            None => Ok(()),
            Some(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
        }
    }
}

/// Colours only for people: on a terminal that can, and where `NO_COLOR` (<https://no-color.org>) is not set.
pub(crate) fn colour_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && colour_wanted(|name| std::env::var_os(name))
}

fn colour_wanted(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Says something beside the result.
pub(crate) fn talk(text: impl Display) {
    // Nobody is left to be told where stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says why a command failed.
pub(crate) fn error(failure: &Failure) {
    let word = if colour_on(&io::stderr()) { "\x1b[1;31merror:\x1b[0m" } else { "error:" };
    talk(format_args!("{word} {failure}"));
}

/// A progress bar over `total` steps; drawn on a terminal only.
pub(crate) fn progress(total: usize, what: &'static str) -> ProgressBar {
    let template = "{msg:<22} [{bar:32}] {human_pos}/{human_len}  {elapsed}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total as u64).with_style(style.progress_chars("=> ")).with_message(what)
}

/// A sign of life for what has no steps to count; drawn on a terminal only.
#[cfg(feature = "engine")]
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}

/// Sends what the engine has to say at the level of warnings and above to stderr.
#[cfg(feature = "engine")]
pub(crate) fn warnings_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_ansi(colour_on(&io::stderr()))
        .without_time()
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_and_dumb_terminals_are_honoured() {
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
