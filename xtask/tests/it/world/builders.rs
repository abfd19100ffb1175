//! Those who build images from a Dockerfile, each with a store of its own, and
//! an image to compile in that is made of this machine's toolchain: a registry
//! is not asked for anything.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::flat::{self, Flat};
use super::{AARCH64, World, X86_64, judge, missing, run};

/// What the image is called that programs are compiled in.
pub const RUST_IMAGE: &str = "localhost/rust:host";

/// The platform of this machine.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

/// What the build stage calls beside the toolchain.
const PROGRAMS: [&str; 6] = ["sh", "cp", "find", "ls", "mkdir", "touch"];

/// A builder that is ready to build.
pub enum Builder<'a> {
    Buildah { world: &'a World, program: PathBuf },
    BuildKit { world: &'a World, docker: PathBuf, daemon: Daemon },
}

/// A private dockerd, stopped when dropped.
pub struct Daemon {
    child: Child,
    socket: PathBuf,
}

/// buildah, with the image to compile in; `None`, said aloud, where it is missing.
pub fn buildah(world: &World) -> Option<Builder<'_>> {
    let program = judge("buildah").filter(|_| is_root("buildah"))?;
    // The toolchain is mounted instead: storing it would take buildah ten seconds.
    let context = world.outside("buildah/image");
    fs::create_dir_all(&context).unwrap();
    root_tar(File::create(context.join("root.tar")).unwrap(), &programs(world));
    let text = "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/rust/bin:/bin\n";
    fs::write(context.join("Dockerfile"), text).unwrap();
    let builder = Builder::Buildah { world, program };
    run(builder.command().args(["build", "--quiet", "--tag", RUST_IMAGE]).arg(context))
        .ends_with(0);
    Some(builder)
}

/// Docker's BuildKit, with the image to compile in; `None`, said aloud, where
/// something is missing.
pub fn buildkit(world: &World) -> Option<Builder<'_>> {
    let dockerd = judge("dockerd").filter(|_| is_root("dockerd"))?;
    let docker = docker(world)?;
    let daemon = Daemon::start(world, &dockerd);
    let builder = Builder::BuildKit { world, docker, daemon };
    let root = world.outside("docker/root.tar");
    root_tar(File::create(&root).unwrap(), &programs(world));
    let path = "ENV PATH=/cargo/rust/bin:/bin";
    run(builder.command().args(["import", "--change", path]).arg(root).arg(RUST_IMAGE))
        .ends_with(0);
    // The toolchain lies where programs are compiled with their cache. In a layer it would
    // be copied by each step of a store without overlays, to some gigabytes.
    let dockerfile = world.outside("docker/Dockerfile");
    let text = format!(
        "FROM {RUST_IMAGE}\nRUN --mount=type=bind,target=/context \\\n\
         --mount=type=cache,id=dockless-cargo,target=/cargo cp -R /context/rust /cargo/\n"
    );
    fs::write(&dockerfile, text).unwrap();
    let mut content = toolchain(world);
    content.push((dockerfile, "Dockerfile".to_owned()));
    let mut fill = builder.command();
    fill.args(["build", "--quiet", "--network", "none", "-"]).stdin(Stdio::piped());
    let mut filling = fill.stdout(Stdio::null()).spawn().unwrap();
    root_tar(filling.stdin.take().unwrap(), &content);
    assert!(filling.wait().unwrap().success());
    Some(builder)
}

