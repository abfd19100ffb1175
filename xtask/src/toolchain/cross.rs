//! Makes cross-compilers available to cargo, cc, cmake and bindgen.
//!
//! Compilers are bare names on PATH: build scripts write the compiler's command line into their
//! output, and it must not contain a folder of this machine.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::driver::{Compiler, Settings};
use crate::digest::Digest;
use crate::files;
use crate::finding::Help;
use crate::plan::{BuildPlan, Tools};
use crate::process::{self, Program};
use crate::project::Project;
use crate::target::Target;

/// The version of the wrappers: existing ones of this version are kept.
const FORMAT: u32 = 2;

/// The symbols of macOS' libiconv. zig does not have them, but the crate libc links it into every
/// program.
/// <https://www.gnu.org/software/libiconv/documentation/libiconv-1.17/>
const ICONV: &str = "--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: '/usr/lib/libiconv.2.dylib'
current-version: 7
compatibility-version: 7
exports:
  - targets: [ x86_64-macos, arm64-macos ]
    symbols: [ _iconv, _iconv_canonicalize, _iconv_close, _iconv_open, _iconv_open_into,
               _iconvctl, _iconvlist, _libiconv, _libiconv_close, _libiconv_open,
               _libiconv_set_relocation_prefix, _libiconvctl, _libiconvlist ]
...
";

/// The variables, except PATH, by which a build finds the compilers of one target.
pub struct Wiring {
    pub vars: BTreeMap<String, OsString>,
    pub settings: Settings,
}

/// Configures the compiler for the target's C, and the linker where zig links.
pub fn wire(
    build: &BuildPlan,
    target: &Target,
    tools: Tools,
    lld: Option<PathBuf>,
    project: &Project,
) -> Result<Wiring> {
    let compiler = compiler(target, project)?;
    let sdk = (target.is_darwin() && !project.sets("SDKROOT")).then(|| zig_lib(&compiler));
    let settings = Settings {
        stand_in_sdk: sdk.flatten().map(|lib| lib.join("libc/darwin")),
        compiler,
        lld,
        remap: build.remap.clone(),
        target: target.clone(),
    };
    let triple = target.triple();
    let mut vars = BTreeMap::new();
    let mut set = |name: &str, value: &OsStr| {
        if !target.spellings(name).iter().any(|spelling| project.sets(spelling)) {
            vars.insert(format!("{name}_{}", target.underscored()), value.to_owned());
        }
    };
    set("CC", format!("{triple}-cc").as_ref());
    set("CXX", format!("{triple}-c++").as_ref());
    set("AR", format!("{triple}-ar").as_ref());
    set("RANLIB", format!("{triple}-ranlib").as_ref());
    let native = build.native.get(target).into_iter().flatten();
    if native.into_iter().any(|krate| krate.builders.iter().any(|it| it == "bindgen")) {
        set("BINDGEN_EXTRA_CLANG_ARGS", bindgen(&settings, project)?.as_ref());
    }
    if tools == Tools::Zig {
        vars.insert(linker_var(target), format!("{triple}-cc").into());
    } else if settings.lld.is_some() {
        vars.insert(linker_var(target), format!("{triple}-ld").into());
    }
    if let Some(sdk) = &settings.stand_in_sdk {
        // Without it rustc and cc look for an SDK with a program that only macOS has. zig has
        // what it needs.
        vars.insert("SDKROOT".to_owned(), sdk.into());
    }
    Ok(Wiring { vars, settings })
}

fn linker_var(target: &Target) -> String {
    format!("CARGO_TARGET_{}_LINKER", target.env_name())
}

fn compiler(target: &Target, project: &Project) -> Result<Compiler> {
    if let Some(zig) = &project.cross.zig {
        return Ok(Compiler::Zig { program: zig.program.clone() });
    }
    let clang = project.cross.clang.as_ref();
    let headers = clang.and_then(|clang| Some((clang, clang.headers(target.arch())?)));
    let (clang, headers) = headers.with_context(|| format!("find a C compiler for {target}"))?;
    let libc = project.rustc.library(target.triple()).join("lib/self-contained");
    Ok(Compiler::Clang { program: clang.program.clone(), headers: headers.to_owned(), libc })
}

