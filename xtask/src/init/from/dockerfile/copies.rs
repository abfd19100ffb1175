//! What a Dockerfile copies into its image: programs, files of the project, and the rest.

use super::stages::{Image, Line, Stages, join};
use super::users::Users;
use super::{base_name, shown};
use crate::init::from::{Sheet, Value};

/// What the COPY and ADD instructions of the image say.
#[derive(Default)]
pub struct Copied {
    pub programs: Vec<Program>,
    /// Entries of the setting `files`, each with its line.
    pub files: Vec<(usize, Value)>,
    /// What the builtin base has too.
    pub builtin: Vec<(usize, String)>,
    pub notes: Vec<(usize, String)>,
}

/// A program of the workspace in the image.
pub struct Program {
    pub bin: String,
    /// Its path in the image.
    pub to: String,
    pub line: usize,
}

impl Copied {
    /// The folder of the programs that keep their names, and the line that says it. `None` where
    /// they lie in several.
    pub fn bin_dir(&self) -> Option<(usize, &str)> {
        let named = self.programs.iter().filter(|it| base_name(&it.to) == it.bin);
        let mut dirs = named.map(|it| (it.line, it.to.rsplit_once('/').map_or("", |(dir, _)| dir)));
        let (line, first) = dirs.next()?;
        let first = if first.is_empty() { "/" } else { first };
        dirs.all(|(_, dir)| dir == first.trim_end_matches('/')).then_some((line, first))
    }
}

/// What is needed to understand them.
pub struct Copies<'a> {
    pub stages: &'a Stages<'a>,
    pub users: &'a Users,
    pub image: &'a Image<'a>,
}

/// Where a copy comes from.
enum Origin {
    /// The project: a path in the context.
    Context(String),
    Program(String),
    /// Something that the builtin base has.
    Builtin,
    /// Why it cannot be taken over.
    Unknown(String),
}

impl Copies<'_> {
    pub fn find(&self, sheet: &Sheet<'_>) -> Copied {
        let mut found = Copied::default();
        for line in self.image.all() {
            if ["COPY", "ADD"].contains(&&*line.instruction.name) {
                self.copy(&line, sheet, &mut found);
            }
        }
        found
    }

    fn copy(&self, line: &Line<'_>, sheet: &Sheet<'_>, found: &mut Copied) {
        let text = format!("{} {}", line.instruction.name, line.instruction.rest);
        let mut refuse = |why: &str| {
            found.notes.push((line.at(), format!("{text} is not taken over: {why}")));
        };
        if line.instruction.has_heredoc {
            return refuse("put the text into a file of the project");
        }
        let mut words = match line.list() {
            Ok(words) => words,
            Err(name) => return refuse(&format!("nothing says the value of {name}")),
        };
        let Some(to) = words.pop().filter(|_| !words.is_empty()) else {
            return refuse("it names no destination");
        };
        let several = words.len() > 1;
        for from in words {
            let origin = match line.instruction.flag("from") {
                Some(stage) => self.of_stage(stage, &from, line.stage, sheet),
                None if line.instruction.name == "ADD"
                    && (from.contains("://") || is_tar(&from)) =>
                {
                    Origin::Unknown("put what it unpacks or downloads into the project".to_owned())
                }
                None => context(&from, sheet),
            };
            let folder = several || to.ends_with('/') || to == "." || to.ends_with("/.");
            let place = join(&self.image.workdir_at(line.order), &to);
            match origin {
                Origin::Program(bin) => {
                    let to = if folder { join(&place, base_name(&from)) } else { place };
                    found.programs.push(Program { bin, to, line: line.at() });
                }
                Origin::Builtin => found.builtin.push((line.at(), from)),
                Origin::Context(path) => match self.entry(line, &path, &place, folder, sheet) {
                    Ok(entry) => found.files.push((line.at(), entry)),
                    Err(why) => found.notes.push((line.at(), why)),
                },
                Origin::Unknown(why) => {
                    let why = format!("{from}, copied to {place}, is not taken over: {why}");
                    found.notes.push((line.at(), why));
                }
            }
        }
    }

    /// An entry of `files`.
    fn entry(
        &self,
        line: &Line<'_>,
        from: &str,
        to: &str,
        folder: bool,
        sheet: &Sheet<'_>,
    ) -> Result<Value, String> {
        let pattern = from.contains(['*', '?', '[']);
        let is_folder = sheet.scene.root.join(from).is_dir();
        // A folder's contents are copied; a file goes into a folder that ends with a slash.
        let slash = (folder || pattern) && !is_folder && to != "/";
        let to = if slash { format!("{to}/") } else { to.to_owned() };
        let mut entry =
            vec![("from".to_owned(), Value::text(from)), ("to".to_owned(), Value::text(to))];
        if let Some(mode) = line.instruction.flag("chmod") {
            let mode = line.filled(mode).unwrap_or_default();
            let octal =
                (3..=4).contains(&mode.len()) && mode.bytes().all(|it| (b'0'..b'8').contains(&it));
            if !octal {
                return Err(format!(
                    "--chmod={mode} of {from} is not taken over: write it in octal digits"
                ));
            }
            entry.push(("mode".to_owned(), Value::text(mode)));
        }
        if let Some(owner) = line.instruction.flag("chown") {
            let typed = line.filled(owner).unwrap_or_default();
            match self.users.number(typed.trim_end_matches(':')) {
                Some(owner) if owner == "0" || owner == "0:0" => {}
                Some(owner) => entry.push(("owner".to_owned(), Value::text(owner))),
                None => {
                    return Err(format!(
                        "{from} is not taken over: its owner {typed:?} has to be a number"
                    ));
                }
            }
        }
        Ok(Value::Table(entry))
    }

    /// Where a path of another stage, or of another image, comes from.
    fn of_stage(&self, stage: &str, from: &str, of: usize, sheet: &Sheet<'_>) -> Origin {
        if let Some(bin) = bin(base_name(from), sheet) {
            return Origin::Program(bin);
        }
        let known = ["/etc/ssl/certs", "/usr/share/zoneinfo", "/etc/passwd", "/etc/group"];
        if known.iter().any(|it| from.starts_with(it)) {
            return Origin::Builtin;
        }
        let Some(number) = self.stages.number(stage, of) else {
            return Origin::Unknown(format!("it comes from the image {stage}"));
        };
        let image = self.stages.image(number);
        let place = join(&image.workdir(), from);
        if let Some(bin) = renamed(&image, base_name(from), sheet) {
            return Origin::Program(bin);
        }
        // The last copy from the project that has the path below it.
        for line in image.lines("COPY").chain(image.lines("ADD")) {
            let (None, Ok(mut words)) = (line.instruction.flag("from"), line.list()) else {
                continue;
            };
            let Some(to) = words.pop() else { continue };
            let to = join(&image.workdir_at(line.order), &to);
            for source in words {
                let source = join("/", &source);
                let below = place.strip_prefix(&to).map(|rest| rest.trim_start_matches('/'));
                let Some(below) = below else { continue };
                let path = join(&source, below);
                let path = path.trim_start_matches('/');
                if !path.is_empty() && sheet.scene.root.join(path).exists() {
                    return context(path, sheet);
                }
            }
        }
        Origin::Unknown(format!("the stage {stage} makes it; let the project make it before"))
    }
}

