//! The compiler wrappers of cross-builds: they translate the arguments of rustc, cc and cmake for
//! zig or clang.
//!
//! cargo-zigbuild found most of the differences between rustc and zig first. Its library is not
//! used: it needs a dozen more crates, shares its wrappers and their cache between runs, and
//! links musl with zig's libc, while rustc's own libc and linker work and take a second.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::finding::failure;
use crate::plan::NO_TIME;
use crate::process::{Env, Program, excerpt};
use crate::target::Target;

mod arguments;
mod resources;

pub use resources::version as version_of_windres;

/// A wrapped tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Tool {
    /// The C compiler, and the linker where zig links.
    Cc,
    /// The C++ compiler.
    Cxx,
    /// rustc's own linker for musl.
    Ld,
    /// MinGW's resource compiler.
    Windres,
}

/// The settings of a wrapper, in a file beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub target: Target,
    pub compiler: Compiler,
    /// rustc's own linker, or one that takes the same arguments.
    pub lld: Option<PathBuf>,
    /// Folders of this machine and their replacements in programs.
    pub remap: Vec<(PathBuf, String)>,
    /// The value of SDKROOT where the user names no SDK.
    pub stand_in_sdk: Option<PathBuf>,
}

/// The settings for macOS in the environment of a call.
#[derive(Debug, Default)]
struct MacOs {
    /// The user's SDK, with its frameworks.
    sdk: Option<PathBuf>,
    /// The oldest version to support, such as `11.0`.
    oldest: Option<String>,
}

/// The compiler that does the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compiler {
    Zig {
        program: PathBuf,
    },
    /// With the folders of musl's headers and of rustc's own musl.
    Clang {
        program: PathBuf,
        headers: PathBuf,
        libc: PathBuf,
    },
}

/// Runs the tool in the folder of the call and returns its exit code.
pub fn run(tool: Tool, settings: &Path, args: Vec<OsString>, dir: &Path, env: &Env) -> Result<i32> {
    let read = || format!("read {}", settings.display());
    let dir_of = settings.parent().with_context(read)?;
    let settings: Settings = serde_json::from_slice(&files::read(settings)?).with_context(read)?;
    let args = expanded(args, dir)?;
    let temp = files::temporary_dir()?;
    if tool == Tool::Ld {
        return link(&settings, args, temp.path(), dir, env);
    }
    if tool == Tool::Windres {
        let Compiler::Zig { program } = &settings.compiler else {
            bail!(failure("resources of Windows programs need zig", "install zig"));
        };
        let program = Program::new(program, dir, env).args(settings.resources(args, dir)?);
        return code(settings.with_vars(program, temp.path()));
    }
    let macos = settings.macos(env)?;
    let mut translated = settings.translated(args, &macos);
    if links(&translated) {
        translated.extend(settings.libraries(dir_of, &macos));
    }
    let translated = gathered(translated, temp.path())?;
    let (program, first) = settings.program(tool, &macos);
    let program = Program::new(program, dir, env).args(first).args(translated);
    code(settings.with_vars(program, temp.path()))
}

/// Links with rustc's own linker. Only the C++ library is zig's, because rustc has none.
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
    let args = args.into_iter().flat_map(|arg| {
        if cxx(&arg) {
            libraries.iter().map(|library| library.as_os_str().to_owned()).collect()
        } else {
            vec![arg]
        }
    });
    let lld = settings.lld.as_ref().context("find rustc's own linker")?;
    // The program is several linkers in one. `-flavor` must come first, outside of a response
    // file.
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
        let why = format!("a compiler was killed ({status})");
        failure(why, "if memory ran out, run again with `--jobs 1`")
    })
}

/// zig's C++ library for the target. zig builds it on first use, which takes a minute, and prints
/// its path when it links.
fn cxx_libraries(settings: &Settings, temp: &Path, dir: &Path, env: &Env) -> Result<Vec<PathBuf>> {
    let Compiler::Zig { program } = &settings.compiler else {
        bail!("a crate needs the C++ library, which clang does not have; install zig");
    };
    let (source, out) = (temp.join("empty.cpp"), temp.join("empty"));
    files::write(&source, b"int main() {}\n")?;
    let linked = Program::new(program, dir, env)
        .args(["c++", "-target", &settings.zig_target(None)])
        .args([source.as_os_str(), OsStr::new("-o"), out.as_os_str()]);
    let linked = settings.with_vars(linked, temp).var("ZIG_VERBOSE_LINK", "1").output()?;
    let wanted = ["libc++abi.a", "libc++.a"];
    // Earlier lines are those of building the libraries.
    let line = linked.stderr.lines().rfind(|line| line.trim_start().starts_with("ld.lld"));
    let paths = paths(line.unwrap_or_default());
    let found: Vec<PathBuf> = paths
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| wanted.iter().any(|it| name == *it)))
        .collect();
    if !linked.status.success() || found.len() != wanted.len() {
        bail!("zig does not say where its C++ library is:\n{}", excerpt(&linked.stderr));
    }
    Ok(found)
}

