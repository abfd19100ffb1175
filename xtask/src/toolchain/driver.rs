//! What stands behind the compilers' names while a project is built for
//! another machine: rustc's, cc's and cmake's arguments become zig's or clang's.
//!
//! cargo-zigbuild is where most of what rustc and zig disagree about was found
//! out first. Its library was not taken: it costs a dozen crates more, keeps its
//! wrappers and their cache where runs share them, and links musl with zig's
//! libc, where rustc's own libc and linker do and take a second.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::finding::failure;
use crate::process::{Env, Program};
use crate::target::Target;

/// When C was compiled, as it is told itself: always the same moment, which
/// cargo, too, gives to files without a time. cargo keeps what C was compiled to
/// from commit to commit, so that a commit's time in it would soon be another's.
/// <https://github.com/rust-lang/cargo/blob/master/src/cargo/ops/cargo_package/mod.rs>
const TIME: i64 = 1_153_704_088;

/// A tool that is stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tool {
    /// The C compiler, and the linker where zig links.
    Cc,
    /// The C++ compiler.
    Cxx,
    /// rustc's own linker for musl.
    Ld,
}

/// All that a stand-in needs to know, written where it finds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub target: Target,
    pub compiler: Compiler,
    /// rustc's own linker, or one that takes the same arguments.
    pub lld: Option<PathBuf>,
    /// Folders of this machine and what programs call them instead.
    pub remap: Vec<(PathBuf, String)>,
    /// The SDK of macOS that the user has, where frameworks lie.
    pub sdk: Option<PathBuf>,
    /// The oldest macOS that is to be enough, such as `11.0`.
    pub macos: Option<String>,
}

/// The compiler that does the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compiler {
    Zig {
        program: PathBuf,
    },
    /// With the folders of musl's headers and of the kernel's.
    Clang {
        program: PathBuf,
        headers: Vec<PathBuf>,
    },
}

/// Does what a build asks of a tool, in the folder that it was asked in, and
/// returns the exit code.
pub fn run(tool: Tool, settings: &Path, args: Vec<OsString>, dir: &Path, env: &Env) -> Result<i32> {
    let read = || format!("read {}", settings.display());
    let dir_of = settings.parent().with_context(read)?;
    let settings: Settings = serde_json::from_slice(&files::read(settings)?).with_context(read)?;
    let args = spread(args, dir)?;
    let temp = files::temporary_dir()?;
    if tool == Tool::Ld {
        return link(&settings, args, temp.path(), dir, env);
    }
    let mut translated = settings.translated(args);
    if links(&translated) {
        translated.extend(settings.libraries(dir_of));
    }
    let translated = gathered(translated, temp.path())?;
    let (program, first) = settings.program(tool);
    let program = Program::new(program, dir, env).args(first).args(translated);
    code(settings.with_vars(program, temp.path()))
}

/// rustc's own linker links; only the C++ library, which rustc does not have, is zig's.
fn link(
    settings: &Settings,
    args: Vec<OsString>,
    temp: &Path,
    dir: &Path,
    env: &Env,
) -> Result<i32> {
    let cxx = |arg: &OsString| ["-lstdc++", "-lc++"].iter().any(|name| arg == name);
    let libraries =
        if args.iter().any(cxx) { cxx_libraries(settings, temp, dir, env)? } else { Vec::new() };
    let args = args.into_iter().flat_map(|arg| match cxx(&arg) {
        true => libraries.iter().map(|library| library.as_os_str().to_owned()).collect(),
        false => vec![arg],
    });
    let lld = settings.lld.as_ref().context("find rustc's own linker")?;
    // It is several linkers in one and must hear first which is meant, so that
    // this does not go into a response file.
    let mut args: Vec<OsString> = args.collect();
    if let Some(at) = args.iter().position(|arg| arg == "-flavor") {
        args.drain(at..(at + 2).min(args.len()));
    }
    let args = gathered(args, temp)?;
    code(Program::new(lld, dir, env).args(["-flavor", "gnu"]).args(args))
}

