//! Which programs, and what is promised of each.

/// One program, as its authors published it.
pub struct Program {
    /// The package.
    pub name: &'static str,
    pub version: &'static str,
    pub source: Source,
    /// What of the tool it puts to the test.
    pub exercises: &'static str,
    /// What a user would have to set to build it by any means.
    pub env: &'static [(&'static str, &'static str)],
    pub promise: Promise,
}

/// Who gives out the sources.
pub enum Source {
    CratesIo,
    /// PyPI, as a source distribution: whole workspaces are published there only.
    PyPi,
}

pub enum Promise {
    /// These binaries are made for both targets, are static and start.
    Runs(&'static [Bin]),
    /// It cannot be built without libraries of the target's system, and the one
    /// message that says so has these words.
    Refused(&'static [&'static str]),
}

/// A binary, how it is started, and what its output then holds.
pub struct Bin {
    pub name: &'static str,
    pub args: &'static [&'static str],
    /// What its output holds, and `None` stands for the version.
    pub says: Option<&'static str>,
}

/// A program of crates.io with one binary that knows `--version`.
const fn program(
    name: &'static str,
    version: &'static str,
    bins: &'static [Bin],
    exercises: &'static str,
) -> Program {
    let promise = Promise::Runs(bins);
    Program { name, version, source: Source::CratesIo, exercises, env: &[], promise }
}

const fn refused(
    name: &'static str,
    version: &'static str,
    words: &'static [&'static str],
    exercises: &'static str,
) -> Program {
    let promise = Promise::Refused(words);
    Program { name, version, source: Source::CratesIo, exercises, env: &[], promise }
}

const fn bin(name: &'static str) -> Bin {
    Bin { name, args: &["--version"], says: None }
}

/// From the cheap to the dear.
pub const PROGRAMS: [Program; 20] = [
    program("sd", "1.0.0", &[bin("sd")], "Rust alone; an own .cargo/config.toml with aliases"),
    program(
        "zoxide",
        "0.10.0",
        &[bin("zoxide")],
        "Rust alone; an own .cargo/config.toml with rustflags of another system",
    ),
    program("hyperfine", "1.20.0", &[bin("hyperfine")], "Rust alone"),
    program(
        "du-dust",
        "1.2.7",
        &[bin("dust")],
        "Rust alone; the binary is not named as the package",
    ),
    program(
        "ftzz",
        "4.0.0",
        &[bin("ftzz")],
        "nightly, by a rust-toolchain file among the published sources",
    ),
    program("bottom", "0.15.0", &[bin("btm")], "Rust alone; needs Rust 1.95; build script"),
    program(
        "jnv",
        "0.7.1",
        &[bin("jnv")],
        "`[profile.dist]` of its own, with LTO; build scripts with cc and pkg-config \
         (wayland-backend, wayland-sys) that use neither",
    ),
    refused(
        "diesel_cli",
        "2.3.14",
        &["libsqlite3-sys", "of the system", "bundled", "cargo tree"],
        "libraries of the system by pkg-config: libpq, libmysqlclient, libsqlite3",
    ),
    refused(
        "sqlx-cli",
        "0.9.0",
        &["openssl-sys 0.9.114", "of the system", "vendored", "cargo tree"],
        "OpenSSL of the system, beside a bundled SQLite",
    ),
    program(
        "just",
        "1.59.0",
        &[bin("just")],
        "C by cc: blake3, assembly on x86_64 and NEON on aarch64",
    ),
    program("jaq", "3.1.2", &[bin("jaq")], "C by cc: mimalloc as the allocator"),
    program(
        "ripgrep",
        "15.2.0",
        &[bin("rg")],
        "C by configure and make: jemalloc as the allocator; an own .cargo/config.toml with \
         rustflags for x86_64-unknown-linux-musl",
    ),
    program("mcfly", "0.9.4", &[bin("mcfly")], "C by cc: bundled SQLite"),
    program("eza", "0.23.5", &[bin("eza")], "C by cc: libgit2, zlib"),
    program("bat", "0.26.1", &[bin("bat")], "C by cc: libgit2, zlib, Oniguruma"),
    program(
        "cargo-deny",
        "0.20.2",
        &[bin("cargo-deny")],
        "C and assembly by cc: ring (rustls), zstd; an own .cargo/config.toml with rustflags for \
         every target",
    ),
    program(
        "ouch",
        "0.7.1",
        &[bin("ouch")],
        "C++ by cc: unrar; C by bindgen and cc: bzip3; C by cmake: zlib-ng; C by cc: libdeflate, \
         bzip2, xz, zstd",
    ),
    program(
        "xh",
        "0.26.3",
        &[bin("xh")],
        "C and assembly by aws-lc-sys' own build script: AWS-LC (rustls); C by cc: Oniguruma",
    ),
    program(
        "gitui",
        "0.28.1",
        &[bin("gitui")],
        "C by Configure and make: vendored OpenSSL; C by cc: libssh2, libgit2, zlib; \
         a rust-toolchain.toml among the published sources",
    ),
    Program {
        name: "git-cliff",
        version: "2.14.2",
        source: Source::PyPi,
        exercises: "a virtual workspace, one package with three binaries; C and assembly by cc: \
                    ring, libgit2, zlib, zstd",
        env: &[],
        promise: Promise::Runs(&[
            bin("git-cliff"),
            Bin { name: "git-cliff-completions", args: &[], says: Some("Completion scripts") },
            Bin { name: "git-cliff-mangen", args: &[], says: Some("Man page") },
        ]),
    },
];
