//! Tokens in the environment: which variables hold one, and who gets to see them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::Env;
use crate::secret::{Address, Secret};

/// A variable that names others, with commas between, which are no tokens although their
/// names or values say so: a build needs them.
const PASSED_ON: &str = "DOCKLESS_PASS_ENV";

/// What a word of a secret's name ends with; words stand between `_`, in any case:
/// GITHUB_TOKEN, ACTIONS_ID_TOKEN_REQUEST_TOKEN, CARGO_REGISTRIES_ACME_TOKEN, PGPASSWORD,
/// AWS_SECRET_ACCESS_KEY.
const WORDS: [&str; 7] =
    ["TOKEN", "TOKENS", "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "SECRETS"];
/// What a secret's name without its `_` ends with.
const ENDS: [&str; 5] = ["APIKEY", "ACCESSKEY", "PRIVATEKEY", "SIGNINGKEY", "DEPLOYKEY"];
/// How GitHub's tokens begin, whatever the name of their variable.
/// <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>
const BEGINNINGS: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];

/// What is done in the user's name at GitHub, and in a job's with its runner; no helper that
/// knows logins needs it.
const NEVER_LENT: [&str; 6] = [
    "GITHUB_TOKEN",
    "KREW_GITHUB_TOKEN",
    "GH_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
];
/// What the tool takes for itself alone, whatever [`PASSED_ON`] says.
const OWN: [&str; 2] = ["GITHUB_TOKEN", "KREW_GITHUB_TOKEN"];

/// A value that no output can hold.
#[derive(Clone)]
pub(super) struct Hidden(OsString);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// Takes the tokens out of the variables.
pub(super) fn withhold(vars: &mut BTreeMap<OsString, OsString>) -> BTreeMap<OsString, Hidden> {
    let passed = vars.get(OsStr::new(PASSED_ON)).cloned();
    let all = std::mem::take(vars);
    let (tokens, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
        all.into_iter().partition(|(name, value)| is_token(name, value, passed.as_deref()));
    *vars = rest;
    tokens.into_iter().map(|(name, value)| (name, Hidden(value))).collect()
}

/// Variables in their order: the name and the value of each.
#[cfg(target_os = "linux")]
pub(super) type Vars = Vec<(OsString, OsString)>;

/// The variables that are tokens, and the others.
#[cfg(target_os = "linux")]
pub(super) fn apart(vars: Vars) -> (Vars, Vars) {
    let passed = vars.iter().find(|(name, _)| name == PASSED_ON).map(|(_, value)| value.clone());
    vars.into_iter().partition(|(name, value)| is_token(name, value, passed.as_deref()))
}

/// Whether a variable is a token by its name or value; `passed` are the names of those that
/// are not.
fn is_token(name: &OsStr, value: &OsStr, passed: Option<&OsStr>) -> bool {
    let (name, value) = (name.to_string_lossy().to_ascii_uppercase(), value.to_string_lossy());
    let passed = passed.unwrap_or_default().to_string_lossy();
    if value.is_empty() || name == PASSED_ON {
        return false;
    }
    if !OWN.contains(&&*name) && passed.split(',').any(|it| it.trim().eq_ignore_ascii_case(&name)) {
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
    /// A token, which is no variable of this environment.
    pub fn token(&self, name: &str) -> Option<Secret> {
        let Hidden(value) = self.withheld.get(OsStr::new(name))?;
        Some(Secret::new(value.to_string_lossy().trim())).filter(|it| !it.expose().is_empty())
    }

    /// This environment with all tokens, for what is the user's own.
    pub fn with_tokens(mut self) -> Env {
        let all = self.withheld.iter().map(|(name, Hidden(value))| (name.clone(), value.clone()));
        self.vars.extend(all);
        self
    }

    /// The tokens that a program may need to log in somewhere. GitHub's and those of its
    /// runners are not among them.
    pub(super) fn for_logins(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        let lent = |name: &OsStr| {
            let own = name.to_string_lossy().starts_with("DOCKLESS_");
            !own && !NEVER_LENT.iter().any(|it| name.eq_ignore_ascii_case(it))
        };
        let all = self.withheld.iter().map(|(name, Hidden(value))| (&**name, &**value));
        all.filter(move |(name, _)| lent(name))
    }

    /// Whether there are tokens that cargo logs in to registries with.
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
        assert_eq!(env.token("GITHUB_TOKEN").unwrap().expose(), "s3cr3t");
        assert!(env.token("GH_TOKEN").is_none() && env.get("GITHUB_TOKEN").is_none());
        assert!(!format!("{env:?}").contains("s3cr3t"));
        assert_eq!(env.with_tokens().iter().count(), 5);
    }
}