fn code(program: Program<'_>) -> Result<i32> {
    let status = program.pass_through()?;
    status.code().ok_or_else(|| {
        let why = format!("a compiler was stopped from outside ({status})");
        failure(why, "where memory ran out, run again with `--jobs 1`")
    })
}

/// zig's C++ library for the target. zig builds it when it first links with it,
/// which takes a minute, and says where it is when it links.
fn cxx_libraries(settings: &Settings, temp: &Path, dir: &Path, env: &Env) -> Result<Vec<PathBuf>> {
    let Compiler::Zig { program } = &settings.compiler else {
        bail!("a crate needs the C++ library, which clang does not bring; install zig");
    };
    let (source, out) = (temp.join("empty.cpp"), temp.join("empty"));
    files::write(&source, b"int main() {}\n")?;
    let linked = Program::new(program, dir, env)
        .args(["c++", "-target", &settings.zig_target()])
        .args([source.as_os_str(), OsStr::new("-o"), out.as_os_str()]);
    let linked = settings.with_vars(linked, temp).var("ZIG_VERBOSE_LINK", "1").output()?;
    let wanted = ["libc++abi.a", "libc++.a"];
    // Lines before it tell how the libraries were made, where they were not there yet.
    let line = linked.stderr.lines().rfind(|line| line.trim_start().starts_with("ld.lld"));
    let paths = line.unwrap_or_default().split_whitespace().map(PathBuf::from);
    let found: Vec<PathBuf> = paths
        .filter(|path| path.file_name().is_some_and(|name| wanted.iter().any(|it| name == *it)))
        .collect();
    if !linked.status.success() || found.len() != wanted.len() {
        bail!("zig does not say where its C++ library is:\n{}", linked.stderr.trim());
    }
    Ok(found)
}

/// The arguments with those in response files (`@PATH`) in their place: rustc writes such files when a command line grows long.
fn spread(args: Vec<OsString>, dir: &Path) -> Result<Vec<OsString>> {
    let mut all = Vec::new();
    for arg in args {
        let file = arg.to_str().and_then(|arg| arg.strip_prefix('@')).map(|path| dir.join(path));
        match file.filter(|path| path.is_file()) {
            Some(path) => {
                let text = String::from_utf8(files::read(&path)?)
                    .with_context(|| format!("read {}", path.display()))?;
                all.extend(words(&text).into_iter().map(OsString::from));
            }
            None => all.push(arg),
        }
    }
    Ok(all)
}

/// The words of a response file, as gcc and clang read it: blanks separate them
/// where no quotes stand around, and a backslash makes plain what follows.
/// <https://gcc.gnu.org/onlinedocs/gcc/Overall-Options.html> (@file)
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The arguments, in a response file where they would be too long for a command line.
fn gathered(args: Vec<OsString>, temp: &Path) -> Result<Vec<OsString>> {
    // Windows takes 32 kB; others take more, and response files as well.
    const LONGEST: usize = 30_000;
    if args.iter().map(|arg| arg.len() + 1).sum::<usize>() < LONGEST {
        return Ok(args);
    }
    let mut text = String::new();
    for arg in &args {
        let arg = arg.to_str().context("write a response file: an argument is not UTF-8")?;
        text.push_str(&format!("\"{}\"\n", arg.replace('\\', "\\\\").replace('"', "\\\"")));
    }
    let path = temp.join("arguments");
    files::write(&path, text.as_bytes())?;
    let mut arg = OsString::from("@");
    arg.push(path);
    Ok(vec![arg])
}

/// Whether a compiler is asked to link.
fn links(args: &[OsString]) -> bool {
    let stops = ["-c", "-E", "-S", "-M", "-MM", "--version", "-v", "-V", "-fsyntax-only"];
    !args.iter().any(|arg| stops.iter().any(|stop| arg == stop))
        && args.iter().any(|arg| arg == "-o")
}

