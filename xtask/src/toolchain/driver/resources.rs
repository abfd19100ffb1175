//! Translates calls of MinGW's resource compiler for zig's.
//! <https://sourceware.org/binutils/docs/binutils/windres.html>

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Settings;
use crate::files;
use crate::finding::failure;

/// The answer to `--version`, by which some build scripts recognize GNU's windres.
const VERSION: &str = "GNU windres, which zig rc stands in for";

/// windres's options with a value: a letter and a word.
const VALUED: [(&str, &str); 11] = [
    ("i", "input"),
    ("o", "output"),
    ("J", "input-format"),
    ("O", "output-format"),
    ("F", "target"),
    ("", "preprocessor"),
    ("", "preprocessor-arg"),
    ("I", "include-dir"),
    ("D", "define"),
    ("U", "undefine"),
    ("c", "codepage"),
];
/// Its value is hexadecimal, as for zig.
const LANGUAGE: (&str, &str) = ("l", "language");
/// Options without a value, which change nothing here.
const PLAIN: [(&str, &str); 4] =
    [("v", "verbose"), ("r", ""), ("", "use-temp-file"), ("", "no-use-temp-file")];

/// The version, if the arguments ask for it.
pub fn version(args: &[OsString]) -> Option<&'static str> {
    args.iter().any(|arg| arg == "-V" || arg == "--version").then_some(VERSION)
}

/// The parsed arguments of windres.
#[derive(Debug, Default)]
struct Asked {
    input: Option<OsString>,
    output: Option<OsString>,
    input_format: Option<OsString>,
    output_format: Option<OsString>,
    target: Option<OsString>,
    codepage: Option<OsString>,
    /// Other options, by zig's names.
    others: Vec<OsString>,
}

impl Settings {
    /// The arguments of `zig rc` for those of windres, called in the folder `dir`.
    pub(super) fn resources(&self, args: Vec<OsString>, dir: &Path) -> Result<Vec<OsString>> {
        let asked = Asked::read(args)?;
        let input = asked.input.context("windres is given no file")?;
        let Some(output) = asked.output else {
            let why = "windres is asked to print resources, which zig cannot";
            bail!(failure(why, "name the file that it is to make, with --output"));
        };
        let reads = format(asked.input_format, &input, "rc")?;
        let makes = format(asked.output_format, &output, "coff")?;
        if reads == "coff" || makes == "rc" {
            let why = format!("windres is asked to make {makes} of {reads}, which zig cannot");
            bail!(failure(why, "make res or coff of rc, or coff of res"));
        }
        let mut all: Vec<OsString> = vec!["rc".into()];
        let mut say = |name: &str, value: &OsStr| all.extend([name.into(), value.to_owned()]);
        // MinGW's headers are part of zig.
        say("/:auto-includes", "gnu".as_ref());
        say("/:input-format", reads.as_ref());
        say("/:output-format", makes.as_ref());
        if makes == "coff" {
            say("/:target", self.machine(asked.target.as_deref()).as_ref());
        }
        match &asked.codepage {
            Some(codepage) => say("/c", codepage),
            // zig, like Microsoft's compiler, needs the option beside the pragma in the file.
            None if reads == "rc" && is_utf_8(&dir.join(&input))? => say("/c", "65001".as_ref()),
            None => {}
        }
        all.extend(asked.others);
        all.extend(["/fo".into(), output, "--".into(), input]);
        Ok(all)
    }

    /// zig's name of windres's machine, or by default of the target's.
    fn machine(&self, named: Option<&OsStr>) -> &'static str {
        let named = named.and_then(OsStr::to_str).unwrap_or_else(|| self.target.arch());
        match named {
            _ if named.contains("x86-64") || named.starts_with("x86_64") => "x86_64",
            _ if named.contains("aarch64") || named.contains("arm64") => "aarch64",
            _ => "x86",
        }
    }
}

