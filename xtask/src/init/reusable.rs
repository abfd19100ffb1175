//! The workflow of another repository that builds and attests a project's releases.

use std::str::FromStr;

use super::MARK;
use crate::config::Slug;

/// A reusable workflow of this tool, in a repository at one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reusable {
    repository: Slug,
    commit: String,
    /// The tag of the commit, in a comment: ` # TAG`; or empty.
    comment: String,
}

/// How the files that hold the workflow begin and end.
const FILE: &str = "/.github/workflows/reusable-release";
const END: &str = ".yml";

impl Reusable {
    /// The file of the workflow, for projects with images at GitHub's own registry or without: a
    /// called workflow can have no permission that its caller lacks.
    pub fn file(ghcr: bool) -> String {
        format!("reusable-release{}{END}", if ghcr { "-ghcr" } else { "" })
    }

    /// As a job calls it.
    pub fn uses(&self, ghcr: bool) -> String {
        let Reusable { repository, commit, comment } = self;
        format!("{repository}/.github/workflows/{}@{commit}{comment}", Reusable::file(ghcr))
    }

    /// The one that an existing release.yml of this tool calls. Dependabot may have raised its
    /// commit, which stays then.
    pub fn of(release: &str) -> Option<Reusable> {
        let uses = |line: &str| {
            let (repository, rest) = line.trim().strip_prefix("uses: ")?.split_once(FILE)?;
            let (_, pin) = rest.split_once(&format!("{END}@"))?;
            let (commit, tag) = match pin.split_once(" # ") {
                Some((commit, tag)) => (commit, Some(tag)),
                None => (pin, None),
            };
            let named: Reusable = format!("{repository}@{commit}").parse().ok()?;
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            let tag = tag.filter(|tag| tag.bytes().all(plain));
            let comment = tag.map(|tag| format!(" # {tag}")).unwrap_or_default();
            Some(Reusable { comment, ..named })
        };
        release.lines().next()?.contains(MARK).then(|| release.lines().find_map(uses))?
    }
}

/// Parses `OWNER/REPO@COMMIT`.
impl FromStr for Reusable {
    type Err = String;

    fn from_str(text: &str) -> Result<Reusable, String> {
        let form = "it is OWNER/REPO@COMMIT, with all 40 digits of the commit";
        let (name, commit) = text.split_once('@').ok_or(form)?;
        let repository = Slug::parse(name)
            .ok_or_else(|| format!("{name:?} is not a repository on GitHub; {form}"))?;
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if commit.len() != 40 || !commit.bytes().all(digit) {
            return Err(format!(
                "{commit:?} is not a commit, and tags and branches can be moved to other code; {form}: \
                 `git ls-remote https://github.com/{repository}` lists those of tags"
            ));
        }
        Ok(Reusable { repository, commit: commit.to_owned(), comment: String::new() })
    }
}
