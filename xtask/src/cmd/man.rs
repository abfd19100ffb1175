use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Cli, Common, World};
use crate::files;

/// Write the man pages: one of the program and one of each command
///
/// They are the texts of `--help`. They have the program's version and no date.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless man                              write man/*.1, print their paths
  cargo dockless man ~/.local/share/man/man1      where `man` finds them")]
pub struct Args {
    /// Write to this folder
    #[arg(value_name = "FOLDER", default_value = "man")]
    folder: PathBuf,
}

pub fn run(args: &Args, version: &str, _: &Common, world: &World) -> Result<ExitCode> {
    // The names of pages begin with the name of the program, as `man` is asked for them.
    let command = Cli::command().version(version.to_owned()).name("cargo-dockless");
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut written = Vec::new();
    for (name, page) in pages(&command, version)? {
        let path = world.dir.join(&args.folder).join(name);
        files::write(&path, &page)?;
        written.push(path);
    }
    world.term.results(&written, written.iter().map(|path| path.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The pages of a command and of all below it, by the names of their files.
fn pages(command: &clap::Command, version: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages.extend(self::pages(below, version)?);
    }
    let man = Man::new(command.clone());
    let name = man.get_filename();
    let page = page(command, &man, version).with_context(|| format!("write the page {name}"))?;
    pages.insert(0, (name, page));
    Ok(pages)
}

fn page(command: &clap::Command, man: &Man, version: &str) -> Result<Vec<u8>> {
    // The library leaves an empty date out, and what follows takes its place.
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = format!(".TH {name} 1 \"\" \"dockless {version}\"\n").into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        examples(&text.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// What stands after the options, line by line: each is a command.
fn examples(text: &str) -> Roff {
    let mut roff = Roff::default();
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in text.lines().skip_while(|line| *line == "Examples:") {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}
