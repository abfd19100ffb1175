//! What programs are run, and how archives are packed.

use super::*;
use crate::config::{Generator, Output};

/// What is run for which target, and what is built beside what is shipped.
#[test]
fn programs_are_run_for_a_target_of_this_machine() {
    let arm = "aarch64-unknown-linux-musl";
    let gnu = "x86_64-unknown-linux-gnu";
    let apple = "aarch64-apple-darwin";
    let universal = "universal2-apple-darwin";
    for (host, shipped, runs, built) in [
        (gnu, &[X86, arm][..], X86, &[X86, arm][..]),
        (gnu, &[arm], X86, &[arm, X86]),
        (gnu, &[gnu], gnu, &[gnu]),
        (gnu, &[gnu, X86], X86, &[gnu, X86]),
        (
            gnu,
            &["x86_64-unknown-linux-gnu.2.28"],
            "x86_64-unknown-linux-gnu.2.28",
            &["x86_64-unknown-linux-gnu.2.28"],
        ),
        (apple, &[universal], universal, &[apple, "x86_64-apple-darwin"]),
        (apple, &[X86], apple, &[X86, apple]),
    ] {
        let mut project = single(None);
        project.rustc.host = host.to_owned();
        project.cross.zig = zig();
        let mut config = config(&project);
        let targets = |names: &[&str]| -> Vec<Target> {
            names.iter().map(|name| Target::parse(name).unwrap()).collect()
        };
        config.packages[0].targets = targets(shipped);
        config.packages[0].generate = vec![completions()];
        let archives = skipping(Skip::Image, Mode::Snapshot);
        let plan = plan(&config, &project, &archives).unwrap();
        assert_eq!(plan.left_out, []);
        assert_eq!(
            plan.generate[0].target.as_ref().unwrap().as_str(),
            runs,
            "{shipped:?} on {host}"
        );
        assert_eq!(plan.builds[0].targets, targets(built), "{shipped:?} on {host}");
        assert_eq!(plan.archives.len(), shipped.len());
        let graphs = wanted(&config, &project, &request(Mode::Snapshot)).unwrap();
        for target in targets(built) {
            assert!(graphs.iter().any(|wanted| wanted.target == target), "no graph of {target}");
        }
        // Without archives nothing is generated, and nothing more is built.
        let skipping = skipping(Skip::Archive, Mode::Snapshot);
        let skipping = super::plan(&config, &project, &skipping).unwrap();
        assert!(skipping.generate.is_empty());
        let built = if shipped == [universal] { targets(built) } else { targets(shipped) };
        assert_eq!(skipping.builds[0].targets, built);
    }
}

fn completions() -> Generator {
    Generator {
        bin: None,
        args: vec!["completions".to_owned()],
        output: Output::Stdout("tool.bash".to_owned()),
    }
}

#[test]
fn what_cannot_be_generated_is_left_out_of_a_snapshot_and_stops_a_release() {
    // It ships for another machine alone, and what would run here needs a C compiler.
    let arm = "aarch64-unknown-linux-gnu";
    let mut project = single(Some(git(&["v1.2.3"])));
    project.linkers.insert(arm.to_owned(), "ld".into());
    let mut config = config(&project);
    config.packages[0].targets = vec![Target::parse(arm).unwrap()];
    config.packages[0].generate = vec![completions()];
    for wanted in wanted(&config, &project, &request(Mode::Snapshot)).unwrap() {
        let musl = wanted.target.is_musl();
        let native = musl.then(|| native("ring", &["cc"], &[])).into_iter().collect();
        project.graphs.insert(wanted, Graph { native, ..Graph::default() });
    }
    let snapshot = plan(&config, &project, &request(Mode::Snapshot)).unwrap();
    assert_eq!(snapshot.left_out[0].what, "generated files of tool");
    let why = "no program that runs here: a C compiler for the target is needed by ring";
    assert!(snapshot.left_out[0].why.starts_with(why), "{}", snapshot.left_out[0].why);
    assert_eq!((snapshot.generate.len(), snapshot.archives.len()), (0, 1));
    assert_eq!(rules(plan(&config, &project, &request(Mode::Release))), ["not-buildable"]);
}

#[test]
fn a_generator_whose_program_is_not_built_is_left_out() {
    let mut project = single(None);
    let extra = Bin { name: "extra".into(), required_features: vec!["deep".into()] };
    project.packages[0].bins.push(extra);
    let mut config = config(&project);
    let of_extra = Generator { bin: Some("extra".to_owned()), ..completions() };
    config.packages[0].generate = vec![of_extra, completions()];
    let plan = plan(&config, &project, &request(Mode::Snapshot)).unwrap();
    assert_eq!(plan.generate.iter().map(|plan| &*plan.bin).collect::<Vec<_>>(), ["tool"]);
    let left_out = &plan.left_out[1];
    assert_eq!(
        (&*left_out.what, &*left_out.why, left_out.by_choice),
        ("tool.bash of tool", "extra, which writes it, is not built", true)
    );
}

#[test]
fn a_generated_name_that_another_entry_has_is_refused() {
    let project = single(None);
    let mut config = config(&project);
    config.packages[0].generate = vec![completions(), completions()];
    assert_eq!(rules(plan(&config, &project, &request(Mode::Snapshot))), ["archive-name"]);
    for (name, taken) in [("LICENSE", true), ("tool", true), ("tool.exe", false)] {
        let output = Output::Stdout(name.to_owned());
        config.packages[0].generate = vec![Generator { output, ..completions() }];
        let planned = plan(&config, &project, &request(Mode::Snapshot));
        assert_eq!(planned.is_err(), taken, "{name}");
    }
}

#[test]
fn an_archive_for_windows_is_a_zip() {
    let mut project = single(None);
    project.cross.zig = zig();
    let plan = planned(project, "x86_64-pc-windows-gnu", None).unwrap();
    let archive = &plan.archives[0];
    assert_eq!(archive.name, "tool-v1.2.3-x86_64-pc-windows-gnu.zip");
    assert_eq!(archive.entry_names(&plan.generate), ["tool.exe", "LICENSE"]);
    assert_eq!(serde_json::to_value(archive).unwrap()["format"], "zip");
}