/// zig's own headers and libraries, where zig itself looks for them.
/// <https://codeberg.org/ziglang/zig/src/branch/master/src/introspect.zig>
fn zig_lib(compiler: &Compiler) -> Option<PathBuf> {
    let Compiler::Zig { program } = compiler else {
        return None;
    };
    let program = files::resolve(program).ok()?;
    let dirs = program.ancestors().skip(1);
    let mut dirs = dirs.flat_map(|dir| [dir.join("lib/zig"), dir.join("lib")]);
    dirs.find(|dir| dir.join("std/std.zig").is_file())
}

/// The arguments for libclang, which reads headers for bindgen and does not know the compiler.
fn bindgen(settings: &Settings, project: &Project) -> Result<String> {
    let mut args =
        vec![format!("--target={}", settings.target.triple()), "-nostdlibinc".to_owned()];
    let dirs = match &settings.compiler {
        Compiler::Clang { headers, .. } => vec![headers.clone()],
        Compiler::Zig { program } => {
            let target = settings.zig_target(None);
            let asked = Program::new(program, &project.root, &project.env)
                .args(["cc", "-target", &target, "-E", "-v", "-x", "c", "-"])
                .output()?;
            if !asked.status.success() {
                bail!("ask zig for its headers: {}", process::excerpt(&asked.stderr));
            }
            let lines =
                asked.stderr.lines().skip_while(|line| !line.contains("<...> search starts"));
            let dirs = lines.skip(1).take_while(|line| line.starts_with(' '));
            let dirs: Vec<PathBuf> = dirs.map(|line| PathBuf::from(line.trim())).collect();
            // libclang needs its own version of clang's headers.
            let clangs = zig_lib(&settings.compiler).map(|lib| lib.join("include"));
            dirs.into_iter().filter(|dir| clangs.as_ref() != Some(dir)).collect()
        }
    };
    for dir in dirs {
        let dir = dir.to_str().context("name a folder of headers: it is not UTF-8")?.to_owned();
        args.extend(["-isystem".to_owned(), format!("'{}'", dir.replace('\'', "'\\''"))]);
    }
    // The target's variable replaces the plain one, so its value is added.
    let plain = project.var("BINDGEN_EXTRA_CLANG_ARGS").and_then(OsStr::to_str);
    args.extend(plain.map(str::to_owned));
    Ok(args.join(" "))
}

/// Writes the wrappers of all targets into a folder below the target folder, which is named by
/// its contents. Returns PATH with this folder first, and cmake's variables.
pub fn install(all: &[Settings], project: &Project) -> Result<BTreeMap<String, OsString>> {
    let this = process::this_program()?;
    let llvm_ar = process::find("llvm-ar", &project.env).is_some();
    let known = (FORMAT, env!("CARGO_PKG_VERSION"), all, &this, llvm_ar);
    let known = serde_json::to_vec(&known).context("write the compilers' settings")?;
    let dir = project.target_dir.join("dockless").join(&Digest::of(&known).hex()[..16]);
    // Written last, so that an incomplete folder of a killed run is written again.
    let complete = dir.join("complete");
    if !complete.is_file() {
        for settings in all {
            write(settings, &dir, &this, project)?;
        }
        plain_windres(all, &dir)?;
        files::write(&complete, b"")?;
    }
    let mut vars: BTreeMap<String, OsString> =
        all.iter().filter_map(|settings| cmake_var(settings, &dir, project)).collect();
    let path = project.env.get("PATH").unwrap_or_default();
    let dirs = std::iter::once(dir).chain(std::env::split_paths(path));
    let joined = std::env::join_paths(dirs).with_context(|| {
        format!("put compilers on PATH: {} cannot be on it", project.target_dir.display())
    });
    let fix = || Help("set CARGO_TARGET_DIR to a folder whose path has no `:`".into());
    vars.insert("PATH".to_owned(), joined.with_context(fix)?);
    Ok(vars)
}

/// Flags that are added behind the wrapper of rustc.
#[derive(Debug, Default, Serialize)]
pub struct HiddenFlags {
    pub remap: Vec<String>,
    /// By the target's triple.
    pub libraries: BTreeMap<String, String>,
}

