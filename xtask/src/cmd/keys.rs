//! Keys, where the environment, the settings and the command line name them.

use std::path::Path;

use anyhow::{Context, Result};

use super::World;
use crate::config::SignConfig;
use crate::files;
use crate::finding::{Finding, Place, failure};
use crate::process::OwnToken;
use crate::secret::Secret;
use crate::sign::{KEY_LIMIT, KeyText, PrivateKey, PublicKey};

impl World {
    /// Whether the environment holds a key to sign with.
    pub fn has_key(&self) -> bool {
        self.env.token(OwnToken::SigningKey).is_some()
    }

    /// The key to sign with; `None` where neither the environment nor the settings have one. The
    /// user may be asked for its password.
    pub fn private_key(&self, config: &SignConfig) -> Result<Option<PrivateKey>> {
        let (text, name) = if let Some(text) = self.env.token(OwnToken::SigningKey) {
            (text, OwnToken::SigningKey.variable().to_owned())
        } else if let Some(path) = &config.key {
            (self.key_file(path)?, path.display().to_string())
        } else {
            return Ok(None);
        };
        let password = || self.password(&format!("password of {name}"));
        let key = KeyText::parse(text.expose()).and_then(|key| key.open(password));
        key.map(Some).with_context(|| format!("read the key in {name}"))
    }

    /// Reads a private key, and warns where others may do so too.
    fn key_file(&self, path: &Path) -> Result<Secret> {
        if files::is_public(path)? {
            let why = "everybody on this machine may read the private key";
            let fix = format!("run `chmod 600 {}`", path.display());
            self.term.finding(&Finding::warning("key-public", Place::file(path), why, fix));
        }
        let bytes = files::read_foreign(path, KEY_LIMIT)?;
        let text = String::from_utf8(bytes).ok();
        Ok(Secret::new(text.with_context(|| format!("{} is no PEM", path.display()))?))
    }

    /// The password of a key: the environment's, or the user's.
    fn password(&self, what: &str) -> Result<Secret> {
        let given = self.env.password(OwnToken::SigningPassword);
        let asked = || self.term.password(what);
        given.map_or_else(asked, |given| Ok(Some(given)))?.ok_or_else(|| {
            let why = "it is encrypted, and there is neither COSIGN_PASSWORD nor a terminal to ask";
            failure(why, "set COSIGN_PASSWORD; it may be empty")
        })
    }

    /// The password for a new key, typed twice where it is typed.
    pub fn new_password(&self) -> Result<Secret> {
        if let Some(given) = self.env.password(OwnToken::SigningPassword) {
            return Ok(given);
        }
        let first = self.term.password("password for the new key")?;
        let second = self.term.password("the same again")?;
        match (first, second) {
            (Some(first), Some(second)) if first == second => Ok(first),
            (Some(_), Some(_)) => Err(failure("the passwords differ", "run it again")),
            _ => {
                let why = "there is neither COSIGN_PASSWORD nor a terminal to ask for a password";
                Err(failure(why, "set COSIGN_PASSWORD; it may be empty"))
            }
        }
    }

    /// The public key in a file.
    pub fn public_key(&self, path: &Path) -> Result<PublicKey> {
        let path = self.dir.join(path);
        let context = || format!("read the key in {}", path.display());
        let bytes = files::read_named(&path, KEY_LIMIT)?;
        let text = String::from_utf8(bytes).ok().context("it is no PEM").with_context(context)?;
        PublicKey::parse(&text).with_context(context)
    }
}
