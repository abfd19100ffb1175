//! The ways of those who compile for both platforms at once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Field;
use crate::bench::{Bench, INSTALLED, Run, remove};
use crate::program::{Program, check};
use crate::spent::Spent;

/// What somebody would type who has cargo-zigbuild and crane.
const ZIGBUILD: &str = r#"
cargo zigbuild --quiet --release --locked \
    --target x86_64-unknown-linux-musl --target aarch64-unknown-linux-musl
for platform in x86_64:amd64 aarch64:arm64; do
    rust=${platform%:*} oci=${platform#*:}
    tar -cf layer.tar --owner 0 --group 0 --transform 's,^,usr/local/bin/,' \
        -C "target/$rust-unknown-linux-musl/release" "$BIN"
    crane append --oci-empty-base -f layer.tar -t "$IMAGE-$oci"
    crane mutate --set-platform "linux/$oci" --entrypoint "/usr/local/bin/$BIN" \
        -t "$IMAGE-$oci" "$IMAGE-$oci"
done
crane index append -m "$IMAGE-amd64" -m "$IMAGE-arm64" -t "$IMAGE"
"#;

/// The row's name.
pub fn said(way: &str) -> &'static str {
    match way {
        "dockless" => "dockless, the finished program",
        "alias" => "dockless through its alias, compiled first",
        _ => "cargo-zigbuild and crane",
    }
}

/// Whether all programs are on PATH that the script starts; what is missing is said aloud.
pub fn zigbuild_is_there(bench: &Bench) -> Result<bool> {
    let mut there = true;
    for (name, arg) in [("cargo-zigbuild", "--version"), ("crane", "version"), ("zig", "version")] {
        if bench.installed(name, &[arg])?.is_none() {
            eprintln!("skipped: {name} is not on PATH");
            there = false;
        }
    }
    Ok(there)
}

impl Field<'_> {
    /// Runs one of them from the sources' clone to the image, and starts what the image has.
    pub fn run(&self, way: &str, program: &Program, sources: &Path) -> Result<Spent> {
        let clone = self.clean(sources)?;
        let repository = format!("{}/{way}", self.registry);
        let image = format!("{repository}/{}:{}", program.name, program.version);
        let push = ["image", "--quiet", "--push", "--repository", &repository];
        let run = match way {
            "dockless" => self.emptied(self.bench.command(INSTALLED, &clone).args(push)),
            "alias" => {
                let root = &self.bench.repository;
                self.bench.command("cargo", root).args(["fetch", "--quiet"]).read()?;
                let run = self.bench.command("cargo", root).arg("xtask").args(push);
                let run = run.arg("--manifest-path").arg(clone.join("Cargo.toml"));
                self.emptied(run).env("CARGO_TARGET_DIR", self.place().join("target"))
            }
            _ => {
                let run = self.bench.command("sh", &clone).args(["-euc", ZIGBUILD]);
                self.emptied(run).env("BIN", program.bin).env("IMAGE", &image)
            }
        };
        let spent = Spent::by(run)?;
        let pushed = match way {
            "zigbuild" => image,
            _ => self.latest(&format!("{repository}/{}", program.name))?,
        };
        check(self.bench, program, &pushed, &["amd64", "arm64"])?;
        Ok(spent)
    }

    /// The only image of a repository.
    fn latest(&self, repository: &str) -> Result<String> {
        let tags = self.bench.command("crane", &self.bench.dir).args(["ls", repository]).read()?;
        let tag = tags.lines().next().with_context(|| format!("find a tag of {repository}"))?;
        Ok(format!("{repository}:{tag}"))
    }

    /// A clone in a place where nothing else is.
    pub fn clean(&self, sources: &Path) -> Result<PathBuf> {
        let place = self.place();
        remove(&place)?;
        std::fs::create_dir_all(&place).context("make a folder for a run")?;
        let clone = self.bench.command("git", &place).args(["clone", "--quiet"]);
        clone.arg(sources).arg("clone").read()?;
        Ok(place.join("clone"))
    }

    fn place(&self) -> PathBuf {
        self.bench.dir.join("run")
    }

    /// With caches that are empty.
    fn emptied(&self, run: Run) -> Run {
        ["DOCKLESS_CACHE", "ZIG_GLOBAL_CACHE_DIR", "CARGO_ZIGBUILD_CACHE_DIR"]
            .into_iter()
            .fold(run, |run, name| run.env(name, self.place().join(name.to_lowercase())))
    }
}