impl Settings {
    /// The program and what comes first on its command line.
    fn program(&self, tool: Tool) -> (&Path, Vec<OsString>) {
        let mut first: Vec<OsString> = Vec::new();
        let program = match &self.compiler {
            Compiler::Zig { program } => {
                first.push(if tool == Tool::Cxx { "c++" } else { "cc" }.into());
                first.extend(["-target".into(), self.zig_target().into()]);
                first.extend(self.cpu().map(|cpu| format!("-mcpu={cpu}").into()));
                // zig finds undefined behaviour in C by stopping the program; what
                // C's authors ship does not.
                first.push("-fno-sanitize=all".into());
                program
            }
            Compiler::Clang { program, headers } => {
                first.push(format!("--target={}", self.target.triple()).into());
                first.push("-nostdlibinc".into());
                for dir in headers {
                    first.extend(["-isystem".into(), dir.as_os_str().to_owned()]);
                }
                program
            }
        };
        first.extend(self.dates().iter().map(OsString::from));
        if self.target.is_musl() {
            // rustc makes programs that may lie anywhere, as the compilers of most
            // systems do without being told; zig's and clang's for musl do not.
            first.push("-fPIC".into());
        }
        if let Some(sdk) = self.sdk.as_ref().filter(|_| self.target.is_darwin()) {
            let frameworks = sdk.join("System/Library/Frameworks");
            first.extend(["-isystem".into(), sdk.join("usr/include").into_os_string()]);
            first.extend(["-iframework".into(), frameworks.clone().into_os_string()]);
            first.extend(["-F".into(), frameworks.into_os_string()]);
        }
        for (from, to) in &self.remap {
            let mut arg = OsString::from("-ffile-prefix-map=");
            arg.push(from);
            arg.push(format!("={to}"));
            first.push(arg);
        }
        (program, first)
    }

    /// zig's name of the target.
    pub fn zig_target(&self) -> String {
        let target = &self.target;
        let arch = match target.arch() {
            "i586" | "i686" => "x86",
            "armv5te" | "armv6" | "armv7" => "arm",
            "riscv64gc" => "riscv64",
            arch => arch,
        };
        let abi = target.triple().rsplit('-').next().unwrap_or_default();
        if target.is_darwin() {
            let version = self.macos.as_ref().map(|version| format!(".{version}"));
            format!("{arch}-macos{}-none", version.unwrap_or_default())
        } else if target.is_windows() {
            format!("{arch}-windows-gnu")
        } else {
            let glibc = target.glibc().map(|(major, minor)| format!(".{major}.{minor}"));
            format!("{arch}-linux-{abi}{}", glibc.unwrap_or_default())
        }
    }

