//! A package's own programs write files for its archives: completions, man
//! pages. They are strangers here: each is run with nothing of this machine in
//! reach by name, under limits, and twice, for what it writes must depend on the
//! program alone.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use glob::Pattern;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::config::{OUT, Output, unfit};
use crate::digest::Digest;
use crate::files::{self, limits};
use crate::finding::{Help, failure};
use crate::linkage::Binary;
use crate::plan::{ArchivePlan, GeneratePlan, Joined};
use crate::process::{self, Env, Program, TimedOut};
use crate::target::Target;
use crate::template;
use crate::term::Term;

mod folders;
use folders::Folders;

/// How long one call may take: it is only to write down what the program knows.
const TIME: Duration = Duration::from_secs(10);
/// How large a file may be, and all that is printed, in bytes.
pub const SIZE: u64 = 16 << 20;
/// How many files one call may write.
const COUNT: usize = 1000;

/// Nothing listens there: the port of the discard service, on this machine.
const NO_PROXY_THERE: &str = "http://127.0.0.1:9";

/// The files that programs wrote, by package. They are there as long as this is.
#[derive(Debug, Default)]
pub struct Generated {
    files: BTreeMap<String, Vec<File>>,
    /// Removed when dropped.
    folders: Vec<TempDir>,
}

/// A file that a program wrote, by its name in archives.
#[derive(Clone, Debug)]
pub struct File {
    pub name: String,
    pub path: PathBuf,
    pub digest: Digest,
    /// 0755 for a program, or else 0644.
    pub mode: u32,
}

impl Generated {
    /// Takes files that other machines had the programs of `plans` write, by package: exactly
    /// those that the plans ask for, under names that `archives` can hold. An error says what
    /// does not fit.
    pub fn received(
        plans: &[GeneratePlan],
        archives: &[ArchivePlan],
        files: BTreeMap<String, Vec<File>>,
    ) -> Result<Generated> {
        for (package, own) in &files {
            let outputs = || plans.iter().filter(|plan| plan.package == *package);
            let mut known: Vec<&str> = Vec::new();
            for file in own {
                let mut asked = false;
                for plan in outputs() {
                    asked |= is_of(&plan.output, &file.name)?;
                }
                let why = match unfit(&file.name) {
                    Some(why) => why,
                    None if !asked => "no entry of `generate` writes it",
                    None if known.contains(&&*file.name) => "it comes twice",
                    None => {
                        known.push(&file.name);
                        continue;
                    }
                };
                bail!("take {:?} of {package} from a shard: {why}", file.name);
            }
            for plan in outputs() {
                let patterns = match &plan.output {
                    Output::Stdout(name) => vec![Output::Stdout(name.clone())],
                    Output::Files(all) => {
                        all.iter().map(|it| Output::Files(vec![it.clone()])).collect()
                    }
                };
                for output in patterns {
                    let mut found = false;
                    for name in &known {
                        found |= is_of(&output, name)?;
                    }
                    if !found {
                        bail!("take the files of {package} from a shard: {output} is not there");
                    }
                }
            }
            ensure_free(package, own, &[], archives, "a shard")?;
        }
        Ok(Generated { files, folders: Vec::new() })
    }

    /// Adds a file that is made of others, each under its name.
    pub fn join(&mut self, package: &str, joined: &Joined) -> Result<()> {
        let mut text = Vec::new();
        for (at, path) in joined.from.iter().enumerate() {
            if joined.from.len() > 1 {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let gap = if at == 0 { "" } else { "\n\n" };
                text.extend(format!("{gap}{name}\n{}\n\n", "=".repeat(name.len())).into_bytes());
            }
            text.extend(files::read_resolved(path, limits::TEXT)?);
        }
        let folder = files::temporary_dir()?;
        let path = folder.path().join(&joined.name);
        files::write(&path, &text)?;
        let file = File { name: joined.name.clone(), path, digest: Digest::of(&text), mode: 0o644 };
        self.files.entry(package.to_owned()).or_default().push(file);
        self.folders.push(folder);
        Ok(())
    }

    /// All files, by package.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[File])> {
        self.files.iter().map(|(package, files)| (&**package, &**files))
    }

    /// The files of a package, in no order that counts.
    pub fn of(&self, package: &str) -> &[File] {
        self.files.get(package).map_or(&[], Vec::as_slice)
    }
}

