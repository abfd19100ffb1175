//! Dockerfiles: what the last stage makes is an image, and most of what it says is a setting.

use std::path::Path;

use super::{Member, Sheet, Value};
use crate::plan::program_path;
use crate::target::Target;
use crate::yaml::SyntaxError;
use copies::{Copied, Copies};
use stages::{Image, Line, Stages};
use syntax::Instruction;

mod copies;
mod stages;
mod syntax;
mod users;

/// The folder of programs where no setting says it.
const BIN_DIR: &str = "/usr/local/bin";

/// The text by which this tool marks its own.
const OWN: &str = crate::dockerfile::MARK;

/// Takes over what the last stage says.
pub fn read(text: &str, sheet: &mut Sheet<'_>) -> Result<(), SyntaxError> {
    if text.lines().next().is_some_and(|line| line.contains(OWN)) {
        return Ok(());
    }
    let (escape, instructions) = syntax::parse(text)?;
    let stages = Stages::of(&instructions, escape);
    let image = stages.last();
    let users = users::of(&image.all());
    let copies = Copies { stages: &stages, users: &users, image: &image };
    let copied = copies.find(sheet);
    let Some(member) = member(&image, &copied, sheet) else {
        sheet.note(image.line, "it says no package: name its program in ENTRYPOINT or COPY");
        return Ok(());
    };
    let mut writer = Writer { member: &member, image: &image, copied: &copied, sheet };
    writer.base(&stages);
    writer.user(&users);
    writer.bin_dir();
    writer.start();
    writer.pairs();
    writer.lists();
    writer.workdir();
    writer.files();
    writer.rest();
    Ok(())
}

/// The package that the image is of: the one whose program is copied or started, or the only one.
fn member(image: &Image<'_>, copied: &Copied, sheet: &Sheet<'_>) -> Option<Member> {
    let scene = sheet.scene;
    let by_name = |name: &str| scene.members.iter().find(|it| it.bins.iter().any(|it| it == name));
    let program = copied.programs.iter().find_map(|program| by_name(&program.bin));
    let started = || {
        let line = image.lines("ENTRYPOINT").chain(image.lines("CMD")).last()?;
        let words = line.args()?;
        words.iter().find_map(|word| by_name(base_name(word)))
    };
    let folder = || {
        let folder = sheet.file.parent().filter(|it| !it.as_os_str().is_empty())?;
        let folder = scene.root.join(folder);
        scene.members.iter().find(|it| it.manifest.parent() == Some(&*folder))
    };
    let only = || if scene.members.len() == 1 { scene.members.first() } else { None };
    program.or_else(started).or_else(folder).or_else(only).cloned()
}

/// The last part of a path.
fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// Writes the settings of one package's image.
struct Writer<'a, 'b> {
    member: &'a Member,
    image: &'a Image<'a>,
    copied: &'a Copied,
    sheet: &'a mut Sheet<'b>,
}

impl Writer<'_, '_> {
    fn set(&mut self, key: &str, value: Value, line: usize) {
        let name = self.member.name.clone();
        self.sheet.set(Some(&name), &["image", key], value, line);
    }

    /// The base: the one that the last stage begins with, unless this tool has the same.
    fn base(&mut self, stages: &Stages<'_>) {
        let (line, base) = (self.image.line, self.image.base.clone());
        let Ok(base) = base else {
            let name = self.image.base.clone().err().unwrap_or_default();
            let why = format!("the base is not taken over: nothing says the value of {name}");
            self.sheet
                .note(line, format!("{why}; set `base` in [package.metadata.dockless.image]"));
            return;
        };
        if let Some(platform) = stages.platform() {
            self.sheet
                .note(line, format!("--platform={platform} is not taken over: `targets` say it"));
        }
        let is_static = base.contains("distroless/static");
        if base == "scratch" && self.copied.builtin.is_empty() {
            self.set("base", Value::text("scratch"), line);
        } else if is_static || base == "scratch" {
            // The builtin base is distroless/static, with the certificates that `scratch` lacks.
            for (line, what) in &self.copied.builtin {
                self.sheet
                    .note(*line, format!("{what} is in the base `builtin`, which is the default"));
            }
        } else if crate::reference::Reference::parse(&base).is_ok() {
            self.set("base", Value::text(&base), line);
            self.sheet.note(
                line,
                format!(
                    "the base {base} stays; pin it with `cargo dockless image --update-base`. A \
                     static program needs no distribution: base = \"builtin\", the default, has \
                     certificates and time zones"
                ),
            );
        } else {
            self.sheet
                .note(line, format!("the base is not taken over: {base:?} is not a reference"));
        }
    }

