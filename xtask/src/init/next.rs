//! What is left to do once the files are written, for people to read.

/// How the tool is run, and what there is.
pub struct Way {
    pub xtask: bool,
    pub has_git: bool,
}

/// The steps after the project was set up.
pub fn after_setup(way: &Way) -> Vec<String> {
    let tool = if way.xtask { "cargo xtask" } else { "cargo dockless" };
    let mut steps = Vec::new();
    if !way.has_git {
        steps.push(("git init", "a release is of a commit"));
    }
    let commands = [
        (format!("{tool} release --dry-run --snapshot"), "prints what a release would make"),
        (format!("{tool} release --snapshot"), "makes it in dist/"),
        (format!("{tool} init --workflows"), "writes the GitHub workflows that release each tag"),
    ];
    let steps = steps.into_iter().map(|(command, what)| (command.to_owned(), what));
    let mut steps: Vec<(String, &str)> = steps.chain(commands).collect();
    let commit = if way.xtask {
        "with Cargo.lock, which the first `cargo xtask` completes"
    } else {
        "with Cargo.lock"
    };
    steps.push(("git add --all && git commit".to_owned(), commit));
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    let lines = steps.iter().map(|(command, what)| format!("  {command:width$}   {what}"));
    std::iter::once("Next:".to_owned()).chain(lines).collect()
}
