//! Rust target triples, and every name that other ecosystems have for them.

use std::fmt;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// A target as rustc names it, such as `aarch64-unknown-linux-musl`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(String);

impl Target {
    /// Takes a triple that is fit for a file name, an argument and the name of
    /// an environment variable. Whether rustc knows it is another question.
    pub fn parse(triple: &str) -> Result<Target> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        let parts = triple.split('-').count();
        ensure!(
            (2..=5).contains(&parts) && triple.len() <= 64 && triple.chars().all(plain),
            "{triple:?} is not a target triple; one looks like x86_64-unknown-linux-musl"
        );
        ensure!(!triple.starts_with(['-', '.']), "{triple:?} is not a target triple");
        Ok(Target(triple.to_owned()))
    }

    /// The static Linux target of the machine that `host` names: same
    /// architecture, musl.
    pub fn musl_of(host: &str) -> Result<Target> {
        let arch = host.split('-').next().unwrap_or(host);
        let abi = match arch {
            "arm" => "musleabihf",
            "armv7" => "musleabihf",
            _ => "musl",
        };
        Target::parse(&format!("{arch}-unknown-linux-{abi}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The architecture as rustc writes it, the first part of the triple.
    pub fn arch(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }

    pub fn is_musl(&self) -> bool {
        self.0.contains("-linux-musl")
    }

    /// Go's name of the operating system, which OCI, krew and download pages use.
    /// <https://go.dev/doc/install/source#environment>
    pub fn goos(&self) -> &str {
        if self.0.contains("-linux-") {
            "linux"
        } else if self.0.contains("-apple-darwin") {
            "darwin"
        } else if self.0.contains("-windows-") {
            "windows"
        } else {
            self.0.split('-').nth(2).unwrap_or("unknown")
        }
    }

    /// Go's name of the architecture; rustc's own where Go has none.
    pub fn goarch(&self) -> &str {
        match self.arch() {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "i686" | "i586" => "386",
            "arm" | "armv5te" | "armv6" | "armv7" => "arm",
            "powerpc64le" => "ppc64le",
            "riscv64gc" => "riscv64",
            "loongarch64" => "loong64",
            arch => arch,
        }
    }

    /// The triple as it stands in the names of cargo's variables, such as
    /// `CARGO_TARGET_<this>_LINKER`.
    pub fn env_name(&self) -> String {
        self.0.to_uppercase().replace(['-', '.'], "_")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_knows_its_other_names() {
        for (triple, goos, goarch, musl) in [
            ("x86_64-unknown-linux-musl", "linux", "amd64", true),
            ("aarch64-unknown-linux-musl", "linux", "arm64", true),
            ("armv7-unknown-linux-musleabihf", "linux", "arm", true),
            ("i686-unknown-linux-musl", "linux", "386", true),
            ("powerpc64le-unknown-linux-musl", "linux", "ppc64le", true),
            ("riscv64gc-unknown-linux-musl", "linux", "riscv64", true),
            ("x86_64-unknown-linux-gnu", "linux", "amd64", false),
            ("aarch64-apple-darwin", "darwin", "arm64", false),
            ("x86_64-pc-windows-gnu", "windows", "amd64", false),
        ] {
            let target = Target::parse(triple).unwrap();
            assert_eq!(
                (target.goos(), target.goarch(), target.is_musl()),
                (goos, goarch, musl),
                "{triple}"
            );
        }
        let target = Target::parse("aarch64-unknown-linux-musl").unwrap();
        assert_eq!(target.env_name(), "AARCH64_UNKNOWN_LINUX_MUSL");
    }

    #[test]
    fn what_is_no_triple_is_refused() {
        for text in [
            "",
            "linux",
            "../x86_64-musl",
            "a b-c-d",
            "-x-y",
            "x86_64-$(id)-linux",
            &"a-".repeat(40),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains("is not a target triple"), "{text:?}: {error}");
        }
    }
}