    /// The processor that rustc takes for granted where zig would take another.
    fn cpu(&self) -> Option<&'static str> {
        match self.target.arch() {
            "i586" => Some("pentium"),
            "i686" => Some("pentium4"),
            "arm" if self.target.triple().ends_with("hf") => {
                Some("generic+v6+strict_align+vfp2-d32")
            }
            "arm" => Some("generic+v6+strict_align"),
            "armv5te" => Some("generic+soft_float+strict_align"),
            "armv7" => Some("generic+v7a+vfp3-d32+thumb2-neon"),
            "riscv64gc" => Some("generic_rv64+m+a+f+d+c"),
            _ => None,
        }
    }

    /// zig's cache of what it compiled is this call's alone: it grows without end.
    fn with_vars<'a>(&self, program: Program<'a>, temp: &Path) -> Program<'a> {
        let program = program.var("SOURCE_DATE_EPOCH", TIME.to_string());
        match &self.compiler {
            Compiler::Zig { .. } => program.var("ZIG_LOCAL_CACHE_DIR", temp.join("zig")),
            Compiler::Clang { .. } => program,
        }
    }

    /// What keeps the day out of C. zig refuses C that tells its time; a clang
    /// before 16 does not look at SOURCE_DATE_EPOCH.
    /// <https://releases.llvm.org/16.0.0/tools/clang/docs/ReleaseNotes.html>
    fn dates(&self) -> &'static [&'static str] {
        match self.compiler {
            Compiler::Zig { .. } => &["-Wno-date-time"],
            Compiler::Clang { .. } => &[
                "-Wno-builtin-macro-redefined",
                "-D__DATE__=\"Jul 24 2006\"",
                "-D__TIME__=\"01:21:28\"",
                "-D__TIMESTAMP__=\"Mon Jul 24 01:21:28 2006\"",
            ],
        }
    }

    /// A definition by which OpenSSL would be told where it is built, and look
    /// there for engines on the machine that it runs on.
    fn installed(&self, arg: &str) -> Option<String> {
        let told = ["-DENGINESDIR=", "-DMODULESDIR=", "-DOPENSSLDIR="];
        if !told.iter().any(|start| arg.starts_with(start)) {
            return None;
        }
        let (from, to) = self
            .remap
            .iter()
            .rev()
            .find(|(from, _)| from.to_str().is_some_and(|from| arg.contains(from)))?;
        Some(arg.replace(from.to_str()?, to))
    }

    /// What rustc and the crate cc say, as this compiler understands it.
    fn translated(&self, args: Vec<OsString>) -> Vec<OsString> {
        let zig = matches!(self.compiler, Compiler::Zig { .. });
        let mut translated = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.to_str().map(|text| self.changed(text, zig)) {
                Some(Change::Drop) => {}
                Some(Change::DropBoth) => drop(args.next()),
                Some(Change::To(new)) => translated.extend(new.into_iter().map(OsString::from)),
                Some(Change::Keep) | None => translated.push(arg),
            }
        }
        translated
    }

    /// What linking takes beside what rustc names. `stubs` is the folder of
    /// libraries that only name what a system has.
    fn libraries(&self, stubs: &Path) -> Vec<OsString> {
        if self.target.is_windows() {
            // rustc's own copy is left out: this is its replacement.
            return vec!["-lcompiler_rt".into()];
        }
        let sdk = self.sdk.as_ref().map(|sdk| sdk.join("usr/lib"));
        let folder = sdk.unwrap_or_else(|| stubs.to_owned()).into_os_string();
        if self.target.is_darwin() { vec!["-L".into(), folder] } else { Vec::new() }
    }

    /// What becomes of one argument.
    fn changed(&self, arg: &str, zig: bool) -> Change {
        if arg == "-target" {
            return Change::DropBoth;
        }
        if arg.starts_with("--target=") {
            return Change::Drop;
        }
        if let Some(installed) = self.installed(arg) {
            return Change::To(vec![installed]);
        }
        if !zig {
            return Change::Keep;
        }
        // Of the preprocessor's arguments zig takes those about dependencies.
        let kept = ["-Wp,-MD", "-Wp,-MMD", "-Wp,-MT"];
        if arg.starts_with("-Wp,") && !kept.iter().any(|it| arg.starts_with(it)) {
            return Change::Drop;
        }
        if let Some(march) = arg.strip_prefix("-march=") {
            return self.march(arg, march);
        }
        let target = &self.target;
        if target.is_windows() {
            windows(arg, target.arch())
        } else if target.is_gnu_linux() {
            gnu(arg)
        } else if target.is_darwin() {
            self.darwin(arg)
        } else {
            Change::Keep
        }
    }

    /// zig has names of its own for processors and takes `-march` for them.
    fn march(&self, arg: &str, march: &str) -> Change {
        let arch = self.target.arch();
        if arch.starts_with("arm") || arch.starts_with("riscv") || arch.starts_with("i5") {
            return Change::Drop;
        }
        if arch == "aarch64" && march.starts_with("armv") {
            let base = if self.target.is_darwin() { "apple_m1" } else { "generic" };
            // Assembly is handed to clang's own assembler, which wants the original.
            let cpu = format!("-mcpu={base}{}", arm_features(march));
            return Change::To(vec![cpu, "-Xassembler".to_owned(), arg.to_owned()]);
        }
        // As in `x86-64-v3`.
        Change::To(vec![format!("-march={}", march.replace('-', "_"))])
    }

    fn darwin(&self, arg: &str) -> Change {
        // The SDK that rustc is told of is zig's own, so that it does not look for one.
        let own = self.sdk.is_none() && ["-isysroot", "-syslibroot"].contains(&arg);
        match own {
            true => Change::DropBoth,
            false if arg == "-Wl,-dylib" => Change::Drop,
            false => Change::Keep,
        }
    }
}