/// Writes a wrapper for rustc below the target folder, which adds the flags, and returns its path.
/// `rustc` is the configured one.
pub fn rustc(hidden: &HiddenFlags, rustc: Option<&PathBuf>, project: &Project) -> Result<PathBuf> {
    let own = project.rustc.sysroot.join("bin/rustc");
    let program = rustc.cloned().unwrap_or(own);
    let mut text = b"#!/bin/sh\n".to_vec();
    if !hidden.libraries.is_empty() {
        // Last, so that these folders are searched after all others.
        text.extend(b"for arg; do case $arg in\n");
        for (triple, flag) in &hidden.libraries {
            text.extend(format!("{triple}) set -- \"$@\" ").as_bytes());
            text.extend(quoted(flag.as_ref()));
            text.extend(b"; break;;\n");
        }
        text.extend(b"esac; done\n");
    }
    let words = std::iter::once(program.as_os_str()).chain(hidden.remap.iter().map(OsStr::new));
    text.extend(exec(words));
    let name = Digest::of(&text).hex();
    let path = project.target_dir.join("dockless").join(&name[..16]).join("rustc");
    if !path.is_file() {
        files::write_program(&path, &text)?;
    }
    Ok(path)
}

/// Writes the wrappers of one target.
fn write(settings: &Settings, dir: &Path, this: &Path, project: &Project) -> Result<()> {
    let triple = settings.target.triple();
    let path = dir.join(format!("{triple}.json"));
    files::write(&path, &serde_json::to_vec_pretty(settings).context("write JSON")?)?;
    // Arguments after `--` are not this program's own.
    let words = |tool: &'static str| {
        [this.as_os_str(), "cross".as_ref(), tool.as_ref(), path.as_os_str(), "--".as_ref()]
    };
    for (name, tool) in [("cc", "cc"), ("c++", "cxx"), ("ld", "ld")] {
        script(&dir.join(format!("{triple}-{name}")), &words(tool))?;
    }
    for name in ["ar", "ranlib"] {
        script(&dir.join(format!("{triple}-{name}")), &archiver(settings, name, project))?;
    }
    if let (true, Compiler::Zig { program }) = (settings.target.is_windows(), &settings.compiler) {
        // The names by which rustc and build scripts start MinGW's tools.
        let mingw = |name: &str| dir.join(format!("{}-w64-mingw32-{name}", settings.target.arch()));
        script(&mingw("dlltool"), &[program.as_os_str(), "dlltool".as_ref()])?;
        script(&mingw("ar"), &[program.as_os_str(), "ar".as_ref()])?;
        script(&mingw("windres"), &words("windres"))?;
    }
    if settings.target.is_darwin() {
        files::write(&dir.join("libiconv.tbd"), ICONV.as_bytes())?;
    }
    let text = cmake(settings, dir, &project.target_dir)?;
    files::write(&dir.join(format!("{triple}.cmake")), text.as_bytes())
}

/// Writes the resource compiler under its plain name, by which build scripts with the crate winres
/// start it. cargo sets TARGET for them.
/// <https://doc.rust-lang.org/cargo/reference/environment-variables.html>
fn plain_windres(all: &[Settings], dir: &Path) -> Result<()> {
    let windows: Vec<&Target> =
        all.iter().map(|settings| &settings.target).filter(|target| target.is_windows()).collect();
    if windows.is_empty() {
        return Ok(());
    }
    let mut text = "#!/bin/sh\ncase $TARGET in\n".to_owned();
    for target in windows {
        let (triple, arch) = (target.triple(), target.arch());
        text.push_str(&format!("{triple}) exec {arch}-w64-mingw32-windres \"$@\";;\n"));
    }
    text.push_str("esac\necho \"windres: there is none for the target $TARGET\" >&2\nexit 1\n");
    files::write_program(&dir.join("windres"), text.as_bytes())
}

fn archiver<'a>(settings: &'a Settings, name: &'a str, project: &Project) -> Vec<&'a OsStr> {
    match &settings.compiler {
        Compiler::Zig { program } => vec![program.as_os_str(), name.as_ref()],
        Compiler::Clang { .. }
            if name == "ar" && process::find("llvm-ar", &project.env).is_some() =>
        {
            vec!["llvm-ar".as_ref()]
        }
        Compiler::Clang { .. } => vec![name.as_ref()],
    }
}

