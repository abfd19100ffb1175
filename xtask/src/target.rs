//! Rust target triples, and their names in other ecosystems.

use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

mod platform;
pub use platform::Platform;

/// The target of files with a program for Intel's and one for Apple's own processors. rustc does
/// not have it; the name comes from cargo-zigbuild and maturin.
const UNIVERSAL: &str = "universal2-apple-darwin";

/// A target as rustc names it, such as `aarch64-unknown-linux-musl`, or
/// `universal2-apple-darwin`. It may name the oldest glibc to run on, as in
/// `x86_64-unknown-linux-gnu.2.28`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(String);

impl Target {
    /// Parses a triple that can be part of a file name, an argument and the name of an
    /// environment variable. It may be unknown to rustc.
    pub fn parse(name: &str) -> Result<Target> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
        let parts = name.split('-').count();
        ensure!(
            (2..=5).contains(&parts) && name.len() <= 64 && name.chars().all(plain),
            "{name:?} is not a target triple; one looks like x86_64-unknown-linux-musl"
        );
        ensure!(!name.starts_with(['-', '.']), "{name:?} is not a target triple");
        let target = Target(name.to_owned());
        if target.is_gnu_linux() && target.triple() != name {
            target.glibc().with_context(|| {
                format!("{name:?} names no version of glibc; one looks like x86_64-unknown-linux-gnu.2.28")
            })?;
        }
        Ok(target)
    }

    /// The Linux target with musl for the architecture of `host`.
    pub fn musl_of(host: &str) -> Result<Target> {
        let arch = host.split('-').next().unwrap_or(host);
        let abi = match arch {
            "arm" | "armv7" => "musleabihf",
            _ => "musl",
        };
        Target::parse(&format!("{arch}-unknown-linux-{abi}"))
    }

    /// The target for both Intel's and Apple's own processors.
    pub fn universal() -> Target {
        Target(UNIVERSAL.to_owned())
    }

    /// The full name, with the version of glibc.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name that rustc, cargo and file names use.
    pub fn triple(&self) -> &str {
        // Other triples may have a dot of their own, as `thumbv8m.main-none-eabi` has.
        if self.is_gnu_linux() { self.0.split('.').next().unwrap_or(&self.0) } else { &self.0 }
    }

    /// The oldest glibc to run on, as `(major, minor)`, where one is named.
    pub fn glibc(&self) -> Option<(u16, u16)> {
        let suffix = self.0.strip_prefix(self.triple())?.strip_prefix('.')?;
        let (major, minor) = suffix.split_once('.')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        Some((number(major)?, number(minor)?))
    }

    /// The architecture as rustc writes it, the first part of the triple.
    pub fn arch(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// Whether it is Linux with musl.
    pub fn is_musl(&self) -> bool {
        self.0.contains("-linux-musl")
    }

    /// Whether it is Linux with glibc.
    pub fn is_gnu_linux(&self) -> bool {
        self.0.contains("-linux-gnu")
    }

    /// Whether it is macOS.
    pub fn is_darwin(&self) -> bool {
        self.0.ends_with("-apple-darwin")
    }

    /// Whether it is Windows, with any C library.
    pub fn is_windows(&self) -> bool {
        self.0.contains("-windows-")
    }

    /// Whether it is Windows with MinGW's libraries, which can be linked on other systems.
    pub fn is_windows_gnu(&self) -> bool {
        self.0.ends_with("-windows-gnu")
    }

    /// The targets whose programs are joined into one for this target; empty for a target that
    /// rustc has.
    pub fn slices(&self) -> Vec<Target> {
        if self.0 != UNIVERSAL {
            return Vec::new();
        }
        ["aarch64", "x86_64"].map(|arch| Target(format!("{arch}-apple-darwin"))).into()
    }

    /// The targets that rustc builds for this one: its slices, or itself.
    pub fn parts(&self) -> Vec<Target> {
        let slices = self.slices();
        if slices.is_empty() { vec![self.clone()] } else { slices }
    }

    /// Go's name of the operating system, which OCI, krew and download pages use too.
    /// <https://go.dev/doc/install/source#environment>
    pub fn goos(&self) -> &str {
        if self.0.contains("-linux-") {
            "linux"
        } else if self.is_darwin() {
            "darwin"
        } else if self.is_windows() {
            "windows"
        } else {
            self.0.split('-').nth(2).unwrap_or("unknown")
        }
    }

    /// Go's name of the architecture, or rustc's where Go has none; `all`, as in GoReleaser, for
    /// several at once.
    pub fn goarch(&self) -> &str {
        match self.arch() {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "i686" | "i586" => "386",
            "arm" | "armv5te" | "armv6" | "armv7" | "thumbv7neon" => "arm",
            "powerpc64le" => "ppc64le",
            "riscv64gc" => "riscv64",
            "loongarch64" => "loong64",
            "universal2" => "all",
            arch => arch,
        }
    }

    /// The platform of images with its programs; `None` where containers do not run.
    /// <https://github.com/opencontainers/image-spec/blob/main/image-index.md#platform-variants>
    pub fn platform(&self) -> Option<Platform> {
        if self.goos() != "linux" {
            return None;
        }
        let variant = match self.arch() {
            "aarch64" => Some("v8"),
            "armv7" | "thumbv7neon" => Some("v7"),
            "arm" => Some("v6"),
            "armv5te" => Some("v5"),
            _ => None,
        };
        let os = self.goos().to_owned();
        let architecture = self.goarch().to_owned();
        Some(Platform { os, architecture, variant: variant.map(str::to_owned) })
    }

    /// A name for files that are no programs. It names no operating system: installers that look
    /// for a program by the system and the processor in its file's name pass over these.
    pub fn without_os(&self) -> String {
        let is_named = |part: &&str| !["unknown", "linux", "darwin", "windows"].contains(part);
        self.triple().split('-').filter(is_named).collect::<Vec<_>>().join("-")
    }

    /// The suffix of a program's file name.
    pub fn exe_suffix(&self) -> &'static str {
        if self.is_windows() { ".exe" } else { "" }
    }

    /// The triple in the names of variables of the crates cc and cmake.
    pub fn underscored(&self) -> String {
        self.triple().replace(['-', '.'], "_")
    }

    /// All names by which a user may set a variable for this target.
    /// <https://docs.rs/cc/latest/cc/#external-configuration-via-environment-variables>
    pub fn spellings(&self, name: &str) -> [String; 3] {
        let triple = self.triple();
        let underscored = self.underscored();
        [format!("{name}_{triple}"), format!("{name}_{underscored}"), format!("TARGET_{name}")]
    }

    /// The triple in the names of cargo's variables, such as `CARGO_TARGET_<this>_LINKER`.
    pub fn env_name(&self) -> String {
        self.triple().to_uppercase().replace(['-', '.'], "_")
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
        let platform = |triple| Target::parse(triple).unwrap().platform().map(|it| it.to_string());
        for (triple, named) in [
            ("x86_64-unknown-linux-musl", Some("linux/amd64")),
            ("aarch64-unknown-linux-musl", Some("linux/arm64/v8")),
            ("armv7-unknown-linux-musleabihf", Some("linux/arm/v7")),
            ("arm-unknown-linux-musleabihf", Some("linux/arm/v6")),
            ("x86_64-pc-windows-gnu", None),
        ] {
            assert_eq!(platform(triple).as_deref(), named);
        }
        let short = |triple| Target::parse(triple).unwrap().without_os();
        for (triple, name) in [
            ("x86_64-unknown-linux-musl", "x86_64-musl"),
            ("armv7-unknown-linux-musleabihf", "armv7-musleabihf"),
            ("x86_64-unknown-linux-gnu.2.28", "x86_64-gnu"),
            ("x86_64-pc-windows-gnu", "x86_64-pc-gnu"),
            ("aarch64-apple-darwin", "aarch64-apple"),
            ("universal2-apple-darwin", "universal2-apple"),
        ] {
            assert_eq!(short(triple), name);
        }
        let universal = Target::parse("universal2-apple-darwin").unwrap();
        assert_eq!((universal.goos(), universal.goarch()), ("darwin", "all"));
        let slices: Vec<String> = universal.slices().iter().map(Target::to_string).collect();
        assert_eq!(slices, ["aarch64-apple-darwin", "x86_64-apple-darwin"]);
        let target = Target::parse("aarch64-unknown-linux-musl").unwrap();
        assert_eq!(target.slices(), []);
        assert_eq!(target.env_name(), "AARCH64_UNKNOWN_LINUX_MUSL");
    }

    #[test]
    fn a_target_may_name_its_oldest_glibc() {
        let target = Target::parse("x86_64-unknown-linux-gnu.2.28").unwrap();
        assert_eq!((target.triple(), target.glibc()), ("x86_64-unknown-linux-gnu", Some((2, 28))));
        assert_eq!(target.as_str(), "x86_64-unknown-linux-gnu.2.28");
        assert_eq!(target.env_name(), "X86_64_UNKNOWN_LINUX_GNU");
        let target = Target::parse("thumbv8m.main-none-eabi").unwrap();
        assert_eq!((target.triple(), target.glibc()), ("thumbv8m.main-none-eabi", None));
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
            "x86_64-unknown-linux-gnu.",
            "x86_64-unknown-linux-gnu.2",
            "x86_64-unknown-linux-gnu.2.x",
            "x86_64-unknown-linux-gnu.2.28.1",
            "x86_64-unknown-linux-gnu.+2.28",
            &"a-".repeat(40),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            let refused = ["is not a target triple", "names no version of glibc"];
            assert!(refused.iter().any(|words| error.contains(words)), "{text:?}: {error}");
        }
    }
}
