//! All output: progress and problems on stderr, results on stdout.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::finding::{self, Finding, Findings, Severity};

mod confirm;
pub mod links;
mod password;
pub mod table;
mod tame;
pub use table::Table;
pub use tame::{lines, tame};

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors, warnings and results.
    Quiet,
    Normal,
    /// Commands and decisions too.
    Verbose,
    /// Requests too.
    Trace,
}

/// When colours are used; `Auto` asks the terminal and NO_COLOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

/// The user's choices, and what the environment says of the terminal.
#[derive(Clone, Debug)]
pub struct Settings {
    pub verbosity: Verbosity,
    pub color: Color,
    pub json: bool,
    /// Whether GitHub Actions runs this and reads annotations.
    pub annotate: bool,
    pub no_color: bool,
    /// Whether the terminal shows links.
    pub links: bool,
}

/// The terminal: the only way to show anything to the user.
#[derive(Clone, Debug)]
pub struct Term {
    settings: Settings,
    bars: bool,
    /// The step that began last, where any did.
    last: Arc<Mutex<String>>,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();
const STEP: Style = AnsiColor::Green.on_default().bold();

/// The version of all JSON that is printed or written to dist/. Fields may be added to one; it is
/// raised where one is removed or changes its meaning.
pub const SCHEMA: u32 = 1;

/// A list as an object with one field, for `--json`: other fields can join it later.
pub fn list<T: Serialize>(name: &'static str, items: T) -> BTreeMap<&'static str, T> {
    BTreeMap::from([(name, items)])
}

impl Term {
    pub fn new(settings: Settings) -> Term {
        let bars = std::io::stderr().is_terminal() && settings.verbosity > Verbosity::Quiet;
        match settings.color {
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
            Color::Auto if settings.no_color => anstream::ColorChoice::Never.write_global(),
            Color::Auto => {}
        }
        Term { settings, bars, last: Arc::default() }
    }

    /// One that says nothing but warnings and errors.
    #[cfg(test)]
    pub fn silent() -> Term {
        let (verbosity, color) = (Verbosity::Quiet, Color::Never);
        Term::new(Settings {
            verbosity,
            color,
            json: false,
            annotate: false,
            no_color: true,
            links: false,
        })
    }

    pub fn json_wanted(&self) -> bool {
        self.settings.json
    }

    pub fn quiet(&self) -> bool {
        self.settings.verbosity == Verbosity::Quiet
    }

    /// The `--color` argument for cargo and other children.
    pub fn color_arg(&self) -> &'static str {
        match self.settings.color {
            Color::Always => "always",
            Color::Never => "never",
            Color::Auto if self.settings.no_color => "never",
            // Some children write to a pipe, whose output this process passes on.
            Color::Auto if std::io::stderr().is_terminal() => "always",
            Color::Auto => "auto",
        }
    }

    /// The width of the terminal that bars are drawn on, in columns.
    pub fn width(&self) -> Option<u16> {
        let (terminal_size::Width(width), _) = terminal_size::terminal_size_of(std::io::stderr())?;
        self.bars.then_some(width)
    }

    /// Prints one or more lines of results on stdout. A reader such as `head` may close stdout
    /// once it has enough: that is no error, and the work goes on. Any other failure is one.
    pub fn result(&self, line: impl Display) -> Result<()> {
        self.exactly(&lines(&line.to_string()))
    }

    /// Prints documents on stdout, byte for byte: another program reads them. On a terminal
    /// nothing acts on what they hold.
    pub fn documents(&self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        let tamed = stdout.is_terminal().then(|| lines(text));
        let bytes = tamed.as_deref().unwrap_or(text).as_bytes();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("write to stdout"),
        }
    }

    fn exactly(&self, text: &str) -> Result<()> {
        let mut stdout = anstream::stdout().lock();
        match writeln!(stdout, "{text}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.context("write to stdout"),
        }
    }