    /// The user. Where nothing says one, it is root, unless the base says otherwise.
    fn user(&mut self, users: &users::Users) {
        let base = self.image.base.clone().unwrap_or_default();
        let Some(line) = self.image.lines("USER").last() else {
            if !base.contains("nonroot") {
                self.set("user", Value::text("0"), self.image.line);
                let why = "it names no USER, so the image runs as root, as before; without the \
                           setting `user` it would run as 65532";
                self.sheet.note(self.image.line, why);
            }
            return;
        };
        let number = line.words().ok().and_then(|words| users.number(words.first()?));
        match number {
            Some(number) if number == "65532" => {}
            Some(number) => self.set("user", Value::text(number), line.at()),
            None => {
                let why = "it has to be a number, because Kubernetes cannot check a name; the \
                           image runs as 65532";
                let text = &line.instruction.rest;
                self.sheet.note(line.at(), format!("USER {text} is not taken over: {why}"));
            }
        }
    }

    /// The folder of the programs, unless it is that of the default.
    fn bin_dir(&mut self) {
        if let Some((line, dir)) = self.copied.bin_dir().filter(|(_, dir)| *dir != BIN_DIR) {
            self.set("bin-dir", Value::text(dir), line);
        }
    }

    /// The path of a program in the image that is made here.
    fn place(&self, bin: &str) -> String {
        let dir = self.copied.bin_dir().map_or(BIN_DIR, |(_, dir)| dir);
        program_path(dir, bin)
    }

    /// Entrypoint and arguments. The program may have another name here.
    fn start(&mut self) {
        let entrypoint = self.image.lines("ENTRYPOINT").last();
        // An ENTRYPOINT removes a CMD of the stages before it.
        let after = entrypoint.as_ref().map_or(0, |it| it.order);
        let of_own = |it: &Line<'_>| it.order > after || it.stage >= self.image.stage_of(after);
        let cmd = self.image.lines("CMD").last().filter(of_own);
        let (mut start, mut args) = (Vec::new(), Vec::new());
        for (line, to) in [(&entrypoint, &mut start), (&cmd, &mut args)] {
            let Some(line) = line else { continue };
            match line.args() {
                Some(words) => *to = words,
                None => {
                    let text = format!("{} {}", line.instruction.name, line.instruction.rest);
                    let why = "it needs a shell, which a static image has not: write the program \
                               and its arguments as a list";
                    self.sheet.note(line.at(), format!("{text} is not taken over: {why}"));
                }
            }
        }
        let line = entrypoint.as_ref().or(cmd.as_ref()).map_or(self.image.line, Line::at);
        if start.is_empty() && args.first().is_some_and(|it| self.program(it).is_some()) {
            start = vec![args.remove(0)];
        }
        if let Some(init) =
            start.first().filter(|it| ["tini", "dumb-init"].contains(&base_name(it)))
        {
            let why = format!(
                "{init} is not in the image: the program is process 1, and has to handle SIGTERM"
            );
            self.sheet.note(line, why);
            start.remove(0);
            while start.first().is_some_and(|it| it.starts_with('-')) {
                start.remove(0);
            }
        }
        if let Some(program) = start.first().and_then(|it| self.program(it)) {
            let path = self.place(&program);
            if self.absolute(&start[0]) != path {
                self.sheet
                    .note(line, format!("the program is {path} in the image, not {}", start[0]));
            }
            start[0] = path;
        } else if let Some(other) = start.first() {
            let why = format!(
                "the entrypoint {other} is none of the package's programs: it has to be in the base or in `files`"
            );
            self.sheet.note(line, why);
        }
        if start.len() > 1 || start.first().is_some_and(|it| *it != self.default_program()) {
            self.set("entrypoint", Value::texts(start), line);
        }
        if !args.is_empty() {
            self.set("cmd", Value::texts(args), cmd.as_ref().map_or(line, Line::at));
        }
    }

    /// The program of the package that a path in the image, or a name, stands for.
    fn program(&self, path: &str) -> Option<String> {
        let place = self.absolute(path);
        let copied = self.copied.programs.iter();
        let mut copied = copied.filter(|it| it.to == place || base_name(&it.to) == path);
        let copied = copied.next().map(|it| it.bin.clone());
        let named = || self.member.bins.iter().find(|bin| *bin == base_name(path)).cloned();
        copied.or_else(named)
    }

    fn absolute(&self, path: &str) -> String {
        if path.contains('/') { stages::join(&self.image.workdir(), path) } else { path.to_owned() }
    }

    /// What the image starts where no setting says it.
    fn default_program(&self) -> String {
        let bins = &self.member.bins;
        let own = bins.iter().find(|bin| **bin == self.member.name).or(bins.first());
        own.map_or_else(String::new, |bin| self.place(bin))
    }

