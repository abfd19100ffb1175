//! Tokens in the environment: which variables hold one, and which programs get them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::ValueEnum;

use super::Env;
use crate::secret::{Address, Secret};

/// A variable that lists others, separated by commas, that builds get although their names or
/// values look like tokens.
const PASSED_ON: &str = "DOCKLESS_PASS_ENV";

/// How a word in the name of a secret ends. `_`, `-` and `.` separate words; case is ignored:
/// GITHUB_TOKEN, ACTIONS_ID_TOKEN_REQUEST_TOKEN, CARGO_REGISTRIES_ACME_TOKEN, PGPASSWORD,
/// AWS_SECRET_ACCESS_KEY.
const WORDS: [&str; 7] =
    ["TOKEN", "TOKENS", "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "SECRETS"];
/// How the name of a secret ends, without its separators.
const ENDS: [&str; 5] = ["APIKEY", "ACCESSKEY", "PRIVATEKEY", "SIGNINGKEY", "DEPLOYKEY"];
/// How GitHub's tokens begin, whatever their variable is called.
/// <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>
const BEGINNINGS: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];

/// Tokens beside [`OwnToken`] that act for the user at GitHub, or for a job at its runner. No
/// credential helper needs them.
const NEVER_LENT: [&str; 4] = [
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
];

/// The tokens for this tool only, whatever [`PASSED_ON`] lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OwnToken {
    /// Publishes releases.
    GitHub,
    /// Opens pull requests in krew's index.
    KrewIndex,
    /// Signs; it and its password are for no program at all.
    SigningKey,
    SigningPassword,
}

impl OwnToken {
    /// The variable that holds it.
    pub fn variable(self) -> &'static str {
        match self {
            OwnToken::GitHub => "GITHUB_TOKEN",
            OwnToken::KrewIndex => "KREW_GITHUB_TOKEN",
            OwnToken::SigningKey => "COSIGN_PRIVATE_KEY",
            OwnToken::SigningPassword => "COSIGN_PASSWORD",
        }
    }

    /// The one that a variable holds. Case is ignored.
    fn of(name: &str) -> Option<OwnToken> {
        let all = OwnToken::value_variants().iter().copied();
        all.into_iter().find(|own| own.variable().eq_ignore_ascii_case(name))
    }

    /// Whether not even the user's own programs get it.
    fn signs(self) -> bool {
        matches!(self, OwnToken::SigningKey | OwnToken::SigningPassword)
    }
}

/// A value that is never shown.
#[derive(Clone)]
pub(super) struct Hidden(OsString);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Removes the tokens from the variables and returns them.
pub(super) fn withhold(vars: &mut BTreeMap<OsString, OsString>) -> BTreeMap<OsString, Hidden> {
    let (tokens, rest) = split(std::mem::take(vars).into_iter().collect());
    *vars = rest.into_iter().collect();
    tokens.into_iter().map(|(name, value)| (name, Hidden(value))).collect()
}

/// Names and values, in their order.
pub(super) type Vars = Vec<(OsString, OsString)>;

/// The variables that are tokens, and the others.
pub(super) fn split(vars: Vars) -> (Vars, Vars) {
    let passed = vars.iter().find(|(name, _)| name == PASSED_ON).map(|(_, value)| value.clone());
    vars.into_iter().partition(|(name, value)| is_token(name, value, passed.as_deref()))
}

/// Whether a variable is a token by its name or value. `passed` lists exceptions.
fn is_token(name: &OsStr, value: &OsStr, passed: Option<&OsStr>) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    let value = value.to_string_lossy();
    let passed = passed.unwrap_or_default().to_string_lossy();
    if value.is_empty() || name == PASSED_ON {
        return false;
    }
    if OwnToken::of(&name).is_some() {
        return true;
    }
    if passed.split(',').any(|it| it.trim().eq_ignore_ascii_case(&name)) {
        return false;
    }
    let is_secret = |word: &str| word == "PAT" || WORDS.iter().any(|end| word.ends_with(end));
    let joined = name.replace(['_', '-', '.'], "");
    name.split(['_', '-', '.']).any(is_secret)
        || ENDS.iter().any(|end| joined.ends_with(end))
        || BEGINNINGS.iter().any(|start| value.starts_with(start))
        || name == "DOCKER_AUTH_CONFIG"
        || name.starts_with("DOCKLESS_") && Address::holds_login(&value)
}

impl Env {
    /// One of this tool's own tokens.
    pub fn token(&self, token: OwnToken) -> Option<Secret> {
        self.secret(token.variable())
    }

    /// The value of a variable that is withheld, so that [`Env::get`] does not return it.
    pub fn secret(&self, name: &str) -> Option<Secret> {
        let Hidden(value) = self.withheld.get(OsStr::new(name))?;
        Some(Secret::new(value.to_string_lossy().trim())).filter(|it| !it.expose().is_empty())
    }

    /// The value of a variable that is a password: exactly as it was given, and an empty one
    /// counts.
    pub fn password(&self, token: OwnToken) -> Option<Secret> {
        let name = OsStr::new(token.variable());
        let withheld = self.withheld.get(name).map(|Hidden(value)| value);
        withheld.or_else(|| self.vars.get(name))?.to_str().map(Secret::new)
    }

    /// This environment with all tokens but those that sign, for the user's own programs.
    pub fn with_tokens(mut self) -> Env {
        let signs =
            |name: &OsStr| OwnToken::of(&name.to_string_lossy()).is_some_and(OwnToken::signs);
        let lent = self.withheld.iter().filter(|(name, _)| !signs(name));
        self.vars.extend(lent.map(|(name, Hidden(value))| (name.clone(), value.clone())));
        self
    }

