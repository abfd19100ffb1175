//! The Dockerfile that most projects have, built by buildah without a network.
//!
//! Its base is what the official image of Rust is made of: Debian with gcc, here by mmdebstrap, and
//! rustup's toolchain, which is mounted, as are the crates that cargo has downloaded. All runs in
//! namespaces of its own, in which QEMU is registered for the other platform.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Field;
use crate::bench::{Bench, Run, remove, write};
use crate::program::{self, Program, check};
use crate::spent::Spent;

/// A platform: rustc's name and the image's.
pub type Arch = (&'static str, &'static str);
pub const NATIVE: Arch = ("x86_64", "amd64");
pub const OTHER: Arch = ("aarch64", "arm64");

/// A static program, as dockless makes it, so that the last stage is empty in both.
const DOCKERFILE: &str = r#"ARG BASE
FROM $BASE AS build
ENV PATH=/usr/local/rust/bin:/usr/bin:/bin CARGO_HOME=/usr/local/cargo
WORKDIR /src
COPY . .
ARG TARGET BIN
RUN cargo build --quiet --release --locked --offline --target $TARGET && \
    strip target/$TARGET/release/$BIN && cp target/$TARGET/release/$BIN /program
FROM scratch
ARG BIN
COPY --from=build /program /usr/local/bin/$BIN
"#;

/// Makes an image of Debian's files. Devices cannot be made in a user namespace.
const BASE: &str = r#"
container=$(buildah from scratch)
buildah add -q "$container" "$ROOT" /
buildah config --arch "$ARCH" "$container"
buildah commit -q --rm "$container" "base-$ARCH"
"#;

/// Adds a platform to the program's list, and pushes the list.
const BUILD: &str = r#"
buildah build -q --isolation chroot --platform "linux/$ARCH" --manifest "list-$BIN" \
    --build-arg BASE="localhost/base-$ARCH" --build-arg TARGET="$TARGET" --build-arg BIN="$BIN" \
    -v "$TOOLCHAIN:/usr/local/rust:ro" -v "$CRATES:/usr/local/cargo/registry" -f Dockerfile .
buildah manifest push -q --all --tls-verify=false "list-$BIN" "docker://$IMAGE"
"#;

