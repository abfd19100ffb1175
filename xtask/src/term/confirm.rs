//! Questions that the user answers.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result};

use super::Term;

impl Term {
    /// Whether there is a user who could answer.
    pub fn has_user(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks a question that only `y` or `yes` affirms; `None` where there is no user to ask.
    pub fn confirm(&self, question: &str) -> Result<Option<bool>> {
        if !self.has_user() {
            return Ok(None);
        }
        self.note(&format!("{question} [y/N]"));
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("read the answer")?;
        let answer = line.trim();
        Ok(Some(["y", "yes"].iter().any(|yes| answer.eq_ignore_ascii_case(yes))))
    }
}
