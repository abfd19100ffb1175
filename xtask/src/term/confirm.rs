//! Questions that the user answers.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result};

use super::Term;

impl Term {
    /// Asks a question that only `y` or `yes` affirms; `None` where there is no user to ask.
    pub fn confirm(&self, question: &str) -> Result<Option<bool>> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
            return Ok(None);
        }
        self.note(&format!("{question} [y/N]"));
        let mut line = String::new();
        stdin.lock().read_line(&mut line).context("read the answer")?;
        let answer = line.trim();
        Ok(Some(["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes))))
    }
}