/// Starts a script in user and mount namespaces of its own, where it is root with all ids and has
/// its own list of emulators: what this machine has registered neither counts nor changes.
const APART: &str = r#"
unshare --user --mount sh -euc '
until grep -q 0 /proc/self/gid_map; do sleep 0.01; done
exec setpriv --reuid 0 --regid 0 --clear-groups sh -euc "$1"
' sh "$1" &
until [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
for map in uid_map gid_map; do echo "0 0 4294967295" > "/proc/$!/$map"; done
wait $!
"#;

/// Registers QEMU for programs of aarch64, which start with these bytes; the kernel keeps the file
/// open, so that it need not be in the container.
const EMULATE: &str = r#"
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf %s ':aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:QEMU:F' |
    sed "s,QEMU,$(command -v qemu-aarch64-static)," > /proc/sys/fs/binfmt_misc/register
"#;

pub struct Buildah {
    dir: PathBuf,
    /// The toolchains of this platform, and of the other.
    native: PathBuf,
    other: Option<PathBuf>,
}

impl Buildah {
    /// Makes the bases. `None`, said aloud, where something for it is missing.
    pub fn prepare(bench: &Bench, emulated: bool) -> Result<Option<Buildah>> {
        if std::env::consts::ARCH != NATIVE.0 {
            eprintln!("skipped: buildah is measured on {} only", NATIVE.0);
            return Ok(None);
        }
        for program in ["buildah", "mmdebstrap", "crane"] {
            let arg = if program == "crane" { "version" } else { "--version" };
            if bench.installed(program, &[arg])?.is_none() {
                eprintln!("skipped: {program}, which a Dockerfile needs here, is not on PATH");
                return Ok(None);
            }
        }
        let rustc = |args: &[&str]| bench.command("rustc", &bench.dir).args(args).read();
        let native = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
        let dir = bench.dir.join("buildah");
        remove(&dir)?;
        let (root, run) = (dir.join("root"), dir.join("run"));
        let store = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = {root:?}\nrunroot = {run:?}\n\
             [storage.options.overlay]\nskip_mount_home = \"true\"\n"
        );
        write(&dir.join("storage.conf"), &store)?;
        let other = match emulated {
            true => other(bench, &native, &rustc(&["-vV"])?)?,
            false => None,
        };
        let buildah = Buildah { dir, native, other };
        buildah.base(bench, NATIVE)?;
        if buildah.emulates() {
            buildah.base(bench, OTHER)?;
        }
        Ok(Some(buildah))
    }

    pub fn emulates(&self) -> bool {
        self.other.is_some()
    }

    /// Debian as a folder, and as an image of the store.
    fn base(&self, bench: &Bench, (_, arch): Arch) -> Result<()> {
        let root = bench.dir.join(format!("debian-{arch}"));
        if !root.join("usr/bin/cc").exists() {
            remove(&root)?;
            // No program of the packages is started, so that nothing is emulated.
            let bootstrap = ["--mode=root", "--variant=extract", "--skip=check/qemu"];
            let packages = "--include=dash,coreutils,gcc,libc6-dev,musl-tools,zlib1g";
            let make = bench.command("mmdebstrap", &bench.dir).args(bootstrap).arg(packages);
            make.arg(format!("--architectures={arch}")).arg("bookworm").arg(&root).read()?;
            let dev = root.join("dev");
            remove(&dev)?;
            std::fs::create_dir(&dev).context("make an empty dev")?;
            std::os::unix::fs::symlink("gcc", root.join("usr/bin/cc")).context("link cc")?;
        }
        self.apart(bench, &self.dir, BASE).env("ROOT", root).env("ARCH", arch).read().map(drop)
    }

    /// A script that runs apart.
    fn apart(&self, bench: &Bench, dir: &Path, script: &str) -> Run {
        let emulate = if self.emulates() { EMULATE } else { "" };
        let run = bench.command("sh", dir).args(["-euc", APART, "sh"]);
        let run = run.arg(format!("{emulate}{script}")).env("HOME", &self.dir);
        run.env("CONTAINERS_STORAGE_CONF", self.dir.join("storage.conf"))
    }

    /// Builds the image of one platform, and pushes it with those that were built before.
    pub fn build(
        &self,
        field: &Field<'_>,
        program: &Program,
        sources: &Path,
        (rust, arch): Arch,
    ) -> Result<Spent> {
        let is_native = arch == NATIVE.1;
        let clone = field.clean(sources)?;
        write(&clone.join("Dockerfile"), DOCKERFILE)?;
        let toolchain = if is_native { Some(&self.native) } else { self.other.as_ref() };
        let image = format!("{}/buildah/{}:1", field.registry, program.name);
        let run = self.apart(field.bench, &clone, BUILD);
        let run = run
            .env("ARCH", arch)
            .env("TARGET", format!("{rust}-unknown-linux-musl"))
            .env("TOOLCHAIN", toolchain.context("find the toolchain")?)
            .env("CRATES", program::registry()?)
            .env("BIN", program.bin)
            .env("IMAGE", &image);
        let spent = Spent::by(run)?;
        let both = [NATIVE.1, OTHER.1];
        check(field.bench, program, &image, if is_native { &both[..1] } else { &both })?;
        Ok(spent)
    }
}

/// The same toolchain for the other platform, where rustup has it and QEMU is there.
fn other(bench: &Bench, native: &Path, said: &str) -> Result<Option<PathBuf>> {
    if bench.installed("qemu-aarch64-static", &["--version"])?.is_none() {
        eprintln!("skipped: qemu-aarch64-static is not on PATH, so nothing is emulated");
        return Ok(None);
    }
    let release = said.lines().find_map(|line| line.strip_prefix("release: "));
    let name = format!("{}-aarch64-unknown-linux-gnu", release.context("read rustc's version")?);
    let toolchain = native.parent().context("find rustup's toolchains")?.join(&name);
    if toolchain.join("lib/rustlib/aarch64-unknown-linux-musl").is_dir() {
        return Ok(Some(toolchain));
    }
    eprintln!(
        "skipped: nothing is emulated without `rustup toolchain install {name} --force-non-host \
         --profile minimal --target aarch64-unknown-linux-musl`"
    );
    Ok(None)
}
