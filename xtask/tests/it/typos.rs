//! A name that is nearly right: the error names the one that is meant.

use crate::world::{World, only_host};

/// The same words for a command, an option, a value and a name of the project.
#[test]
fn the_nearest_name_is_given() {
    let world = World::quick("1.0.0");
    world.file("src/bin/other.rs", "fn main() {}\n");
    for (args, code, near) in [
        ("releas", 2, "similar subcommand"),
        ("krew manifst", 2, "a similar subcommand exists: 'manifest'"),
        ("build --pakage tool", 2, "a similar argument exists: '--package'"),
        ("build --color nevr", 2, "a similar value exists: 'never'"),
        ("check --skip clipy", 2, "a similar value exists: 'clippy'"),
        ("check --only fmt,adit", 2, "a similar value exists: 'audit'"),
        ("release --skip publsh", 2, "a similar value exists: 'publish'"),
        ("image --load dokcer", 2, "a similar value exists: 'docker'"),
        ("resolve -f . --load pdoman", 2, "a similar value exists: 'podman'"),
        ("completions bahs", 2, "a similar value exists: 'bash'"),
        ("build --package tol", 1, "did you mean `tool`?"),
        ("build --bin tol", 1, "did you mean `tool`?"),
        ("run --bin tool --bin othr", 1, "did you mean `other`?"),
        ("image --bin othr", 1, "did you mean `other`?"),
        ("release --snapshot --package tol", 1, "did you mean `tool`?"),
        ("init --kubernetes --package tol", 1, "did you mean `tool`?"),
        ("build --target x86_64-unknwon-linux-musl", 1, "x86_64-unknown-linux-musl"),
    ] {
        world.run(args).ends_with(code).no_result().says(near);
    }
    world.run("build --bin zebra").ends_with(1).says("binaries are: other, tool");
}

#[test]
fn the_nearest_value_of_a_setting_is_given() {
    for (settings, near) in [
        ("[workspace.metadata.dockless]\npackages = [\"tol\"]", "did you mean `tool`?"),
        ("[workspace.metadata.dockless]\npackges = [\"tool\"]", "did you mean `packages`?"),
        ("[workspace.metadata.dockless.chek]\nrequire = []", "did you mean `check`?"),
        ("[workspace.metadata.dockless.check]\nrequire = [\"clipy\"]", "did you mean `clippy`?"),
        ("[workspace.metadata.dockless.audit]\ndeny = [\"yankd\"]", "did you mean `yanked`?"),
        ("[workspace.metadata.dockless.audit]\nseverity = \"hihg\"", "did you mean `high`?"),
        ("[workspace.metadata.dockless.audit]\nseverity = \"?\"", "name one of none, low, medium"),
        ("[workspace.metadata.dockless.sign]\nfiles = \"checksms\"", "did you mean `checksums`?"),
        ("[package.metadata.dockless]\nbins = [\"tol\"]", "did you mean `tool`?"),
        ("[package.metadata.dockless]\nfeatures = [\"exra\"]", "did you mean `extra`?"),
        (
            "[package.metadata.dockless.archive]\ngenerate = [{ bin = \"tol\", args = [], stdout = \"a\" }]",
            "did you mean `tool`?",
        ),
    ] {
        let world = World::quick("1.0.0");
        let more = only_host();
        // A table of the settings is there once.
        let more = if settings.contains("[package.metadata.dockless]") { "" } else { &more };
        let more = format!("{more}[features]\nextra = []\n{settings}\n");
        world.package("", "tool", "1.0.0", &more);
        world.run("build").ends_with(1).no_result().says(near);
    }
}