    /// Prints the value, which is an object, as a JSON document on stdout where `--json` asks for
    /// it. The version of its schema is its first field.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        if !self.json_wanted() {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(value).context("write JSON")?;
        // Put in as text, so that the other fields keep their order.
        let fields = text.strip_prefix('{').context("write JSON: it is no object")?;
        let comma = if fields.trim_start().starts_with('}') { "\n" } else { "," };
        self.exactly(&tame::json(&format!("{{\n  \"schema\": {SCHEMA}{comma}{fields}")))
    }

    /// Prints the value as JSON where `--json` asks for it, otherwise these lines.
    pub fn results<L: Display>(
        &self,
        value: &impl Serialize,
        lines: impl IntoIterator<Item = L>,
    ) -> Result<()> {
        if self.json_wanted() {
            return self.json(value);
        }
        lines.into_iter().try_for_each(|line| self.result(line))
    }

    /// Says which step begins.
    pub fn step(&self, verb: &str, what: impl Display) {
        let what = tame(&what.to_string());
        *self.last() = format!("{verb} {what}");
        if self.settings.verbosity > Verbosity::Quiet {
            self.say(format_args!("{STEP}{verb:>10}{STEP:#} {what}"));
        }
    }

    fn last(&self) -> MutexGuard<'_, String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the user ended the run, where it was then, and what is left to do.
    pub fn interrupted(&self, left: &str) {
        let last = self.last().clone();
        let at = if last.is_empty() { last } else { format!(" at: {last}") };
        self.problem(ERROR, "error", &format!("interrupted{at}"), Some(left), "");
    }

    /// Says a detail, with `-v`.
    pub fn detail(&self, what: impl Display) {
        if self.settings.verbosity >= Verbosity::Verbose {
            self.say(format_args!("{:>10} {}", "", lines(&what.to_string())));
        }
    }

    /// Says a request and its answer, with `-vv`.
    pub fn trace(&self, what: impl Display) {
        if self.settings.verbosity == Verbosity::Trace {
            self.detail(what);
        }
    }

    /// Says lines that are no step, such as what to do next.
    pub fn tell(&self, text: &str) {
        if self.settings.verbosity > Verbosity::Quiet {
            self.say(format_args!("{}", lines(text)));
        }
    }

    /// Shows a line of another program.
    pub fn note(&self, line: &str) {
        self.say(format_args!("{}", tame(line)));
    }

    /// Shows lines of another program with their colours.
    pub fn pass_on(&self, lines: &str) {
        self.say(format_args!("{}", tame::coloured(lines)));
    }

    /// Runs `work`, during which other programs write to the terminal themselves. GitHub's
    /// runner executes no workflow commands meanwhile.
    /// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#stopping-and-starting-workflow-commands>
    pub fn foreign<T>(&self, work: impl FnOnce() -> T) -> T {
        if !self.settings.annotate {
            return work();
        }
        // It cannot be guessed: the system's random source seeds it.
        let random = || RandomState::new().build_hasher().finish();
        let token = format!("{:016x}{:016x}", random(), random());
        self.say(format_args!("::stop-commands::{token}"));
        let done = work();
        self.say(format_args!("::{token}::"));
        done
    }

    /// Prints only the annotation of a finding that was already shown.
    pub fn annotate(&self, finding: &Finding) {
        if self.settings.annotate {
            let word = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let text = annotation(&lines(&finding.why));
            self.say(format_args!("::{word}{}::{text}", properties(finding)));
        }
    }

    /// Puts the output of `work` into a foldable group of a job's log.
    /// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#grouping-log-lines>
    pub fn group<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        if self.settings.annotate {
            self.say(format_args!("::group::{}", tame(name)));
        }
        let done = work();
        if self.settings.annotate {
            self.say(format_args!("::endgroup::"));
        }
        done
    }

    /// Shows a table that fits the terminal.
    pub fn table(&self, table: &Table) {
        if self.settings.verbosity > Verbosity::Quiet {
            let text = table.fit(columns(terminal_size::terminal_size_of(std::io::stderr())));
            let linked = self.settings.links && std::io::stderr().is_terminal();
            let text = if linked { links::linked(&text) } else { text };
            self.say(format_args!("\n{}", text.trim_end()));
        }
    }

    /// Prints a table of results on stdout. It fits the terminal, where stdout is one.
    pub fn result_table(&self, table: &Table) -> Result<()> {
        let text = table.fit(columns(terminal_size::terminal_size_of(std::io::stdout())));
        self.exactly(text.trim_end())
    }

    /// A progress bar for work of a known size, on terminals only.
    pub fn bar(&self, verb: &'static str, total: u64) -> ProgressBar {
        // Less is compressed in half a second: the bar would only flicker.
        const MIN_SIZE: u64 = 32 << 20;
        if !self.bars || total < MIN_SIZE {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(
            "{prefix:>10} [{bar:20}] {bytes}/{total_bytes}, {bytes_per_sec} {wide_msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar =
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(verb);
        bar
    }

    /// Says the warnings among the findings; the errors are the failure.
    pub fn verdict(&self, findings: Vec<Finding>) -> Result<()> {
        let (errors, warnings) = finding::errors_and_warnings(findings);
        warnings.iter().for_each(|finding| self.finding(finding));
        if errors.is_empty() { Ok(()) } else { Err(Findings(errors).into()) }
    }

    /// Prints a finding and its fix.
    pub fn finding(&self, finding: &Finding) {
        let (style, word) = match finding.severity {
            Severity::Error => (ERROR, "error"),
            Severity::Warning => (WARNING, "warning"),
        };
        self.problem(style, word, &finding.to_string(), Some(&finding.fix), &properties(finding));
        self.detail(format_args!("the rule {}: see `explain {0}`", finding.rule));
    }

    /// Prints the error that `main` ends with: the chain joined by `: `, then its help.
    pub fn error(&self, error: &anyhow::Error) {
        if let Some(findings) = error.downcast_ref::<Findings>() {
            return findings.said().iter().for_each(|finding| self.finding(finding));
        }
        let (said, help) = finding::said(error);
        self.problem(ERROR, "error", &said, help.as_deref(), "");
    }

    /// `place` is the annotation's file and line.
    fn problem(&self, style: Style, word: &str, text: &str, help: Option<&str>, place: &str) {
        let text = lines(text);
        let help = help.filter(|help| !help.is_empty()).map(lines);
        self.say(format_args!("{style}{word}{style:#}: {text}"));
        if let Some(help) = &help {
            self.say(format_args!("  {HELP}help{HELP:#}: {help}"));
        }
        if self.settings.annotate {
            let help = help.map(|help| format!("\nhelp: {help}")).unwrap_or_default();
            self.say(format_args!("::{word}{place}::{}", annotation(&format!("{text}{help}"))));
        }
    }

    fn say(&self, text: std::fmt::Arguments<'_>) {
        // Nobody can be told that stderr is closed.
        drop(writeln!(anstream::stderr().lock(), "{text}"));
    }
}

/// The width of a terminal; `None` where there is none.
fn columns(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(width, _)| usize::from(width.0))
}