/// The program of the workspace of a name.
fn bin(name: &str, sheet: &Sheet<'_>) -> Option<String> {
    let mut bins = sheet.scene.members.iter().flat_map(|it| &it.bins);
    bins.find(|bin| *bin == name).cloned()
}

/// The program that a stage gave another name: `cp target/release/tool /app/server`.
fn renamed(image: &Image<'_>, name: &str, sheet: &Sheet<'_>) -> Option<String> {
    let runs: Vec<String> = image.lines("RUN").map(|it| it.instruction.rest.clone()).collect();
    let words: Vec<&str> = runs.iter().flat_map(|it| it.split_whitespace()).collect();
    let moves = ["cp", "mv", "install"];
    let starts = words.iter().enumerate().filter(|(_, word)| moves.contains(word));
    for (at, _) in starts {
        let ends = |it: &&&str| !["&&", "||", ";", "|"].contains(*it);
        let args: Vec<&str> = words[at + 1..].iter().take_while(ends).copied().collect();
        let paths: Vec<&str> = args.into_iter().filter(|it| !it.starts_with('-')).collect();
        if let [.., from, to] = &paths[..]
            && base_name(to.trim_end_matches(';')) == name
            && let Some(bin) = bin(base_name(from), sheet)
        {
            return Some(bin);
        }
    }
    None
}

/// A path of the context, where the project has it.
fn context(from: &str, sheet: &Sheet<'_>) -> Origin {
    let path = join("/", from);
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        let why = "it is the whole project: name the files that the program reads in `files`";
        return Origin::Unknown(why.to_owned());
    }
    if path.contains("{{") {
        return Origin::Unknown("settings read {{ }} as a template".to_owned());
    }
    let beside =
        sheet.file.parent().map(|it| it.join(path)).filter(|it| sheet.scene.has(&shown(it)));
    if sheet.scene.has(path) {
        Origin::Context(path.to_owned())
    } else if let Some(beside) = beside {
        Origin::Context(shown(&beside))
    } else {
        Origin::Unknown("the project has no such file".to_owned())
    }
}

/// Whether ADD unpacks a file of this name.
fn is_tar(name: &str) -> bool {
    [".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst"]
        .iter()
        .any(|it| name.ends_with(it))
}
