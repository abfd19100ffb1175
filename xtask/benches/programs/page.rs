//! What came of it, as a table.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::table::{PROGRAMS, Program, Promise};
use crate::trial::{Trial, Verdict};

/// One line of the table.
pub struct Row {
    pub program: &'static Program,
    pub trial: Trial,
}

/// So many characters of a message fit into a table.
const SHORT: usize = 240;

/// The programs and what is promised of them.
pub fn list(programs: &[&Program]) -> String {
    let mut text = "| program | version | exercises | promised |\n|---|---|---|---|\n".to_owned();
    for program in programs {
        let promise = match program.promise {
            Promise::Runs(_) => "static, runs on both",
            Promise::Refused(_) => "refused by one message",
        };
        let Program { name, version, exercises, .. } = program;
        text += &format!("| {name} | {version} | {exercises} | {promise} |\n");
    }
    text
}

/// What is said as soon as one program is done.
pub fn progress(row: &Row) -> String {
    let time = row.trial.time.map_or(String::new(), |time| format!(", {}", minutes(time)));
    format!("  {}{time}", result(row))
}

/// The head of the table.
const HEAD: &str = "| program | version | exercises | result | x86_64 | aarch64 | build | date |\n\
                    |---|---|---|---|--:|--:|--:|---|\n";

pub fn table(rows: &[Row]) -> Result<String> {
    let lines = rows.iter().map(line).collect::<Result<String>>()?;
    Ok(format!("{HEAD}{lines}"))
}

fn line(row: &Row) -> Result<String> {
    let Program { name, version, exercises, .. } = row.program;
    let result = short(&result(row));
    let [x86_64, aarch64] = sizes(&row.trial.verdict);
    let time = row.trial.time.map_or("—".to_owned(), minutes);
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let cells = [*name, *version, *exercises, &*result, &*x86_64, &*aarch64, &*time];
    Ok(format!("| {} | {date} |\n", cells.join(" | ")))
}

/// Puts one program's line into docs/programs.md. Lines of other programs stay.
pub fn record(row: &Row) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/programs.md");
    let known = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("read docs/programs.md"),
    };
    let mut text = format!(
        "# Published programs, released as they are\n\n\
         The sources are as their authors published them, without any configuration. After\n\
         `cargo dockless setup --zig`, `cargo dockless release --snapshot` builds both default\n\
         targets. Every binary is unpacked from its archive, read for an interpreter, which a static\n\
         binary does not have, and started: the native one directly, the other with qemu. The time is\n\
         that of the whole release for both targets, from empty target folders\n\
         ({}).\n\n\
         `cargo bench -p dockless --bench programs -- --write` writes this page. Names of programs\n\
         after it update only their rows.\n\n{HEAD}",
        machine()?
    );
    for program in &PROGRAMS {
        let start = format!("| {} | ", program.name);
        let kept = known.lines().find(|line| line.starts_with(&start));
        match kept {
            _ if program.name == row.program.name => text += &line(row)?,
            Some(kept) => text += &format!("{kept}\n"),
            None => {}
        }
    }
    std::fs::write(&path, text).context("write docs/programs.md")
}

/// What it was built on.
fn machine() -> Result<String> {
    let cores = std::thread::available_parallelism().context("count the processors")?;
    let asked = Command::new("rustc").arg("-V").output().context("start rustc")?;
    ensure!(asked.status.success(), "`rustc -V` failed ({})", asked.status);
    let rustc = String::from_utf8(asked.stdout).context("read rustc's version")?;
    let rustc = rustc.split(" (").next().unwrap_or(&rustc);
    Ok(format!("{cores} cores, {}, {rustc}", std::env::consts::ARCH))
}

fn result(row: &Row) -> String {
    match &row.trial.verdict {
        Verdict::Runs(_) => "static, runs on both".to_owned(),
        Verdict::Refused(message) => format!("refused: {message}"),
        Verdict::Failed(why) => format!("FAILED: {why}"),
    }
}

/// The sizes for each architecture, those of several binaries in their order.
fn sizes(verdict: &Verdict) -> [String; 2] {
    let Verdict::Runs(sizes) = verdict else {
        return ["—".to_owned(), "—".to_owned()];
    };
    [0, 1].map(|arch| {
        let sizes = sizes.iter().map(|of_bin| format!("{:.1}", of_bin[arch] as f64 / 1e6));
        sizes.collect::<Vec<_>>().join(" + ") + " MB"
    })
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A message as a cell: one line, not too long, and no end of the cell within.
fn short(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let line = words.join(" ").replace('|', "\\|");
    match line.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}