    /// Variables and labels.
    fn pairs(&mut self) {
        for (name, key) in [("ENV", "env"), ("LABEL", "labels")] {
            let (mut found, mut first) = (Vec::<(String, Value)>::new(), None);
            for line in self.image.lines(name) {
                let pairs = match line.pairs() {
                    Ok(pairs) => pairs,
                    Err(variable) => {
                        let why = format!("nothing says the value of {variable}");
                        let text = &line.instruction.rest;
                        self.sheet
                            .note(line.at(), format!("{name} {text} is not taken over: {why}"));
                        continue;
                    }
                };
                for (variable, value) in pairs {
                    if let Some(why) = left_out(name, &variable, &value) {
                        self.sheet.note(line.at(), format!("{name} {variable}: {why}"));
                        continue;
                    }
                    first = first.or(Some(line.at()));
                    found.retain(|(known, _)| *known != variable);
                    found.push((variable, Value::Text(value)));
                }
            }
            if let Some(line) = first {
                self.set(key, Value::Table(found), line);
            }
        }
    }

    /// Ports, volumes and the signal to stop.
    fn lists(&mut self) {
        for (name, key) in [("EXPOSE", "ports"), ("VOLUME", "volumes")] {
            let (mut found, mut first) = (Vec::<String>::new(), None);
            for line in self.image.lines(name) {
                let Ok(words) = line.list() else {
                    let text = &line.instruction.rest;
                    self.sheet.note(line.at(), format!("{name} {text} is not taken over"));
                    continue;
                };
                for word in words {
                    let value = if key == "ports" {
                        port(&word)
                    } else {
                        Some(stages::join(&self.image.workdir(), &word)).filter(|it| it != "/")
                    };
                    let Some(value) = value else {
                        self.sheet.note(line.at(), format!("{name} {word} is not taken over"));
                        continue;
                    };
                    first = first.or(Some(line.at()));
                    if !found.contains(&value) {
                        found.push(value);
                    }
                }
            }
            if let Some(line) = first {
                self.set(key, Value::texts(found), line);
            }
        }
        if let Some(line) = self.image.lines("STOPSIGNAL").last() {
            match line.words() {
                Ok(words) if words.len() == 1 => {
                    self.set("stop-signal", Value::text(&words[0]), line.at());
                }
                _ => self.sheet.note(line.at(), "STOPSIGNAL is not taken over"),
            }
        }
    }

    fn workdir(&mut self) {
        if let Some(line) = self.image.lines("WORKDIR").last() {
            let (at, workdir) = (line.at(), self.image.workdir());
            self.set("workdir", Value::text(workdir), at);
        }
    }

    fn files(&mut self) {
        for (line, note) in &self.copied.notes {
            self.sheet.note(*line, note);
        }
        if let Some((line, _)) = self.copied.files.first() {
            let files = self.copied.files.iter().map(|(_, file)| file.clone()).collect();
            self.set("files", Value::List(files), *line);
        }
    }

    /// What has no setting.
    fn rest(&mut self) {
        for line in self.image.all() {
            let Instruction { name, rest, .. } = line.instruction;
            let why = match &**name {
                "RUN" => {
                    "an image is made without running anything in it; files come from the \
                          project, and a static program needs no packages"
                }
                "HEALTHCHECK" => "images of OCI have none: Kubernetes asks by a probe",
                "SHELL" | "ONBUILD" | "MAINTAINER" => "it has no setting here",
                _ => continue,
            };
            let mut short: String = rest.chars().take(60).collect();
            if short.len() < rest.len() {
                short.push('…');
            }
            self.sheet.note(line.at(), format!("{name} {short} is not taken over: {why}"));
        }
    }
}

/// Why a variable or a label is left out.
fn left_out(instruction: &str, name: &str, value: &str) -> Option<&'static str> {
    if value.contains("{{") || name.is_empty() {
        return Some("it is not taken over: settings read {{ }} as a template");
    }
    match (instruction, name) {
        ("ENV", "PATH") => Some("PATH is set already, with /usr/local/bin in it"),
        ("LABEL", name) if name.starts_with("org.opencontainers.image.") => {
            Some("it comes from Cargo.toml and git")
        }
        _ => None,
    }
}

/// A port with its protocol, or a range of them.
fn port(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let (numbers, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|it| *it > 0);
    let fit = number(first)? <= number(last)? && ["tcp", "udp", "sctp"].contains(&protocol);
    fit.then(|| format!("{numbers}/{protocol}"))
}

/// The target that a platform of images means.
pub fn target_of(platform: &str) -> Option<Target> {
    let target = match platform {
        "linux/amd64" | "linux/amd64/v1" => "x86_64-unknown-linux-musl",
        "linux/arm64" | "linux/arm64/v8" => "aarch64-unknown-linux-musl",
        "linux/arm/v7" | "linux/arm" => "armv7-unknown-linux-musleabihf",
        "linux/arm/v6" => "arm-unknown-linux-musleabihf",
        "linux/386" => "i686-unknown-linux-musl",
        "linux/ppc64le" => "powerpc64le-unknown-linux-musl",
        "linux/riscv64" => "riscv64gc-unknown-linux-musl",
        "linux/s390x" => "s390x-unknown-linux-musl",
        _ => return None,
    };
    Target::parse(target).ok()
}

/// A path below a folder, or an absolute one, as text.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