impl Asked {
    fn read(args: Vec<OsString>) -> Result<Asked> {
        let mut asked = Asked::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let text = arg.to_str().unwrap_or_default();
            if !text.starts_with('-') || text == "-" {
                asked.file(arg)?;
                continue;
            }
            let Some((name, attached)) = option(text)? else { continue };
            let value = match attached {
                Some(attached) => attached.into(),
                None => args.next().with_context(|| format!("windres: {text} names nothing"))?,
            };
            asked.take(name, value)?;
        }
        Ok(asked)
    }

    /// A file without an option: first the input, then the output.
    fn file(&mut self, file: OsString) -> Result<()> {
        let place = if self.input.is_none() { &mut self.input } else { &mut self.output };
        if let Some(other) = place.replace(file) {
            bail!("windres is given a third file beside {}", other.display());
        }
        Ok(())
    }

    fn take(&mut self, name: &str, value: OsString) -> Result<()> {
        let mut say = |name: &str, value: OsString| self.others.extend([name.into(), value]);
        match name {
            "input" => self.input = Some(value),
            "output" => self.output = Some(value),
            "input-format" => self.input_format = Some(value),
            "output-format" => self.output_format = Some(value),
            "target" => self.target = Some(value),
            "codepage" => self.codepage = Some(value),
            "include-dir" => say("/i", value),
            "define" => say("/d", value),
            "undefine" => say("/u", value),
            "language" => {
                let text = value.to_str().unwrap_or_default();
                let digits = text.trim_start_matches("0x").trim_start_matches("0X");
                say("/l", digits.into());
            }
            // zig's preprocessor takes definitions and folders.
            "preprocessor-arg" => {
                let text = value.to_str().unwrap_or_default();
                let letters = [("-D", "define"), ("-U", "undefine"), ("-I", "include-dir")];
                let found = letters.iter().find_map(|(letter, name)| {
                    text.strip_prefix(letter).map(|value| (name, value.to_owned()))
                });
                if let Some((name, value)) = found.filter(|(_, value)| !value.is_empty()) {
                    self.take(name, value.into())?;
                }
            }
            // zig uses its own.
            "preprocessor" => {}
            _ => bail!("windres: --{name} is not known here"),
        }
        Ok(())
    }
}

/// The name of an option with a value, and the value if it is attached; `None` for an option that
/// changes nothing.
fn option(text: &str) -> Result<Option<(&'static str, Option<&str>)>> {
    let valued = || VALUED.iter().chain([&LANGUAGE]);
    let unknown = || {
        let fix = "leave it out, or set WINDRES to another resource compiler where the crate asks";
        failure(format!("windres: {text} is not known here"), fix)
    };
    if let Some(word) = text.strip_prefix("--") {
        let (word, attached) = match word.split_once('=') {
            Some((word, value)) => (word, Some(value)),
            None => (word, None),
        };
        let exact = valued().find(|(_, name)| *name == word);
        // GNU's programs accept an unambiguous beginning of a name.
        let mut begun = valued().filter(|(_, name)| name.starts_with(word) && !word.is_empty());
        let found = exact.or_else(|| begun.next().filter(|_| begun.next().is_none()));
        return match found {
            Some((_, name)) => Ok(Some((name, attached))),
            None if PLAIN.iter().any(|(_, name)| *name == word) => Ok(None),
            None => Err(unknown()),
        };
    }
    let letter = text.get(1..2).ok_or_else(unknown)?;
    if let Some((_, name)) = valued().find(|(short, _)| *short == letter) {
        let attached = text.get(2..).filter(|attached| !attached.is_empty());
        return Ok(Some((name, attached)));
    }
    if PLAIN.iter().any(|(short, _)| format!("-{short}") == text) {
        return Ok(None);
    }
    Err(unknown())
}

