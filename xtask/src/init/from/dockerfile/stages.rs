//! The stages of a Dockerfile, and the variables that are known in each.

use std::collections::BTreeMap;

use super::syntax::{Escape, Instruction, pairs, words};

/// All stages of a file.
pub struct Stages<'a> {
    stages: Vec<Stage<'a>>,
    escape: Escape,
}

/// From one FROM to the next.
pub struct Stage<'a> {
    name: Option<String>,
    from: &'a Instruction,
    /// What it begins with; an error is the name of a variable without a value.
    base: Result<String, String>,
    /// The instructions, each with the variables that are known there.
    lines: Vec<(&'a Instruction, BTreeMap<String, String>)>,
}

/// One instruction of an image.
#[derive(Clone)]
pub struct Line<'a> {
    pub instruction: &'a Instruction,
    known: &'a BTreeMap<String, String>,
    escape: Escape,
    /// The number of its stage.
    pub stage: usize,
    /// The number of the instruction among those of the image, from 1.
    pub order: usize,
}

/// An image: the instructions of a stage after those of the stages that it begins with.
pub struct Image<'a> {
    /// The line of the FROM.
    pub line: usize,
    /// The image that it is based on.
    pub base: Result<String, String>,
    lines: Vec<Line<'a>>,
}

impl<'a> Stages<'a> {
    pub fn of(instructions: &'a [Instruction], escape: Escape) -> Stages<'a> {
        let mut stages: Vec<Stage<'a>> = Vec::new();
        let mut global = BTreeMap::new();
        let mut known = BTreeMap::new();
        for instruction in instructions {
            if instruction.name == "FROM" {
                known = BTreeMap::new();
                stages.push(stage(instruction, escape, &global));
                continue;
            }
            let lookup = |name: &str| known.get(name).cloned();
            match &*instruction.name {
                "ARG" => {
                    let found = arguments(&instruction.rest, escape, &lookup, &global);
                    let to = if stages.is_empty() { &mut global } else { &mut known };
                    to.extend(found);
                }
                "ENV" => {
                    let found = pairs(&instruction.rest, escape, &lookup).unwrap_or_default();
                    let before = known.clone();
                    known.extend(found);
                    if let Some(stage) = stages.last_mut() {
                        stage.lines.push((instruction, before));
                    }
                    continue;
                }
                _ => {}
            }
            if let Some(stage) = stages.last_mut() {
                stage.lines.push((instruction, known.clone()));
            }
        }
        Stages { stages, escape }
    }

    /// The number of the stage of a name, or of a number. A stage knows those before it.
    pub fn number(&self, name: &str, before: usize) -> Option<usize> {
        let earlier = &self.stages[..before.min(self.stages.len())];
        let is_it =
            |stage: &Stage<'_>| stage.name.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(name));
        let by_number = || name.parse::<usize>().ok().filter(|it| *it < earlier.len());
        earlier.iter().rposition(is_it).or_else(by_number)
    }

    /// The image that the whole file makes.
    pub fn last(&self) -> Image<'_> {
        self.image(self.stages.len().saturating_sub(1))
    }

    /// The image that a stage makes.
    pub fn image(&self, number: usize) -> Image<'_> {
        let mut chain = vec![number];
        let mut base = Err(String::new());
        let mut line = 1;
        let mut at = number;
        while let Some(stage) = self.stages.get(at) {
            if at == number {
                line = stage.from.line;
            }
            base = stage.base.clone();
            // A stage begins with an earlier one only, so this ends.
            match base.as_ref().ok().and_then(|base| self.named(base, at)) {
                Some(below) => at = below,
                None => break,
            }
            chain.push(at);
        }
        let mut lines = Vec::new();
        for stage in chain.into_iter().rev() {
            for (instruction, known) in self.stages.get(stage).map_or(&[][..], |it| &it.lines) {
                let (escape, order) = (self.escape, lines.len() + 1);
                lines.push(Line { instruction, known, escape, stage, order });
            }
        }
        Image { line, base, lines }
    }

    /// The stage of a name, before another one. FROM takes no numbers.
    fn named(&self, name: &str, before: usize) -> Option<usize> {
        self.number(name, before).filter(|_| name.parse::<usize>().is_err())
    }

    /// The platform that the last stage names.
    pub fn platform(&self) -> Option<&str> {
        self.stages.last()?.from.flag("platform")
    }
}