impl Builder<'_> {
    pub fn name(&self) -> &'static str {
        match self {
            Builder::Buildah { .. } => "buildah",
            Builder::BuildKit { .. } => "BuildKit",
        }
    }

    /// Builds the Dockerfile, whose path is in the project, with more arguments,
    /// and returns what came out.
    pub fn build(&self, dockerfile: &str, platform: &str, args: &[&str]) -> Flat {
        let (world, tag) = (self.world(), "localhost/built");
        let mut build = self.command();
        build.args(["build", "--tag", tag, "--file", dockerfile, "--platform", platform]);
        build.arg("--build-arg");
        build.arg(format!("RUST_IMAGE={RUST_IMAGE}")).args(args);
        match self {
            Builder::Buildah { .. } => {
                // In a chroot it needs no runtime, which would need this machine's cgroups.
                build.args(["--isolation", "chroot", "--pull-never", "--volume"]);
                build.arg(format!("{}:/usr/local/rust:ro", sysroot(world).display()));
                // Its own name is in no other builder's image.
                build.arg("--identity-label=false");
                // Left to itself, this release takes the platform that it builds for.
                build.args(["--build-arg", &format!("BUILDPLATFORM={PLATFORM}")]);
            }
            Builder::BuildKit { .. } => {
                // dockerd has no bridge here to connect a container with.
                build.args(["--network", "none"]);
            }
        }
        run(build.arg(".")).ends_with(0);
        let out = tempfile::tempdir_in(world.outside("")).unwrap();
        match self {
            Builder::Buildah { .. } => {
                let to = format!("oci:{}:built", out.path().display());
                run(self.command().args(["push", "--quiet", tag, &to])).ends_with(0);
                flat::of_layout(out.path(), None)
            }
            Builder::BuildKit { .. } => {
                let archive = out.path().join("image.tar");
                run(self.command().args(["save", tag, "--output"]).arg(&archive)).ends_with(0);
                tar::Archive::new(File::open(archive).unwrap()).unpack(out.path()).unwrap();
                flat::of_docker(out.path())
            }
        }
    }

    /// Gets an image from a registry of this machine.
    pub fn pull(&self, image: &str) {
        let insecure = matches!(self, Builder::Buildah { .. }).then_some("--tls-verify=false");
        run(self.command().arg("pull").args(insecure).arg(image)).ends_with(0);
    }

    fn world(&self) -> &World {
        match self {
            Builder::Buildah { world, .. } | Builder::BuildKit { world, .. } => world,
        }
    }

    fn command(&self) -> Command {
        match self {
            Builder::Buildah { world, program } => {
                let dir = world.outside("buildah");
                let mut command = world.with(program, ["--storage-driver", "vfs"]);
                command.arg("--root").arg(dir.join("root")).arg("--runroot").arg(dir.join("run"));
                // Cache mounts are kept there, whatever the store.
                command.env("TMPDIR", &dir);
                command
            }
            Builder::BuildKit { world, docker, daemon } => {
                let mut command = world.with(docker, [""; 0]);
                command.env("DOCKER_HOST", daemon.address()).env("DOCKER_BUILDKIT", "1");
                command.env("DOCKER_CONFIG", world.outside("docker"));
                command
            }
        }
    }
}

impl Daemon {
    fn start(world: &World, dockerd: &Path) -> Daemon {
        let dir = world.outside("docker");
        fs::create_dir_all(&dir).unwrap();
        // The file must be there where it is named, and otherwise /etc has one.
        let config = dir.join("daemon.json");
        fs::write(&config, "{}").unwrap();
        let socket = dir.join("socket");
        let mut command = world.with(dockerd, ["--bridge=none", "--iptables=false"]);
        command.args(["--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]);
        for (flag, path) in [
            ("--config-file", &config),
            ("--data-root", &dir.join("data")),
            ("--exec-root", &dir.join("exec")),
            ("--pidfile", &dir.join("pid")),
        ] {
            command.arg(flag).arg(path);
        }
        let log = File::create(dir.join("log")).unwrap();
        command.arg(format!("--host=unix://{}", socket.display()));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut daemon = Daemon { child: command.spawn().unwrap(), socket };
        let patience = Instant::now() + Duration::from_secs(60);
        let log = || fs::read_to_string(dir.join("log")).unwrap();
        while !log().contains("API listen on") {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < patience, "dockerd: {ended:?}\n{}", log());
            thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    fn address(&self) -> OsString {
        format!("unix://{}", self.socket.display()).into()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Asked to end, it unmounts what the world's folder holds.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let ended = self.child.wait();
        if !thread::panicking() {
            assert!(asked.unwrap().success() && ended.unwrap().success());
        }
    }
}

/// A docker client that can talk to BuildKit: newer ones need a plugin for that.
fn docker(world: &World) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let clients = std::env::split_paths(&path).map(|dir| dir.join("docker"));
    let found = clients.filter(|client| client.is_file()).find(|client| {
        let mut help = world.with(client, ["build", "--help"]);
        help.env("DOCKER_BUILDKIT", "1").env("DOCKER_CONFIG", world.outside("docker"));
        run(&mut help).code == Some(0)
    });
    if found.is_none() {
        missing("docker with BuildKit not found");
    }
    found
}

fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        missing(&format!("{what} runs as root only"));
    }
    root
}