/// The format of a file, by its option or by its name.
fn format(said: Option<OsString>, file: &OsStr, otherwise: &'static str) -> Result<&'static str> {
    let known = |text: &str| match text {
        "rc" => Some("rc"),
        "res" => Some("res"),
        "coff" | "o" | "obj" => Some("coff"),
        _ => None,
    };
    if let Some(said) = said {
        let found = said.to_str().and_then(known);
        return found.with_context(|| format!("windres: {} is not a format", said.display()));
    }
    let extension = Path::new(file).extension().and_then(OsStr::to_str);
    let extension = extension.map(str::to_ascii_lowercase);
    Ok(extension.as_deref().and_then(known).unwrap_or(otherwise))
}

/// Whether a resource script declares that it is UTF-8.
fn is_utf_8(path: &Path) -> Result<bool> {
    let script = files::read(path)?;
    let text = String::from_utf8_lossy(&script).replace([' ', '\t'], "");
    Ok(text.contains("#pragmacode_page(65001)"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::settings;
    use super::*;

    fn translated(target: &str, args: &str, dir: &Path) -> Result<String> {
        let args = args.split(' ').map(OsString::from).collect();
        let translated = settings(target).resources(args, dir)?;
        let words: Vec<_> = translated.iter().map(|arg| arg.to_str().unwrap()).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn windres_becomes_zigs_resource_compiler() {
        let dir = tempfile::tempdir().unwrap();
        files::write(&dir.path().join("a.rc"), b"1 ICON \"a.ico\"\n").unwrap();
        files::write(&dir.path().join("u.rc"), b"\n# pragma code_page( 65001 )\n").unwrap();
        let coff = "rc /:auto-includes gnu /:input-format rc /:output-format coff /:target x86_64";
        for (args, expected) in [
            // embed-resource's and winresource's.
            (
                "--input a.rc --output a.lib --include-dir /out --output-format=coff \
                 --target pe-x86-64 -c 65001 -D A -D B=\"1\" -I /inc",
                format!("{coff} /c 65001 /i /out /d A /d B=\"1\" /i /inc /fo a.lib -- a.rc"),
            ),
            (
                "-I/manifest --target pe-x86-64 u.rc a.o",
                format!("{coff} /c 65001 /i /manifest /fo a.o -- u.rc"),
            ),
            // cmake's and autotools'.
            ("-O coff -DA=1 -Iinc a.rc a.obj", format!("{coff} /d A=1 /i inc /fo a.obj -- a.rc")),
            (
                "--use-temp-file -v --preprocessor=gcc --preprocessor-arg=-DX \
                 --preprocessor-arg -E -ia.rc -oa.o -Fpe-x86-64",
                format!("{coff} /d X /fo a.o -- a.rc"),
            ),
            ("-i a.rc -o a.o -U Z -l 0x409", format!("{coff} /u Z /l 409 /fo a.o -- a.rc")),
            ("--include=i --undef=Z a.rc a.o", format!("{coff} /i i /u Z /fo a.o -- a.rc")),
            (
                "a.rc a.res",
                "rc /:auto-includes gnu /:input-format rc /:output-format res /fo a.res -- a.rc"
                    .to_owned(),
            ),
            (
                "-J res -O coff a.res a.o",
                format!("{coff} /fo a.o -- a.res").replace("format rc", "format res"),
            ),
            (
                "a.rc a.o --target=pe-i386",
                format!("{coff} /fo a.o -- a.rc").replace("x86_64", "x86"),
            ),
        ] {
            let found = translated("x86_64-pc-windows-gnu", args, dir.path()).unwrap();
            assert_eq!(found, expected, "{args}");
        }
        let i686 = translated("i686-pc-windows-gnu", "a.rc a.o", dir.path()).unwrap();
        assert!(i686.contains("/:target x86 "), "{i686}");
    }

    #[test]
    fn what_zig_cannot_is_said() {
        let dir = tempfile::tempdir().unwrap();
        files::write(&dir.path().join("a.rc"), b"").unwrap();
        for (args, why) in [
            ("-v", "no file"),
            ("a.rc", "asked to print"),
            ("a.rc a.o b.o", "a third file"),
            ("a.o a.rc", "make rc of coff"),
            ("-O elf a.rc a.o", "elf is not a format"),
            ("--hot a.rc a.o", "--hot is not known"),
            ("-x a.rc a.o", "-x is not known"),
            ("--output", "names nothing"),
            ("b.rc b.o", "b.rc"),
        ] {
            let error = translated("x86_64-pc-windows-gnu", args, dir.path()).unwrap_err();
            assert!(format!("{error:#}").contains(why), "{args}: {error:#}");
        }
        assert_eq!(version(&["-V".into(), "/?".into()]), Some(VERSION));
        assert_eq!(version(&["a.rc".into()]), None);
    }
}
