//! Picks the lines of a failed program's stderr that say why it failed.

use std::collections::BTreeSet;

/// How many lines an excerpt has at most.
const LINES: usize = 16;
/// How many characters of a line are shown: linkers' command lines may have thousands.
const WIDTH: usize = 400;
/// How many lines after the first line of an error may belong to it.
const FOLLOWING: usize = 3;

/// How programs begin an error, in lower case: Rust's and C's compilers and linkers, cargo, git,
/// npm, make, Go and Python.
const ERRORS: [&str; 16] = [
    "error:",
    "error[",
    "error!",
    "error at ",
    "errors:",
    "npm err",
    "fatal:",
    "panicked at",
    "panic:",
    "exception:",
    "undefined reference",
    "undefined symbol",
    "cannot find -l",
    "caused by:",
    "*** [",
    "assertion failed",
];

/// Why a program failed, from its stderr: at most 16 lines in their order, without colours and
/// control characters. Backtraces and empty lines are left out, errors take precedence, and the
/// last lines fill the rest.
pub fn excerpt(stderr: &str) -> String {
    let lines = without_backtraces(stderr);
    let mut errors = BTreeSet::new();
    for at in (0..lines.len()).filter(|&at| says_error(&lines[at])) {
        let after = &lines[at + 1..];
        // A panic's message starts on the line after its place, without indentation.
        let panic = lines[at].contains("panicked at");
        let belongs =
            |line: &&String| !says_error(line) && (panic || line.starts_with([' ', '\t']));
        let following = after.iter().take(FOLLOWING).take_while(belongs).count();
        errors.extend(at..=at + following);
    }
    // The first error is often the cause of the others. The last one sums them up, or is the
    // root of a chain.
    let half = LINES / 2;
    let errors: Vec<usize> = errors.into_iter().collect();
    let first = errors.iter().take(half);
    let last = errors.iter().skip(half).rev().take(half);
    let mut shown: BTreeSet<usize> = first.chain(last).copied().collect();
    for at in (0..lines.len()).rev() {
        if shown.len() == LINES {
            break;
        }
        shown.insert(at);
    }
    let shown: Vec<String> = shown.into_iter().map(|at| shortened(&lines[at])).collect();
    shown.join("\n")
}

fn says_error(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ERRORS.iter().any(|words| line.contains(words)) || line.trim_start().starts_with("npm error")
}

/// The lines that are not empty, without backtraces; with them where nothing else is left.
fn without_backtraces(stderr: &str) -> Vec<String> {
    let mut backtrace = Backtrace::None;
    let mut all = Vec::new();
    let mut kept = Vec::new();
    for line in anstream::adapter::strip_str(stderr).to_string().split('\n') {
        let line = visible(line);
        let frame = backtrace.holds(&line);
        if line.trim().is_empty() {
            continue;
        }
        if !frame {
            kept.push(line.clone());
        }
        all.push(line);
    }
    if kept.is_empty() { all } else { kept }
}

/// What a terminal shows of a line in the end: a progress bar overwrites itself.
fn visible(line: &str) -> String {
    let last = line.rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or_default();
    let shown = last.chars().filter(|c| *c == '\t' || !c.is_control());
    shown.collect::<String>().trim_end().to_owned()
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Which backtrace the current line is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backtrace {
    None,
    /// Rust's: numbered frames, each with its place.
    Rust,
    /// Go's: it ends at an empty line.
    Go,
    /// Python's: it ends at a line that is not indented, the error itself.
    Python,
}

impl Backtrace {
    /// Whether the next line belongs to a backtrace.
    fn holds(&mut self, line: &str) -> bool {
        let text = line.trim();
        let indented = line.starts_with([' ', '\t']);
        let goes_on = match self {
            Backtrace::None => false,
            Backtrace::Rust => {
                let number = text.trim_start_matches(|c: char| c.is_ascii_digit());
                let numbered = number.len() < text.len() && number.starts_with(": ");
                text.is_empty() || numbered || (indented && text.starts_with("at "))
            }
            Backtrace::Go => !text.is_empty(),
            Backtrace::Python => indented || text.is_empty(),
        };
        if goes_on {
            return true;
        }
        let title = text.trim_matches(['━', ' ', ':']);
        *self = if title.eq_ignore_ascii_case("stack backtrace")
            || title.eq_ignore_ascii_case("backtrace")
        {
            Backtrace::Rust
        } else if text.starts_with("goroutine ") && text.ends_with("]:") {
            Backtrace::Go
        } else if text == "Traceback (most recent call last):" {
            Backtrace::Python
        } else {
            Backtrace::None
        };
        *self != Backtrace::None
            || is_untitled_frame(line)
            || ADVICE.iter().any(|it| text.starts_with(it))
    }
}

/// Rust's hints on backtraces, which say nothing of the error.
/// <https://doc.rust-lang.org/std/backtrace/index.html#environment-variables>
const ADVICE: [&str; 2] = [
    "note: run with `RUST_BACKTRACE=",
    "note: Some details are omitted, run with `RUST_BACKTRACE=",
];

/// Whether a line is a frame of a backtrace without a title, as Node and Java print them:
/// `    at NAME (FILE:LINE:COLUMN)`.
fn is_untitled_frame(line: &str) -> bool {
    let text = line.trim_start();
    let end = text.trim_end_matches([')', ',']);
    let digits = end.trim_end_matches(|c: char| c.is_ascii_digit());
    let place = digits.len() < end.len() && digits.ends_with(':');
    let nowhere = text.ends_with("(<anonymous>)") || text.ends_with("(Native Method)");
    line.starts_with([' ', '\t']) && text.starts_with("at ") && (place || nowhere)
}

#[cfg(test)]
mod tests;
