//! What a person sees: on terminals of several widths, in a pipe, and of a file that is there.

use crate::docs::golden;
use crate::world::running::start;
use crate::world::terminal::in_terminal;
use crate::world::{HOST, World, assert_whole, entry_names, names, run};

/// A plugin with long names, as its maker would have it.
fn plugin() -> World {
    let world = World::empty();
    let about = "license = \"MIT\"\ndescription = \"Shows a secret decoded\"\n\
                 repository = \"https://github.com/acme/kubectl-view-secret\"\n\
                 [package.metadata.dockless.image]\nrepositories = [\"ghcr.io/acme/view-secret\"]\n";
    world.package("", "kubectl-view-secret", "1.2.3", about).file("LICENSE", "free\n").lock();
    world
}

/// Whether a line is no wider than the terminal, or one word that cannot be broken.
fn fits(line: &str, columns: usize) -> bool {
    let words = line.split_whitespace().filter(|word| !word.ends_with(':'));
    line.chars().count() <= columns || words.count() == 1
}

#[test]
fn tables_fit_terminals_of_any_width() {
    let world = plugin();
    let mut page = String::new();
    for columns in [40, 80, 120] {
        let tool = world.tool(["release", "--snapshot", "--dry-run", "-q"]);
        let Some(shown) = in_terminal(columns, &tool, ("", ""), &world) else { return };
        assert_eq!(shown.code, 0, "{}", shown.text);
        for line in shown.text.lines() {
            assert!(fits(line, columns.into()), "{columns}: {line}");
        }
        page += &format!("{columns} columns\n{}\n{}\n", "=".repeat(columns.into()), shown.text);
    }
    golden("xtask/tests/it/manners/dry-run.txt", &page);
    // A pipe gets whole lines, whatever the terminal's width: programs read them.
    let piped = world.run("release --snapshot --dry-run").ends_with(0).stdout.clone();
    let archive =
        piped.lines().find(|line| line.contains("dist/kubectl-view-secret-v1.2.3-x86_64"));
    assert!(
        archive.is_some_and(|line| line.contains("LICENSE, THIRD") || line.contains("LICENSE"))
    );
}

#[test]
fn a_release_and_an_error_are_readable_on_any_terminal() {
    let world = World::quick("1.2.3");
    for columns in [40, 80] {
        let tool = world.tool(["release", "--snapshot", "--color", "never"]);
        let Some(shown) = in_terminal(columns, &tool, ("", ""), &world) else { return };
        assert_eq!(shown.code, 0, "{}", shown.text);
        let tables = &shown.text[shown.text.find("\nartifact").unwrap()..];
        let tables = &tables[..tables.find("\nROOT/").unwrap()];
        for line in tables.lines() {
            assert!(fits(line, columns.into()), "{columns}: {line}");
        }
        // Each target once: the name of the archive has it.
        let archive = format!("tool-v1.2.3-{HOST}.tar.gz");
        assert!(tables.contains(&archive), "{tables}");
        assert_eq!(tables.matches(HOST).count(), 1, "{tables}");
    }
    // Colours only where a terminal shows them and nobody declined.
    let seen = |vars: &[(&str, &str)]| {
        let mut tool = world.tool(["release", "--snapshot", "--target", "x"]);
        tool.envs(vars.iter().copied());
        in_terminal(80, &tool, ("", ""), &world).map(|shown| shown.text)
    };
    let Some(coloured) = seen(&[]) else { return };
    assert!(coloured.contains("\u{1b}[1m\u{1b}[31merror"), "{coloured:?}");
    for vars in [[("NO_COLOR", "1")], [("TERM", "dumb")]] {
        let plain = seen(&vars).unwrap();
        assert!(plain.contains("\nerror: ") || plain.starts_with("error: "), "{plain:?}");
        assert!(!plain.contains('\u{1b}'), "{plain:?}");
    }
}

