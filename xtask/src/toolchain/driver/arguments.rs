//! Translates the arguments of rustc, the crate cc and build scripts for zig and clang.

use std::ffi::OsString;

use super::{Compiler, MacOs, Settings};

impl Settings {
    /// The arguments, translated for this compiler.
    pub(super) fn translated(&self, args: Vec<OsString>, macos: &MacOs) -> Vec<OsString> {
        let mut translated = Vec::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.to_str().map(|text| self.changed(text, macos)) {
                Some(Change::Drop) => {}
                Some(Change::DropBoth) => drop(args.next()),
                Some(Change::To(new)) => translated.extend(new.into_iter().map(OsString::from)),
                Some(Change::Keep) | None => translated.push(arg),
            }
        }
        translated
    }

    /// A definition of a folder where OpenSSL looks for engines at run time, without the folder of
    /// this machine. `None` for other arguments.
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

    /// The translation of one argument.
    fn changed(&self, arg: &str, macos: &MacOs) -> Change {
        if arg == "-target" {
            return Change::DropBoth;
        }
        if arg.starts_with("--target=") {
            return Change::Drop;
        }
        if let Some(installed) = self.installed(arg) {
            return Change::To(vec![installed]);
        }
        if matches!(self.compiler, Compiler::Clang { .. }) {
            return Change::Keep;
        }
        // zig only takes the preprocessor's arguments about dependencies.
        let kept = ["-Wp,-MD", "-Wp,-MMD", "-Wp,-MT"];
        if arg.starts_with("-Wp,") && !kept.iter().any(|it| arg.starts_with(it)) {
            return Change::Drop;
        }
        if let Some(march) = arg.strip_prefix("-march=") {
            return self.march(arg, march);
        }
        if let Some(cpu) = arg.strip_prefix("-mcpu=") {
            let (name, features) = cpu.split_at(cpu.find('+').unwrap_or(cpu.len()));
            return Change::To(vec![format!("-mcpu={}{features}", name.replace('-', "_"))]);
        }
        // It only affects speed, and zig lacks its names.
        if arg.starts_with("-mtune=") {
            return Change::Drop;
        }
        let target = &self.target;
        if target.is_windows() {
            windows(arg, target.arch())
        } else if target.is_gnu_linux() {
            gnu(arg)
        } else if target.is_darwin() {
            darwin(arg, macos)
        } else {
            Change::Keep
        }
    }

    /// Translates `-march`, for which zig has its own names.
    fn march(&self, arg: &str, march: &str) -> Change {
        let arch = self.target.arch();
        if arch.starts_with("arm") || arch.starts_with("riscv") || arch.starts_with("i5") {
            return Change::Drop;
        }
        if arch == "aarch64" && march.starts_with("armv") {
            let base = if self.target.is_darwin() { "apple_m1" } else { "generic" };
            // clang's assembler wants the original argument.
            let cpu = format!("-mcpu={base}{}", arm_features(march));
            return Change::To(vec![cpu, "-Xassembler".to_owned(), arg.to_owned()]);
        }
        // As in `x86-64-v3`.
        Change::To(vec![format!("-march={}", march.replace('-', "_"))])
    }
}

/// Without an SDK of the user's, arguments that name one are dropped: zig has its own.
fn darwin(arg: &str, macos: &MacOs) -> Change {
    if macos.sdk.is_none() && ["-isysroot", "-syslibroot"].contains(&arg) {
        Change::DropBoth
    } else if arg == "-Wl,-dylib" {
        Change::Drop
    } else {
        Change::Keep
    }
}

/// zig's features for gcc's `armv8.2-a+crypto+nosve`: those of the version, then each one named. <https://gcc.gnu.org/onlinedocs/gcc/AArch64-Options.html>
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

/// The translation of an argument.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Keep,
    Drop,
    /// Drops this argument and the next one.
    DropBoth,
    To(Vec<String>),
}

fn gnu(arg: &str) -> Change {
    const UNKNOWN: [&str; 4] = [
        "-Wl,--no-undefined-version",
        "-Wl,-znostart-stop-gc",
        "-Wl,--fix-cortex-a53-843419",
        // zig always links by itself.
        "-fuse-ld=lld",
    ];
    match arg {
        // gcc's unwinder is a shared library; zig's is linked in.
        "-lgcc_s" => Change::To(vec!["-lunwind".to_owned()]),
        _ if UNKNOWN.contains(&arg) => Change::Drop,
        // The folder of gcc's or rustc's own linkers.
        "-B" => Change::DropBoth,
        _ if arg.starts_with("-Wl,-plugin-opt") || arg.starts_with("-B") => Change::Drop,
        _ => Change::Keep,
    }
}

/// zig contains MinGW's libraries, partly under other names.
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
        // winres puts resources into this library, to which no code refers.
        "-lresource" => Change::To(
            ["-Wl,--whole-archive", arg, "-Wl,--no-whole-archive"].map(str::to_owned).to_vec(),
        ),
        // zig then looks for import libraries, too.
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
    use super::super::tests::settings;
    use super::*;

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
            ("x86_64-unknown-linux-musl", "-mcpu=x86-64-v2 -mtune=generic", "-mcpu=x86_64_v2"),
            ("x86_64-unknown-linux-gnu", "-B /usr/bin -lc", "-lc"),
            ("x86_64-unknown-linux-musl", "-march=x86-64-v2", "-march=x86_64_v2"),
            (
                "aarch64-unknown-linux-musl",
                "-march=armv8.2-a+fp16+nosve",
                "-mcpu=generic+v8_2a+fullfp16-sve -Xassembler -march=armv8.2-a+fp16+nosve",
            ),
            ("x86_64-unknown-linux-gnu", "-lgcc_s -fuse-ld=lld -B/x -lc", "-lunwind -lc"),
            ("x86_64-pc-windows-gnu", "-lmsvcrt -lgcc_eh x.o", "-lunwind x.o"),
            (
                "x86_64-pc-windows-gnu",
                "-lresource x.o",
                "-Wl,--whole-archive -lresource -Wl,--no-whole-archive x.o",
            ),
            ("aarch64-apple-darwin", "-isysroot /zig -arch arm64", "-arch arm64"),
        ] {
            let args = args.split(' ').map(OsString::from).collect();
            let translated = settings(target).translated(args, &MacOs::default());
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
            assert_eq!(settings.translated(vec![arg.into()], &MacOs::default()), [expected]);
        }
    }
}
