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
        let Some((text, name)) = self.key_text(config)? else { return Ok(None) };
        let file = config.key.as_ref().filter(|_| !self.has_key());
        file.and_then(|path| public(path)).iter().for_each(|it| self.term.finding(it));
        let password = || self.password(&format!("password of {name}"));
        let key = KeyText::parse(text.expose()).and_then(|key| key.open(password));
        key.map(Some).with_context(|| format!("read the key in {name}"))
    }

    /// Where the key is and what is wrong with that, without its password.
    pub fn look_at_key(&self, config: &SignConfig) -> Result<Option<(String, Option<Finding>)>> {
        let Some((text, name)) = self.key_text(config)? else { return Ok(None) };
        KeyText::parse(text.expose()).with_context(|| format!("read the key in {name}"))?;
        let of_file = config.key.as_ref().filter(|_| !self.has_key());
        Ok(Some((format!("in {name}"), of_file.and_then(|path| public(path)))))
    }

    /// The text of the private key, and its name.
    fn key_text(&self, config: &SignConfig) -> Result<Option<(Secret, String)>> {
        if let Some(text) = self.env.token(OwnToken::SigningKey) {
            return Ok(Some((text, OwnToken::SigningKey.variable().to_owned())));
        }
        let Some(path) = &config.key else { return Ok(None) };
        let bytes = files::read_foreign(path, KEY_LIMIT)?;
        let text = String::from_utf8(bytes).ok();
        let text = text.with_context(|| format!("{} is no PEM", path.display()))?;
        Ok(Some((Secret::new(text), path.display().to_string())))
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

/// Warns of a private key that others may read. What cannot be looked at was read by now.
fn public(path: &Path) -> Option<Finding> {
    let is_public = files::is_public(path).unwrap_or(false);
    let why = "everybody on this machine may read the private key";
    let fix = format!("run `chmod 600 {}`", path.display());
    is_public.then(|| Finding::warning("key-public", Place::file(path), why, fix))
}