/// What is typed at the question -> whether the project is set up. Only a yes is one.
#[test]
fn init_asks_on_a_terminal_and_does_what_is_answered() {
    for (typed, done) in [("y\\n", true), ("YES\\n", true), ("\\n", false), ("n\\n", false)] {
        let world = World::quick("1.2.3");
        let before = world.read("Cargo.toml");
        let Some(shown) = in_terminal(80, &world.tool(["init"]), ("[y/N]", typed), &world) else {
            return;
        };
        assert_eq!(shown.code, 0, "{typed}: {}", shown.text);
        // The question comes after what it is about.
        let question = shown.text.find("[y/N]").unwrap();
        assert!(shown.text[..question].contains("+[workspace"), "{}", shown.text);
        assert_eq!(world.path("xtask").exists(), done, "{typed}");
        assert_eq!(world.read("Cargo.toml") != before, done, "{typed}");
    }
    // Ctrl-C at the question changes nothing either.
    let world = World::quick("1.2.3");
    let before = names(world.root());
    let shown = in_terminal(80, &world.tool(["init"]), ("[y/N]", "\\x03"), &world).unwrap();
    assert_ne!(shown.code, 0, "{}", shown.text);
    assert_eq!(names(world.root()), before);
}

#[test]
fn an_image_that_nobody_pushes_is_not_called_dockers() {
    let world = World::quick("1.0.0");
    let plan = world.run("release --snapshot --dry-run");
    assert!(plan.ends_with(0).stdout.contains("tool:latest (not pushed)"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("docker.io"), "{}", plan.stdout);
    world.run("image -q").ends_with(0);
    let shown = world.run("image inspect oci:dist/images/tool");
    assert!(shown.ends_with(0).stdout.contains("tool:1.0.0\n"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("docker.io"), "{}", shown.stdout);

    // A workspace of tools for people's machines makes none, except a package that says so.
    let table = format!(
        "[workspace.metadata.dockless]\ntargets = [\"{HOST}\"]\n\
         [workspace.metadata.dockless.image]\nship = false\n"
    );
    let world = World::workspace(&[("alpha", "1.0.0"), ("beta", "1.0.0")], &table);
    assert_eq!(world.plan("--snapshot")["images"], serde_json::json!([]));
    let manifest = world.read("beta/Cargo.toml");
    world.file(
        "beta/Cargo.toml",
        &format!("{manifest}\n[package.metadata.dockless.image]\nship = true\n"),
    );
    let plan = world.plan("--snapshot");
    let images: Vec<&str> =
        plan["images"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(images, ["beta"]);
}

#[test]
fn a_file_that_is_there_is_read_and_no_registry_is_asked() {
    let world = World::quick("1.0.0");
    world.run("image -q --output docker-archive:docker.tar").ends_with(0);
    world.run("image -q --output oci-archive:oci.tar").ends_with(0);
    world.run("image -q").ends_with(0);
    let inspected = |image: &str| {
        let read = world.run(&format!("image inspect --json {image}")).ends_with(0).json();
        read["images"][0]["config"].clone()
    };
    for (plain, named) in [
        ("docker.tar", "docker-archive:docker.tar"),
        ("oci.tar", "oci-archive:oci.tar"),
        ("dist/images/tool", "oci:dist/images/tool"),
    ] {
        assert!(inspected(plain).is_object(), "{plain}");
        assert_eq!(inspected(plain), inspected(named));
    }
    world.file("broken.tar", "no tar at all");
    let broken = world.run("image inspect broken.tar");
    broken.ends_with(1).no_result().says("read the archive").says("broken.tar");
}

#[test]
fn an_archive_has_a_top_folder_where_the_settings_say_so() {
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    world.file(
        "Cargo.toml",
        &format!("{manifest}[package.metadata.dockless.archive]\nfolder = true\n"),
    );
    world.run("archive -q").ends_with(0);
    assert_whole(&world.dist());
    let stem = format!("tool-v1.0.0-{HOST}");
    let entries = entry_names(&world.dist().join(format!("{stem}.tar.gz")));
    assert_eq!(entries, [format!("{stem}/LICENSE"), format!("{stem}/tool")]);
    if let Some(tar) = crate::world::judge("tar") {
        let unpack = ["-xzf".to_owned(), format!("dist/{stem}.tar.gz")];
        run(&mut world.with(tar, unpack)).ends_with(0);
        let program = world.path(&format!("{stem}/tool"));
        assert_eq!(run(&mut world.with(program, [""; 0])).ends_with(0).stdout, "1.0.0\n");
    }
    // krew looks for programs at the top.
    world.file(
        "Cargo.toml",
        &format!(
            "{manifest}[package.metadata.dockless.archive]\nfolder = true\n\
             [package.metadata.dockless.krew]\nname = \"tool\"\n"
        ),
    );
    let refused = world.run("archive");
    refused.ends_with(1).no_result().says("krew installs what is at the top of an archive");
}

#[test]
fn a_setting_of_a_wrong_type_names_the_table_and_its_keys() {
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    world.file("Cargo.toml", &format!("{manifest}archive = \"zip\"\n"));
    let wrong = world.run("archive");
    wrong.ends_with(1).says("archive: expected a table, found a string").says(
        "help: write its keys below `[package.metadata.dockless.archive]`: files, folder, \
         generate; docs/config.md describes them",
    );
}

/// A compiler that never ends, and says when it has begun.
fn with_endless_compiler(world: &World) -> std::path::PathBuf {
    let begun = world.outside("begun");
    let script = format!(
        "case \"$*\" in *--crate-name\\ tool*) echo $$ > '{}'; exec sleep 600 ;; esac\nexec \"$@\"\n",
        begun.display()
    );
    world.script("endless", &script)
}

/// Whether a process is there.
fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn ctrl_c_and_a_request_to_end_stop_all_and_say_what_is_left() {
    let world = World::quick("1.0.0");
    let wrapper = with_endless_compiler(&world);
    let begun = world.outside("begun");
    let build = || {
        let mut tool = world.tool(["release", "--snapshot", "--color", "never"]);
        tool.env("RUSTC_WRAPPER", &wrapper);
        tool
    };
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        std::fs::remove_file(&begun).ok();
        let running = start(&mut build());
        let compiler =
            patiently(|| std::fs::read_to_string(&begun).ok().filter(|it| it.ends_with('\n')));
        let pid = running.child.lock().unwrap().id().to_string();
        run(&mut world.with("kill", [&*format!("-{signal}"), &pid])).ends_with(0);
        let ended = running.end().expect("it ends");
        ended.ends_with(code).no_result().says("error: interrupted at: ");
        ended.says("help: run the same command again");
        assert_eq!(ended.stderr.matches("error").count(), 1, "{}", ended.stderr);
        patiently(|| (!is_alive(compiler.trim())).then_some(()));
        assert_eq!(world.names(), ["Cargo.lock", "Cargo.toml", "LICENSE", "src", "target"]);
    }
    // A terminal's Ctrl-C.
    std::fs::remove_file(&begun).ok();
    let shown = in_terminal(80, &build(), ("build tool", "\\x03"), &world);
    let Some(shown) = shown else { return };
    assert_eq!(shown.code, 130, "{}", shown.text);
    assert!(shown.text.contains("error: interrupted at: "), "{}", shown.text);
    // Nothing keeps the next run from its work.
    world.run("release --snapshot -q").ends_with(0);
    assert_whole(&world.dist());
}

/// A server stops as it likes, and its status is that of the command.
#[test]
fn a_program_that_is_run_decides_how_it_ends() {
    let world = World::quick("1.0.0");
    world.file(
        "src/main.rs",
        "fn main() {\n    println!(\"ready\");\n    std::thread::sleep(std::time::Duration::from_secs(600));\n}\n",
    );
    world.run("build -q").ends_with(0);
    let shown = in_terminal(80, &world.tool(["run", "-q"]), ("ready", "\\x03"), &world);
    let Some(shown) = shown else { return };
    assert_eq!(shown.code, 130, "{}", shown.text);
    assert!(!shown.text.contains("error"), "{}", shown.text);
}

/// Asks until there is an answer.
fn patiently<T>(ask: impl Fn() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("no answer");
}
