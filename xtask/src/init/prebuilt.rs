//! The released program of this tool, in one version, for workflows that do not compile it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::{LINUX, MACOS, WINDOWS, os};
use crate::digest::{self, Digest};
use crate::files::limits;
use crate::finding::failure;
use crate::http::{Call, Http, Method, Url};
use crate::plan::{BUNDLE, CHECKSUMS};
use crate::sign::{Bundle, LIMIT, PublicKey};

/// A release of this tool, with the SHA-256 of each archive that a runner may need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prebuilt {
    pub version: String,
    /// The address that the files are below.
    pub release: String,
    /// The archives, by the names of runners' systems.
    pub archives: BTreeMap<String, (String, Digest)>,
}

/// How the line begins that keeps it in ci.yml.
const PIN: &str = "# The tool is the released one: ";

/// The targets of the programs that run on each runner, the best first.
const PROGRAMS: [(&str, &[&str]); 3] = [
    (LINUX, &["x86_64-unknown-linux-musl"]),
    (MACOS, &["aarch64-apple-darwin", "universal2-apple-darwin"]),
    (WINDOWS, &["x86_64-pc-windows-msvc", "x86_64-pc-windows-gnu"]),
];

/// The version of this tool in the text of a Cargo.lock.
pub fn locked(lock: &str) -> Option<&str> {
    let mut lines = lock.lines();
    lines.find(|line| *line == "name = \"dockless\"")?;
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

impl Prebuilt {
    /// The line in ci.yml that keeps it, from which [`Prebuilt::of`] reads it again.
    pub fn line(&self) -> String {
        let archives = self.archives.iter();
        let archives =
            archives.map(|(os, (name, digest))| format!(" {os} {name} {}", digest.hex()));
        format!("{PIN}{} {}{}\n", self.version, self.release, archives.collect::<String>())
    }

    /// The one that an existing ci.yml of this tool takes.
    pub fn of(ci: &str) -> Option<Prebuilt> {
        let mut words = ci.lines().nth(1)?.strip_prefix(PIN)?.split(' ');
        let (version, release) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut archives = BTreeMap::new();
        while let Some(os) = words.next() {
            let (name, digest) = (words.next()?.to_owned(), Digest::from_hex(words.next()?).ok()?);
            archives.insert(os.to_owned(), (name, digest));
        }
        Url::parse(&release).ok()?;
        semver::Version::parse(&version).ok()?;
        let plain =
            |name: &str| name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
        let known = |(os, (name, _)): (&String, &(String, Digest))| plain(os) && plain(name);
        archives.iter().all(known).then_some(Prebuilt { version, release, archives })
    }

    /// Asks the repository at `base` for the checksums of the version, which `key` must have signed.
    pub fn ask(
        base: &str,
        version: &str,
        key: Option<&PublicKey>,
        http: &Http<'_>,
    ) -> Result<Prebuilt> {
        let release = format!("{}/releases/download/v{version}", base.trim_end_matches('/'));
        let get = |name: &str, limit: u64| -> Result<Vec<u8>> {
            let url = Url::parse(&format!("{release}/{name}"))?;
            Ok(http.send(&Call::new(Method::GET, &url, limit))?.body)
        };
        let asked = || format!("find the released dockless {version}");
        let list = get(CHECKSUMS, limits::RELEASE.0).with_context(asked)?;
        if let Some(key) = key {
            let bundle = get(&format!("{CHECKSUMS}{BUNDLE}"), LIMIT.0).with_context(asked)?;
            let verified = Bundle::parse(&bundle).and_then(|it| it.verify_file(&list, key));
            verified.with_context(|| format!("verify {release}/{CHECKSUMS}"))?;
        }
        let digests =
            digest::listed(&list).with_context(|| format!("read {release}/{CHECKSUMS}"))?;
        let archive = |target: &str| {
            let end = if target.contains("windows") { "zip" } else { "tar.gz" };
            let name = format!("dockless-v{version}-{target}.{end}");
            digests.get(&name).map(|digest| (name.clone(), *digest))
        };
        let found = PROGRAMS.into_iter().filter_map(|(runner, targets)| {
            let found = targets.iter().find_map(|target| archive(target))?;
            Some((os(runner).to_owned(), found))
        });
        Ok(Prebuilt { version: version.to_owned(), archives: found.collect(), release })
    }

    /// Fails where the release has no program for one of the runners.
    pub fn covers(&self, runners: &[&str]) -> Result<()> {
        let lacking = runners.iter().find(|runner| !self.archives.contains_key(os(runner)));
        let Some(lacking) = lacking else { return Ok(()) };
        bail!(failure(
            format!("{} has no program for {lacking}, where a target is built", self.release),
            "run it without --prebuilt (remove ci.yml before): the tool is then compiled",
        ))
    }

    /// The address and the SHA-256 of the archive for a system.
    pub fn archive(&self, os: &str) -> Option<(String, String)> {
        let (name, digest) = self.archives.get(os)?;
        Some((format!("{}/{name}", self.release), digest.hex()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_workflow_keeps_is_read_again() {
        let prebuilt = Prebuilt {
            version: "1.2.3".to_owned(),
            release: "https://github.com/acme/dockless/releases/download/v1.2.3".to_owned(),
            archives: [("linux".to_owned(), ("a.tar.gz".to_owned(), Digest::of(b"a")))].into(),
        };
        let ci = format!("# mark\n{}name: ci\n", prebuilt.line());
        assert_eq!(Prebuilt::of(&ci), Some(prebuilt));
        for (from, to) in
            [("a.tar.gz", "$(id)"), ("1.2.3 ", "x "), ("https", "file"), ("linux ", "")]
        {
            assert_eq!(Prebuilt::of(&ci.replacen(from, to, 1)), None, "{to}");
        }
        assert_eq!(Prebuilt::of("# mark\nname: ci\n"), None);
    }

    #[test]
    fn a_lock_file_pins_the_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"dockless\"\nversion = \"7.8.9\"\nsource = \"x\"\n";
        assert_eq!(locked(lock), Some("7.8.9"));
        assert_eq!(locked(&lock.replace("\n", "\r\n")), Some("7.8.9"));
        assert_eq!(locked("version = 4\n"), None);
    }
}
