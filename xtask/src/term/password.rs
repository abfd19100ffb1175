//! Passwords, typed by the user.

use std::io::BufRead;

use anyhow::{Context, Result};
use zeroize::Zeroizing;

use super::Term;
use crate::secret::Secret;

impl Term {
    /// Asks the user for a password, which the terminal does not show; `None` where there is no
    /// user to ask.
    pub fn password(&self, what: &str) -> Result<Option<Secret>> {
        if !self.has_user() {
            return Ok(None);
        }
        let Some(hidden) = Hidden::begin().context("hide what is typed")? else { return Ok(None) };
        self.note(&format!("{what}:"));
        let mut line = Zeroizing::new(String::new());
        let read = std::io::stdin().lock().read_line(&mut line);
        drop(hidden);
        read.context("read the password")?;
        Ok(Some(Secret::new(line.trim_end_matches(['\n', '\r']))))
    }
}

/// The terminal while it does not show what is typed.
#[cfg(unix)]
struct Hidden(rustix::termios::Termios);

#[cfg(unix)]
impl Hidden {
    fn begin() -> Result<Option<Hidden>> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Some(Hidden(before)))
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // It fails if the terminal is gone, where nobody types any more.
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0).unwrap_or(());
    }
}

/// Other systems have other ways, and COSIGN_PASSWORD.
#[cfg(not(unix))]
struct Hidden;

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> Result<Option<Hidden>> {
        Ok(None)
    }
}