/// Has the programs write their files. `archives` are those that will hold them,
/// beside other entries; `time` is what the programs are told that it is.
///
/// Each fault is an error that names package, command line and fix.
pub fn generate(
    plans: &[GeneratePlan],
    archives: &[ArchivePlan],
    binaries: &[Binary],
    time: Timestamp,
    env: &Env,
    term: &Term,
) -> Result<Generated> {
    let mut generated = Generated::default();
    for plan in plans {
        let Some(binary) = runnable(plan, binaries) else {
            let target = plan.target.as_ref().map_or("this machine", Target::as_str);
            bail!("no binary {} of {} was made for {target}", plan.bin, plan.package);
        };
        let command = command_line(plan, env);
        term.step("generate", format_args!("{} of {}: `{command}`", plan.output, plan.package));
        let call = Call { plan, program: binary.compiled().path(), time, env, limit: TIME };
        let (files, folder) = twice(&call)
            .with_context(|| format!("generate files of {} by `{command}`", plan.package))?;
        let own = generated.files.entry(plan.package.clone()).or_default();
        ensure_free(&plan.package, &files, own, archives, &format!("`{command}`"))?;
        own.extend(files);
        generated.folders.push(folder);
    }
    Ok(generated)
}

/// Fails where another entry of the package's archives, or another generated file, has the
/// name of one of the files that `writer` wrote.
fn ensure_free(
    package: &str,
    files: &[File],
    others: &[File],
    archives: &[ArchivePlan],
    writer: &str,
) -> Result<()> {
    for file in files {
        let mut taken = archives
            .iter()
            .filter(|archive| archive.package == package)
            .flat_map(|archive| archive.entry_names(&[]))
            .chain(others.iter().map(|file| file.name.clone()));
        if taken.any(|name| name == file.name) {
            let why = format!("{writer} of {package} wrote {}", file.name);
            bail!(failure(
                format!("{why}, and another entry of its archives has that name"),
                "rename one: archives are flat",
            ));
        }
    }
    Ok(())
}

/// Whether an output may be a file of this name.
fn is_of(output: &Output, name: &str) -> Result<bool> {
    match output {
        Output::Stdout(printed) => Ok(printed == name),
        Output::Files(patterns) => {
            let compiled = patterns.iter().map(|pattern| Pattern::new(pattern));
            let compiled = compiled.collect::<Result<Vec<_>, _>>().context("read the patterns")?;
            Ok(compiled.iter().any(|pattern| pattern.matches(name)))
        }
    }
}

/// The program that the plan means, where it was built.
pub fn runnable<'a>(plan: &GeneratePlan, binaries: &'a [Binary]) -> Option<&'a Binary> {
    binaries.iter().find(|binary| {
        let compiled = binary.compiled();
        (compiled.package(), compiled.bin(), Some(compiled.target()))
            == (&*plan.package, &*plan.bin, plan.target.as_ref())
    })
}

/// What a person would type to see the same.
fn command_line(plan: &GeneratePlan, env: &Env) -> String {
    Program::new(&plan.bin, Path::new(""), env).args(&plan.args).to_string()
}

/// One call of a program.
struct Call<'a> {
    plan: &'a GeneratePlan,
    program: &'a Path,
    time: Timestamp,
    env: &'a Env,
    limit: Duration,
}

/// Runs it in two fresh worlds and returns what it wrote in the first.
fn twice(call: &Call<'_>) -> Result<(Vec<File>, TempDir)> {
    let (first, kept) = once(call)?;
    let (second, _folder) = once(call)?;
    let fix = "it writes the time or random values, or names the folder that it runs in: take \
               them out, or the time from SOURCE_DATE_EPOCH";
    let names = |files: &[File]| files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
    let (one, two) = (names(&first), names(&second));
    if let Some(name) =
        one.iter().find(|name| !two.contains(name)).or(two.iter().find(|name| !one.contains(name)))
    {
        let why = format!("only one of two runs wrote {name}");
        bail!(failure(why, "it must write the same files whenever it runs"));
    }
    let mut pairs = first.iter().zip(&second);
    if let Some((file, _)) = pairs.clone().find(|(file, again)| file.mode != again.mode) {
        let why = format!("only one of two runs made a program of {}", file.name);
        bail!(failure(why, "it must write the same files whenever it runs"));
    }
    if let Some((file, again)) = pairs.find(|(file, again)| file.digest != again.digest) {
        let (one, two) = (files::read(&file.path)?, files::read(&again.path)?);
        let differ = one.iter().zip(&two).position(|(a, b)| a != b);
        let offset = differ.unwrap_or(one.len().min(two.len()));
        let why =
            format!("two runs gave different bytes: {} differs from offset {offset} on", file.name);
        bail!(failure(why, fix));
    }
    Ok((first, kept))
}