/// The file and the line of an annotation, where they are known.
/// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message>
fn properties(finding: &Finding) -> String {
    let (Some(file), Some((line, column))) = (&finding.place.file, finding.place.at) else {
        return String::new();
    };
    let file = annotation(&tame(&file.display().to_string()));
    let file = file.replace(':', "%3A").replace(',', "%2C");
    format!(" file={file},line={line},col={column}")
}

/// Escapes a message of a workflow command.
/// <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>
fn annotation(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A size in bytes as people read it.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1e3 => format!("{bytes} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        ..1e9 => format!("{:.2} MB", bytes / 1e6),
        _ => format!("{:.2} GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_command_the_terminal_or_the_runner() {
        assert_eq!(annotation("100%\n::error::x"), "100%25%0A::error::x");
        let at = |file: &str| {
            let place = crate::finding::Place::at(std::path::Path::new(file), 3, 7);
            properties(&Finding::error("rule", place, "why", "fix"))
        };
        assert_eq!(at("a/b.yaml"), " file=a/b.yaml,line=3,col=7");
        assert_eq!(at("a,line=1::\n"), " file=a%2Cline=1%3A%3A ,line=3,col=7");
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_500, "1.5 kB"),
            (4_200_000, "4.20 MB"),
            (7_000_000_000, "7.00 GB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