/// Writes a program that starts another one and passes its arguments on.
fn script(path: &Path, words: &[&OsStr]) -> Result<()> {
    let text = [b"#!/bin/sh\n", &exec(words.iter().copied())[..]].concat();
    files::write_program(path, &text)
}

/// A script's last line: it becomes the program with these words and its own arguments.
fn exec<'a>(words: impl Iterator<Item = &'a OsStr>) -> Vec<u8> {
    let mut line = b"exec".to_vec();
    for word in words {
        line.push(b' ');
        line.extend(quoted(word));
    }
    line.extend(b" \"$@\"\n");
    line
}

/// A word, quoted for a shell.
fn quoted(word: &OsStr) -> Vec<u8> {
    let parts: Vec<&[u8]> = word.as_encoded_bytes().split(|byte| *byte == b'\'').collect();
    [b"'", &parts.join(&b"'\\''"[..])[..], b"'"].concat()
}

/// The variable for cmake's toolchain file, unless the user sets one.
fn cmake_var(settings: &Settings, dir: &Path, project: &Project) -> Option<(String, OsString)> {
    let name = "CMAKE_TOOLCHAIN_FILE";
    let target = &settings.target;
    let named = project.sets(name) || target.spellings(name).iter().any(|it| project.sets(it));
    let path = dir.join(format!("{}.cmake", target.triple()));
    (!named).then(|| (format!("{name}_{}", target.underscored()), path.into()))
}

/// A toolchain file for cmake, which does not read variables for compilers. Libraries and headers
/// are only looked up below the target folder, where crates put those that they have built.
/// <https://cmake.org/cmake/help/latest/manual/cmake-toolchains.7.html>
fn cmake(settings: &Settings, dir: &Path, target_dir: &Path) -> Result<String> {
    let triple = settings.target.triple();
    let (system, processor) = match (settings.target.goos(), settings.target.arch()) {
        ("darwin", "aarch64") => ("Darwin", "arm64"),
        ("darwin", arch) => ("Darwin", arch),
        ("windows", "x86_64") => ("Windows", "AMD64"),
        ("windows", "i686") => ("Windows", "X86"),
        (_, "powerpc64le") => ("Linux", "ppc64le"),
        (_, "riscv64gc") => ("Linux", "riscv64"),
        (_, arch) => ("Linux", arch),
    };
    let quoted = |path: &Path| {
        let path = path.to_str().context("name a folder to cmake: it is not UTF-8")?;
        // In a bracket argument only its end is special.
        anyhow::ensure!(!path.contains("]==]"), "name {path} to cmake: it holds `]==]`");
        Ok(format!("[==[{path}]==]"))
    };
    let tool = |name: &str| quoted(&dir.join(format!("{triple}-{name}")));
    let mut text = format!(
        "set(CMAKE_SYSTEM_NAME {system})\nset(CMAKE_SYSTEM_PROCESSOR {processor})\n\
         set(CMAKE_C_COMPILER {triple}-cc)\nset(CMAKE_CXX_COMPILER {triple}-c++)\n\
         set(CMAKE_ASM_COMPILER {triple}-cc)\n\
         set(CMAKE_AR {})\nset(CMAKE_RANLIB {})\n\
         set(CMAKE_C_LINKER_DEPFILE_SUPPORTED FALSE)\nset(CMAKE_CXX_LINKER_DEPFILE_SUPPORTED FALSE)\n\
         set(CMAKE_FIND_ROOT_PATH {})\nset(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)\n",
        tool("ar")?,
        tool("ranlib")?,
        quoted(target_dir)?
    );
    if settings.target.is_windows() {
        let windres = dir.join(format!("{}-w64-mingw32-windres", settings.target.arch()));
        text.push_str(&format!("set(CMAKE_RC_COMPILER {})\n", quoted(&windres)?));
    }
    for kind in ["LIBRARY", "INCLUDE", "PACKAGE"] {
        text.push_str(&format!("set(CMAKE_FIND_ROOT_PATH_MODE_{kind} ONLY)\n"));
    }
    Ok(text)
}