    /// The tokens that a program may need to log in somewhere: all but this tool's, and those of
    /// GitHub and of its runners.
    pub(super) fn for_logins(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let lent = |name: &OsStr| {
            let text = name.to_string_lossy();
            let own = text.starts_with("DOCKLESS_") || OwnToken::of(&text).is_some();
            !own && !NEVER_LENT.iter().any(|it| name.eq_ignore_ascii_case(it))
        };
        let all = self.withheld.iter().map(|(name, Hidden(value))| (&**name, &**value));
        all.filter(move |(name, _)| lent(name))
    }

    /// Whether there are tokens by which cargo logs in to registries.
    /// <https://doc.rust-lang.org/cargo/reference/config.html#registriesnametoken>
    pub fn has_registry_tokens(&self) -> bool {
        let mut names = self.withheld.keys().map(|name| name.to_string_lossy());
        names.any(|name| name.starts_with("CARGO_REGISTR"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_known_by_name_and_value() {
        for (name, value, passed, expected) in [
            ("GITHUB_TOKEN", "x", "", true),
            ("github_token", "x", "", true),
            ("KREW_GITHUB_TOKEN", "x", "", true),
            ("GH_TOKEN", "x", "", true),
            ("GITHUB_PAT", "x", "", true),
            ("GITHUB_TOKEN_2", "x", "", true),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x", "", true),
            ("ACTIONS_RUNTIME_TOKEN", "x", "", true),
            ("CARGO_REGISTRIES_ACME_TOKEN", "x", "", true),
            ("AWS_SECRET_ACCESS_KEY", "x", "", true),
            ("STRIPE_API_KEY", "x", "", true),
            ("PGPASSWORD", "x", "", true),
            ("REGISTRY_PASSWORD", "x", "", true),
            ("DOCKER_AUTH_CONFIG", "{}", "", true),
            ("LOGIN", "ghs_abc", "", true),
            ("DOCKLESS_ADVISORY_DB", "https://u:p@host/db", "", true),
            ("DOCKLESS_ADVISORY_DB", "https://host/db", "", false),
            ("HTTPS_PROXY", "http://u:p@host", "", false),
            ("LOGIN", "github_pat_abc", "", true),
            ("GITHUB_TOKEN", "", "", false),
            ("PATH", "/bin", "", false),
            ("PAT_H", "/bin", "", true),
            ("AWS_ACCESS_KEY_ID", "x", "", false),
            ("TOKENIZERS_PARALLELISM", "x", "", false),
            ("TOKIO_WORKER_THREADS", "2", "", false),
            ("GITHUB_ACTOR", "x", "", false),
            ("SSH_AUTH_SOCK", "/tmp/s", "", false),
            ("APP_TOKEN", "x", "OTHER, app_token", false),
            ("LOGIN", "ghs_abc", "LOGIN", false),
            ("GITHUB_TOKEN", "x", "GITHUB_TOKEN", true),
            (PASSED_ON, "GITHUB_TOKEN", "GITHUB_TOKEN", false),
        ] {
            let found = is_token(name.as_ref(), value.as_ref(), Some(passed.as_ref()));
            assert_eq!(found, expected, "{name}={value}, without {passed}");
        }
    }

    /// Neither builds nor credential helpers get one, whatever its variable is called.
    #[test]
    fn the_tools_own_tokens_are_for_it_alone() {
        for own in OwnToken::value_variants() {
            let vars = [(PASSED_ON, own.variable()), (own.variable(), "x")];
            let env = Env::scrub(vars.map(|(name, value)| (name.into(), value.into())));
            assert!(env.get(own.variable()).is_none() && env.token(*own).is_some(), "{own:?}");
            assert_eq!(env.for_logins().count(), 0, "{own:?}");
            let passed = env.with_tokens().get(own.variable()).is_some();
            assert_eq!(passed, !own.signs(), "{own:?}");
        }
    }

    #[test]
    fn a_password_is_what_was_given() {
        for (given, expected) in
            [(Some(" x \n"), Some(" x \n")), (Some(""), Some("")), (None, None)]
        {
            let vars = given.map(|given| ("COSIGN_PASSWORD".into(), given.into()));
            let password = Env::scrub(vars).password(OwnToken::SigningPassword);
            assert_eq!(password.as_ref().map(Secret::expose), expected);
        }
    }

    #[test]
    fn programs_get_the_tokens_that_are_lent_to_them() {
        let all = [
            ("GITHUB_TOKEN", " s3cr3t \n"),
            ("AWS_SESSION_TOKEN", "aws"),
            ("ACTIONS_RUNTIME_TOKEN", "run"),
            ("HOME", "/h"),
        ];
        let env = Env::scrub(all.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(env.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["HOME", "LC_ALL"]);
        let lent: Vec<_> = env.for_logins().map(|(name, _)| name).collect();
        assert_eq!(lent, ["AWS_SESSION_TOKEN"]);
        assert_eq!(env.token(OwnToken::GitHub).unwrap().expose(), "s3cr3t");
        assert!(env.secret("GH_TOKEN").is_none() && env.get("GITHUB_TOKEN").is_none());
        assert!(!format!("{env:?}").contains("s3cr3t"));
        assert_eq!(env.with_tokens().iter().count(), 5);
    }
}