/// zig's features for gcc's `armv8.2-a+crypto+nosve`: those of the version, then
/// each that is named. <https://gcc.gnu.org/onlinedocs/gcc/AArch64-Options.html>
fn arm_features(march: &str) -> String {
    let mut parts = march.split('+');
    let version = parts.next().unwrap_or_default();
    let version = version.trim_start_matches("armv").trim_end_matches("-a").replace('.', "_");
    // The generic processor is of version 8.
    let mut features = if version == "8" { String::new() } else { format!("+v{version}a") };
    for part in parts {
        let (sign, name) = part.strip_prefix("no").map_or(('+', part), |name| ('-', name));
        let name = match name {
            "fp16" => "fullfp16",
            "fp" => "fp_armv8",
            "simd" => "neon",
            "profile" => "spe",
            "rng" => "rand",
            "memtag" => "mte",
            name => name,
        };
        features.push(sign);
        features.push_str(&name.replace('-', "_"));
    }
    features
}

/// What becomes of an argument.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Keep,
    Drop,
    /// It goes, and the next one with it.
    DropBoth,
    To(Vec<String>),
}

fn gnu(arg: &str) -> Change {
    const UNKNOWN: [&str; 4] = [
        "-Wl,--no-undefined-version",
        "-Wl,-znostart-stop-gc",
        "-Wl,--fix-cortex-a53-843419",
        // zig links itself, whatever linker rustc prefers.
        "-fuse-ld=lld",
    ];
    match arg {
        // gcc's unwinder is a shared library; zig's is linked in.
        "-lgcc_s" => Change::To(vec!["-lunwind".to_owned()]),
        _ if UNKNOWN.contains(&arg) => Change::Drop,
        _ if arg.starts_with("-Wl,-plugin-opt") || arg.starts_with("-B") => Change::Drop,
        _ => Change::Keep,
    }
}