/// The paths in a command line without quotes: a word that starts with neither a slash nor a dash
/// continues the one before.
fn paths(line: &str) -> Vec<PathBuf> {
    let mut paths: Vec<String> = Vec::new();
    for word in line.trim().split(' ') {
        match paths.last_mut() {
            Some(last) if !word.starts_with(['/', '-']) => *last += &format!(" {word}"),
            _ => paths.push(word.to_owned()),
        }
    }
    paths.into_iter().map(PathBuf::from).collect()
}

/// The arguments, with response files (`@PATH`) expanded. rustc and cmake write them for long
/// command lines.
fn expanded(args: Vec<OsString>, dir: &Path) -> Result<Vec<OsString>> {
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

/// The words of a response file, as gcc and clang read it: separated by blanks outside of quotes;
/// a backslash escapes the next character.
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

/// The arguments, in a response file if they are too long for a command line.
fn gathered(args: Vec<OsString>, temp: &Path) -> Result<Vec<OsString>> {
    // Windows allows 32 kB, others more.
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

/// Whether the arguments make a compiler link.
fn links(args: &[OsString]) -> bool {
    let stops = ["-c", "-E", "-S", "-M", "-MM", "-fsyntax-only"];
    let input = |arg: &OsString| !arg.as_encoded_bytes().starts_with(b"-");
    !args.iter().any(|arg| stops.iter().any(|stop| arg == stop)) && args.iter().any(input)
}

impl Settings {
    /// The compiler and its first arguments.
    fn program(&self, tool: Tool, macos: &MacOs) -> (&Path, Vec<OsString>) {
        let mut first: Vec<OsString> = Vec::new();
        let program = match &self.compiler {
            Compiler::Zig { program } => {
                first.push(if tool == Tool::Cxx { "c++" } else { "cc" }.into());
                let target = self.zig_target(macos.oldest.as_deref());
                first.extend(["-target".into(), target.into()]);
                first.extend(self.cpu().map(|cpu| format!("-mcpu={cpu}").into()));
                // By default zig makes programs stop at undefined behaviour in C.
                first.push("-fno-sanitize=all".into());
                program
            }
            Compiler::Clang { program, headers, .. } => {
                first.push(format!("--target={}", self.target.triple()).into());
                first.extend(["-nostdlibinc".into(), "-isystem".into(), headers.into()]);
                program
            }
        };
        first.extend(self.dates().iter().map(OsString::from));
        if self.target.is_musl() {
            // rustc makes position-independent programs. zig and clang for musl do not by default.
            first.push("-fPIC".into());
        }
        if let Some(sdk) = &macos.sdk {
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

    /// Reads the settings for macOS from the environment.
    fn macos(&self, env: &Env) -> Result<MacOs> {
        if !self.target.is_darwin() {
            return Ok(MacOs::default());
        }
        let sdk = env.get("SDKROOT").map(PathBuf::from);
        let oldest = match env.get("MACOSX_DEPLOYMENT_TARGET") {
            Some(named) => version_of_macos(named)?,
            None if self.target.arch() == "aarch64" => "11.0".to_owned(),
            None => "10.12".to_owned(),
        };
        let sdk = sdk.filter(|sdk| Some(sdk) != self.stand_in_sdk.as_ref());
        Ok(MacOs { sdk, oldest: Some(oldest) })
    }

    /// zig's name of the target, with the oldest version of macOS to support.
    pub fn zig_target(&self, macos: Option<&str>) -> String {
        let target = &self.target;
        let arch = match target.arch() {
            "i586" | "i686" => "x86",
            "armv5te" | "armv6" | "armv7" => "arm",
            "riscv64gc" => "riscv64",
            arch => arch,
        };
        let abi = target.triple().rsplit('-').next().unwrap_or_default();
        if target.is_darwin() {
            let version = macos.map(|version| format!(".{version}"));
            format!("{arch}-macos{}-none", version.unwrap_or_default())
        } else if target.is_windows() {
            format!("{arch}-windows-gnu")
        } else {
            let glibc = target.glibc().map(|(major, minor)| format!(".{major}.{minor}"));
            format!("{arch}-linux-{abi}{}", glibc.unwrap_or_default())
        }
    }

    /// rustc's default processor, where zig's default differs.
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

    /// Sets the same time for all C code: cargo keeps compiled C from commit to commit, so a
    /// commit's time in it would be that of another. zig's cache is temporary, because it grows
    /// without end.
    fn with_vars<'a>(&self, program: Program<'a>, temp: &Path) -> Program<'a> {
        let program = program.var("SOURCE_DATE_EPOCH", NO_TIME.to_string());
        match &self.compiler {
            Compiler::Zig { .. } => program.var("ZIG_LOCAL_CACHE_DIR", temp.join("zig")),
            Compiler::Clang { .. } => program,
        }
    }

    /// Arguments that replace the time in C by [`NO_TIME`]. zig refuses C that uses its time, and
    /// clang before 16 ignores SOURCE_DATE_EPOCH.
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

    /// The arguments for linking beside rustc's. `stubs` is the folder of stub libraries.
    fn libraries(&self, stubs: &Path, macos: &MacOs) -> Vec<OsString> {
        if let Compiler::Clang { libc, .. } = &self.compiler {
            // rustc's own musl: clang's default is this machine's libc.
            let mut linker = OsString::from("--ld-path=");
            linker.push(stubs.join(format!("{}-ld", self.target.triple())));
            let all = ["-nostdlib".into(), "-static".into(), linker, "-L".into(), libc.into()];
            let objects = ["crt1.o", "crti.o", "crtn.o"].map(|name| libc.join(name).into());
            return all.into_iter().chain(objects).chain(["-lc".into()]).collect();
        }
        if self.target.is_windows() {
            // It replaces rustc's own copy, which is left out.
            return vec!["-lcompiler_rt".into()];
        }
        let sdk = macos.sdk.as_ref().map(|sdk| sdk.join("usr/lib"));
        let folder = sdk.unwrap_or_else(|| stubs.to_owned()).into_os_string();
        if self.target.is_darwin() { vec!["-L".into(), folder] } else { Vec::new() }
    }
}

/// A version with a point, as zig wants it. Apple's tools also take `11`.
fn version_of_macos(named: &OsStr) -> Result<String> {
    let text = named.to_str().unwrap_or_default();
    let parts: Vec<Option<u16>> = text.split('.').map(|part| part.parse().ok()).collect();
    if parts.len() > 3 || parts.iter().any(Option::is_none) {
        bail!(failure(
            format!("read MACOSX_DEPLOYMENT_TARGET: {named:?} is not a version of macOS"),
            "set it to one such as 11.0",
        ));
    }
    Ok(if parts.len() == 1 { format!("{text}.0") } else { text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn settings(target: &str) -> Settings {
        let compiler = Compiler::Zig { program: "zig".into() };
        let target = Target::parse(target).unwrap();
        Settings { target, compiler, lld: None, remap: Vec::new(), stand_in_sdk: None }
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
            assert_eq!(settings(target).zig_target(None), expected);
        }
        let darwin = settings("aarch64-apple-darwin");
        assert_eq!(darwin.zig_target(Some("11.0")), "aarch64-macos.11.0-none");
        for (named, expected) in [("11", Some("11.0")), ("10.13.6", Some("10.13.6")), ("x", None)] {
            assert_eq!(version_of_macos(named.as_ref()).ok().as_deref(), expected);
        }
    }

    #[test]
    fn response_files_are_read_and_written() {
        let dir = tempfile::tempdir().unwrap();
        let args: Vec<OsString> = (0..4000).map(|i| format!("/a b/\\{i}\".o").into()).collect();
        let written = gathered(args.clone(), dir.path()).unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(expanded(written, Path::new("/")).unwrap(), args);
        let text = "-o a\\ b 'c d'\n\"e \\\"f\"  g\th\n\"\"";
        assert_eq!(words(text), ["-o", "a b", "c d", "e \"f", "g", "h", ""]);
        let line = "ld.lld -o /a b/out /home/a b/libc++.a -m x /c/libc++abi.a";
        let names = ["ld.lld", "-o", "/a b/out", "/home/a b/libc++.a", "-m x", "/c/libc++abi.a"];
        assert_eq!(paths(line), names.map(PathBuf::from));
        let missing: Vec<OsString> = vec!["@none".into(), "-c".into()];
        assert_eq!(expanded(missing.clone(), dir.path()).unwrap(), missing);
    }
}
