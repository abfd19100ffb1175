//! What is left to do once the files are written, for people to read.

use super::Facts;
use super::logins::{Need, Registry};

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

/// The steps after the workflows were written: what only a person can set on GitHub.
pub fn after_workflows(facts: &Facts) -> String {
    let mut needs: Vec<Need> = Vec::new();
    for need in facts.registries.iter().flat_map(Registry::needs) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    let krew = Need {
        name: "KREW_GITHUB_TOKEN",
        is_secret: true,
        what: "a token that may fork the index and open pull requests",
    };
    needs.extend(facts.krew.then_some(krew));
    let mut lines = vec![
        "Next, on GitHub (or with its program gh):".to_owned(),
        "  gh api --method PUT 'repos/{owner}/{repo}/environments/release'".to_owned(),
        format!(
            "    the environment `release`; in its settings allow only the tags {}, and name reviewers",
            facts.tags
        ),
    ];
    for need in &needs {
        let kind = if need.is_secret { "secret" } else { "variable" };
        lines.push(format!("  gh {kind} set {} --env release", need.name));
        lines.push(format!("    {}", need.what));
    }
    for registry in &facts.registries {
        let by = match registry {
            Registry::GitHub => "by the token of the workflow",
            Registry::Other(_) => "by DOCKER_AUTH_CONFIG",
            it if it.by_identity() => "by the identity of the workflow, which the cloud must trust",
            _ => "by its user and token",
        };
        lines.push(format!("  logged in to: {}, {by}", registry.host()));
    }
    let sign = "  optional: a key that signs (`cargo dockless keygen`), in the secrets \
                COSIGN_PRIVATE_KEY and COSIGN_PASSWORD";
    lines.push(sign.to_owned());
    lines.push("Then commit .github/ and Cargo.lock, and push a tag to release it.".to_owned());
    lines.join("\n")
}