/// MinGW's libraries are part of zig, under other names or under none.
fn windows(arg: &str, arch: &str) -> Change {
    const WITHIN: [&str; 9] = [
        "-lwindows",
        "-l:libpthread.a",
        "-lgcc",
        "-lmsvcrt",
        "-lmingwex",
        "-lmingw32",
        "-Wl,--disable-auto-image-base",
        "-Wl,--dynamicbase",
        "-Wl,--large-address-aware",
    ];
    match arg {
        "-lgcc_eh" | "-lgcc_s" if arch == "i686" => Change::To(vec!["-lc++".to_owned()]),
        "-lgcc_eh" | "-lgcc_s" => Change::To(vec!["-lunwind".to_owned()]),
        // zig then looks for import libraries as well as for static ones.
        "-Wl,-Bdynamic" => Change::To(vec!["-Wl,-search_paths_first".to_owned()]),
        _ if WITHIN.contains(&arg) => Change::Drop,
        _ if arg.starts_with("-Wl,") && arg.ends_with("list.def") => Change::Drop,
        _ if arg.contains("libcompiler_builtins-") && arg.ends_with(".rlib") => Change::Drop,
        // The frames of the 32-bit unwinder, which zig's does not use.
        _ if arch == "i686" && (arg.ends_with("rsbegin.o") || arg.ends_with("rsend.o")) => {
            Change::Drop
        }
        _ => Change::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(target: &str) -> Settings {
        let compiler = Compiler::Zig { program: "zig".into() };
        let target = Target::parse(target).unwrap();
        Settings { target, compiler, lld: None, remap: Vec::new(), sdk: None, macos: None }
    }

    #[test]
    fn zig_calls_targets_by_other_names() {
        for (target, expected) in [
            ("x86_64-unknown-linux-musl", "x86_64-linux-musl"),
            ("i686-unknown-linux-musl", "x86-linux-musl"),
            ("armv7-unknown-linux-musleabihf", "arm-linux-musleabihf"),
            ("riscv64gc-unknown-linux-musl", "riscv64-linux-musl"),
            ("x86_64-unknown-linux-gnu.2.28", "x86_64-linux-gnu.2.28"),
            ("x86_64-pc-windows-gnu", "x86_64-windows-gnu"),
            ("i686-pc-windows-gnu", "x86-windows-gnu"),
        ] {
            assert_eq!(settings(target).zig_target(), expected);
        }
        let darwin = Settings { macos: Some("11.0".into()), ..settings("aarch64-apple-darwin") };
        assert_eq!(darwin.zig_target(), "aarch64-macos.11.0-none");
    }

    #[test]
    fn arguments_become_the_compilers_own() {
        for (target, args, expected) in [
            ("x86_64-unknown-linux-musl", "--target=x -O2 -c x.c", "-O2 -c x.c"),
            ("x86_64-unknown-linux-musl", "-target x -c -Wp,-U_X -Wp,-MD,d", "-c -Wp,-MD,d"),
            ("armv7-unknown-linux-musleabihf", "-march=armv7-a -c", "-c"),
            (
                "aarch64-unknown-linux-musl",
                "-march=armv8-a+crypto -c",
                "-mcpu=generic+crypto -Xassembler -march=armv8-a+crypto -c",
            ),
            ("x86_64-unknown-linux-musl", "-march=x86-64-v2", "-march=x86_64_v2"),
            (
                "aarch64-unknown-linux-musl",
                "-march=armv8.2-a+fp16+nosve",
                "-mcpu=generic+v8_2a+fullfp16-sve -Xassembler -march=armv8.2-a+fp16+nosve",
            ),
            ("x86_64-unknown-linux-gnu", "-lgcc_s -fuse-ld=lld -B/x -lc", "-lunwind -lc"),
            ("x86_64-pc-windows-gnu", "-lmsvcrt -lgcc_eh x.o", "-lunwind x.o"),
            ("aarch64-apple-darwin", "-isysroot /zig -arch arm64", "-arch arm64"),
        ] {
            let args = args.split(' ').map(OsString::from).collect();
            let translated = settings(target).translated(args);
            let translated: Vec<_> = translated.iter().map(|arg| arg.to_str().unwrap()).collect();
            assert_eq!(translated.join(" "), expected, "{target}");
        }
    }

    #[test]
    fn openssl_does_not_look_where_it_was_built() {
        let remap =
            vec![("/home/me".into(), "/src".into()), ("/home/me/t".into(), "/target".into())];
        let settings = Settings { remap, ..settings("x86_64-unknown-linux-musl") };
        for (arg, expected) in [
            ("-DENGINESDIR=\"/home/me/t/lib\"", "-DENGINESDIR=\"/target/lib\""),
            ("-DCONFIG=\"/home/me/t/x.h\"", "-DCONFIG=\"/home/me/t/x.h\""),
        ] {
            assert_eq!(settings.translated(vec![arg.into()]), [expected]);
        }
    }

    #[test]
    fn response_files_are_read_and_written() {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<OsString> = (0..4000).map(|i| format!("/a b/\\{i}\".o").into()).collect();
        let written = gathered(args.clone(), dir.path()).unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(spread(written, Path::new("/")).unwrap(), args);
        let text = "-o a\\ b 'c d'\n\"e \\\"f\"  g\th\n\"\"";
        assert_eq!(words(text), ["-o", "a b", "c d", "e \"f", "g", "h", ""]);
        let missing: Vec<OsString> = vec!["@none".into(), "-c".into()];
        assert_eq!(spread(missing.clone(), dir.path()).unwrap(), missing);
    }
}