/// Runs it in a fresh world and returns what it wrote, sorted by name.
fn once(call: &Call<'_>) -> Result<(Vec<File>, TempDir)> {
    let temp = files::temporary_dir()?;
    let folders = Folders::make(temp.path())?;
    let out = folders.out.to_str().context("find a temporary folder whose path is UTF-8")?;
    let args: Vec<String> = call
        .plan
        .args
        .iter()
        .map(|arg| template::render(arg, &[(OUT, out)]))
        .collect::<Result<_>>()?;
    // A copy: programs write down by which path they were started, and that of
    // this checkout would else be in both runs.
    let name = call.program.file_name().context("find the program's name")?;
    let program = folders.bin.join(name);
    files::copy_program(call.program, &program)?;
    let env = environment(&folders, call);
    let program = Program::new(&program, &folders.work, &env).args(args);
    let output =
        program.confined(call.limit, SIZE).output().map_err(|error| explain(error, call))?;
    if output.stdout.len() as u64 > SIZE || output.stderr.len() as u64 > SIZE {
        bail!(failure(format!("it printed more than {SIZE} bytes"), "let it print less"));
    }
    if !output.status.success() {
        let why = match process::excerpt(&output.stderr) {
            said if said.is_empty() => format!("it failed ({})", output.status),
            said => format!("it failed ({}):\n{said}", output.status),
        };
        bail!(failure(why, fix_by_hand(call)));
    }
    let mut files = match &call.plan.output {
        Output::Stdout(name) => vec![printed(name, &output, &folders, call)?],
        Output::Files(patterns) => folders.take(patterns, COUNT, SIZE)?,
    };
    folders.nothing_else(&files)?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((files, temp))
}

/// What it printed, as a file.
fn printed(
    name: &str,
    output: &process::Output,
    folders: &Folders,
    call: &Call<'_>,
) -> Result<File> {
    if output.stdout.is_empty() {
        let why = match process::excerpt(&output.stderr) {
            said if said.is_empty() => "it printed nothing".to_owned(),
            said => format!("it printed nothing to stdout, and to stderr:\n{said}"),
        };
        bail!(failure(why, fix_by_hand(call)));
    }
    let path = folders.printed.join(name);
    files::write(&path, &output.stdout)?;
    Ok(File { name: name.to_owned(), path, digest: Digest::of(&output.stdout), mode: 0o644 })
}

fn fix_by_hand(call: &Call<'_>) -> String {
    let command = command_line(call.plan, call.env);
    format!(
        "try `{command}` with an empty HOME and without network; DOCKLESS_GENERATE=1 tells it why \
         it runs"
    )
}

/// Says why it did not come to an end, or to a beginning.
fn explain(error: anyhow::Error, call: &Call<'_>) -> anyhow::Error {
    if error.is::<Help>() {
        return error;
    }
    if !error.is::<TimedOut>() {
        return error.context(Help("set TMPDIR to a folder where programs may be started".into()));
    }
    let seconds = call.limit.as_secs_f32();
    let why = format!("it did not end within {seconds} s and was stopped");
    failure(why, "it must end by itself: without input, a network or a server of its own")
}

/// All that the program is told: nothing of this machine's, and no way out.
fn environment(folders: &Folders, call: &Call<'_>) -> Env {
    let mut vars: Vec<(OsString, OsString)> = folders.vars();
    let epoch = call.time.as_second().to_string();
    let fixed = [
        ("PATH", if cfg!(windows) { r"C:\Windows\System32" } else { "/usr/bin:/bin" }),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("COLUMNS", "80"),
        ("SOURCE_DATE_EPOCH", &*epoch),
        ("DOCKLESS_GENERATE", "1"),
    ];
    vars.extend(fixed.map(|(name, value)| (name.into(), value.into())));
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        vars.extend(
            [name.to_owned(), name.to_uppercase()].map(|name| (name.into(), NO_PROXY_THERE.into())),
        );
    }
    // Windows starts little without it.
    let root = call.env.get("SYSTEMROOT").filter(|_| cfg!(windows));
    vars.extend(root.map(|root| ("SystemRoot".into(), root.to_owned())));
    Env::scrub(vars)
}

#[cfg(all(test, unix))]
mod tests;