/// Where the toolchain lies that the tests compile with.
fn sysroot(world: &World) -> PathBuf {
    run(&mut world.with("rustc", ["--print", "sysroot"])).ends_with(0).line().into()
}

/// The programs of [`PROGRAMS`], and the libraries of this machine that they and
/// the toolchain are linked with: where they lie, and where they go.
fn programs(world: &World) -> Vec<(PathBuf, String)> {
    let sysroot = sysroot(world);
    let mut files = Vec::new();
    let mut linked: Vec<PathBuf> = ["bin/rustc", "bin/cargo"].map(|it| sysroot.join(it)).into();
    for name in PROGRAMS {
        let path = judge(name).unwrap();
        files.push((path.clone(), format!("bin/{name}")));
        linked.push(path);
    }
    for program in linked {
        let ldd = run(&mut world.with("ldd", [program]));
        let words = ldd.ends_with(0).stdout.split_whitespace();
        let libraries = words.filter(|word| word.starts_with('/')).map(Path::new);
        for library in libraries.filter(|library| !library.starts_with(&sysroot)) {
            let place = library.strip_prefix("/").unwrap().to_str().unwrap().to_owned();
            files.push((library.to_owned(), place));
        }
    }
    files.sort();
    files.dedup();
    files
}

/// What of the toolchain compiles for musl and nothing else.
fn toolchain(world: &World) -> Vec<(PathBuf, String)> {
    let sysroot = sysroot(world);
    let host =
        run(&mut world.with("rustc", ["--print", "host-tuple"])).ends_with(0).line().to_owned();
    let mut files: Vec<PathBuf> = ["bin/rustc", "bin/cargo"].map(PathBuf::from).into();
    files.push(format!("lib/rustlib/{host}/bin/rust-lld").into());
    let mut add = |dir: &str, fits: &dyn Fn(&str) -> bool| {
        for entry in fs::read_dir(sysroot.join(dir)).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_file() && fits(&name) {
                files.push(Path::new(dir).join(name));
            }
        }
    };
    add("lib", &|_| true);
    for target in [AARCH64, X86_64] {
        // Not the sanitizers, which are larger than all else.
        add(&format!("lib/rustlib/{target}/lib"), &|name| !name.starts_with("librustc-"));
        add(&format!("lib/rustlib/{target}/lib/self-contained"), &|_| true);
    }
    files.sort();
    let place = |path: &PathBuf| format!("rust/{}", path.to_str().unwrap());
    files.into_iter().map(|path| (sysroot.join(&path), place(&path))).collect()
}

/// Writes a root file system with these files, and a /tmp.
fn root_tar(to: impl Write, files: &[(PathBuf, String)]) {
    let mut tar = tar::Builder::new(to);
    let mut tmp = tar::Header::new_ustar();
    tmp.set_entry_type(tar::EntryType::Directory);
    tmp.set_mode(0o1777);
    tmp.set_size(0);
    tar.append_data(&mut tmp, "tmp/", std::io::empty()).unwrap();
    for (from, place) in files {
        // Through a link, as libraries are often named by one.
        tar.append_path_with_name(from.canonicalize().unwrap(), place).unwrap();
    }
    tar.finish().unwrap();
}