/// The variables of an ARG. In a stage, one without a value has that of before the stages.
fn arguments(
    text: &str,
    escape: Escape,
    value: &dyn Fn(&str) -> Option<String>,
    global: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        if word.contains('=') {
            found.extend(pairs(word, escape, value).unwrap_or_default());
        } else if let Some(value) = global.get(word) {
            found.push((word.to_owned(), value.clone()));
        }
    }
    found
}

fn stage<'a>(
    from: &'a Instruction,
    escape: Escape,
    global: &BTreeMap<String, String>,
) -> Stage<'a> {
    let words = words(&from.rest, escape, &|name| global.get(name).cloned());
    let base = words.as_ref().map(|it| it.first().cloned().unwrap_or_default());
    let name = words.as_ref().ok().and_then(|words| match &words[..] {
        [_, between, name, ..] if between.eq_ignore_ascii_case("as") => Some(name.clone()),
        _ => None,
    });
    Stage { name, from, base: base.map_err(Clone::clone), lines: Vec::new() }
}

impl Line<'_> {
    /// The number of its line, from 1.
    pub fn at(&self) -> usize {
        self.instruction.line
    }

    /// The words, with variables replaced. An error is the name of one without a value.
    pub fn words(&self) -> Result<Vec<String>, String> {
        words(&self.instruction.rest, self.escape, &|name| self.known.get(name).cloned())
    }

    /// A text with variables replaced.
    pub fn filled(&self, text: &str) -> Result<String, String> {
        let words = words(text, self.escape, &|name| self.known.get(name).cloned())?;
        Ok(words.join(" "))
    }

    pub fn pairs(&self) -> Result<Vec<(String, String)>, String> {
        pairs(&self.instruction.rest, self.escape, &|name| self.known.get(name).cloned())
    }

    /// The words, or the list of JSON that takes their place.
    pub fn list(&self) -> Result<Vec<String>, String> {
        match self.instruction.exec() {
            Some(list) => list.iter().map(|it| self.filled(it)).collect(),
            None => self.words(),
        }
    }

    /// The program and its arguments; `None` where only a shell knows them. What is not quoted
    /// and has nothing that is special in a shell needs none.
    pub fn args(&self) -> Option<Vec<String>> {
        if let Some(args) = self.instruction.exec() {
            return Some(args);
        }
        let rest = self.instruction.rest.strip_prefix("exec ").unwrap_or(&self.instruction.rest);
        let special = |c: char| "$`\\\"'|&;<>()*?[]{}~#!=".contains(c);
        (!rest.contains(special)).then(|| rest.split_whitespace().map(str::to_owned).collect())
    }
}

impl<'a> Image<'a> {
    /// The instructions of a name.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = Line<'a>> {
        let lines: Vec<Line<'a>> =
            self.lines.iter().filter(|it| it.instruction.name == name).cloned().collect();
        lines.into_iter()
    }

    pub fn all(&self) -> Vec<Line<'a>> {
        self.lines.clone()
    }

    /// The stage of an instruction of this order.
    pub fn stage_of(&self, order: usize) -> usize {
        self.lines.iter().find(|it| it.order == order).map_or(0, |it| it.stage)
    }

    /// The working folder at the end.
    pub fn workdir(&self) -> String {
        self.workdir_at(usize::MAX)
    }

    /// The working folder at an instruction of this order.
    pub fn workdir_at(&self, order: usize) -> String {
        let mut folder = "/".to_owned();
        for line in self.lines("WORKDIR").filter(|it| it.order < order) {
            if let Some(word) = line.words().ok().and_then(|it| it.first().cloned()) {
                folder = join(&folder, &word);
            }
        }
        folder
    }
}

/// A path of an image below a folder, or an absolute one, without `.` and `..`.
pub fn join(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}
