//! Which files are read: those that are named, those of folders, and stdin.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::world::running::ended;

/// A manifest without any image, with this name.
fn map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

/// The names in the documents of an output, in their order.
fn names(output: &str) -> Vec<&str> {
    let after = |part: &'static str| output.split(part).skip(1);
    after("{name: ").map(|rest| rest.split('}').next().unwrap()).collect()
}

#[test]
fn a_folder_has_manifests_and_its_folders_have_more() {
    let world = workspace(&["tool"]);
    for name in ["b.yaml", "a.yml", "notes.txt", "sub/e.yaml"] {
        world.file(&format!("k8s/{name}"), &map(name));
    }
    world.file("k8s/c.json", r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}"#);
    world.file("k8s/sub/deep/f.yaml", &map("sub/deep/f.yaml"));
    let flat = world.run("resolve -f k8s");
    assert!(flat.ends_with(0).stdout.contains("\"c\""), "{}", flat.stdout);
    let flat = names(&flat.stdout);
    assert_eq!(flat, ["a.yml", "b.yaml"], "in the order of their names");
    for args in ["-R -f k8s", "-f k8s -R", "--recursive -f k8s"] {
        let all = world.run(&format!("resolve {args}"));
        let all = names(&all.ends_with(0).stdout);
        let mut below = all.strip_prefix(&flat[..]).unwrap_or(&[]).to_vec();
        below.sort_unstable();
        assert_eq!(below, ["sub/deep/f.yaml", "sub/e.yaml"], "{args}: {all:?}");
    }
    // A folder that has only folders means those.
    fs::create_dir(world.path("all")).unwrap();
    fs::rename(world.path("k8s"), world.path("all/k8s")).unwrap();
    let below = world.run("resolve -f all");
    assert_eq!(names(&below.ends_with(0).stdout).len(), flat.len() + 2);
}

/// Files come in the order in which they are named, as the order matters to kubectl.
#[test]
fn files_keep_their_order() {
    let world = workspace(&["tool"]);
    for name in ["a", "b", "c"] {
        world.file(&format!("{name}.yaml"), &map(name));
    }
    let order = |args: &str| {
        let mut tool = world.tool(["resolve"]);
        let resolved = fed(tool.args(args.split(' ')), map("stdin"));
        names(&resolved.ends_with(0).stdout).join(" ")
    };
    assert_eq!(order("-f c.yaml -f a.yaml -f b.yaml"), "c a b");
    assert_eq!(order("-f b.yaml -f - -f a.yaml"), "b stdin a");
    assert_eq!(order("-f -"), "stdin");
    assert_eq!(order("--filename c.yaml --filename=a.yaml"), "c a");
}

#[test]
fn what_is_not_there_is_named() {
    let world = workspace(&["tool"]);
    fs::create_dir_all(world.path("none/sub")).unwrap();
    world.file("none/sub/notes.txt", "no manifest\n").file("good.yaml", &map("good"));
    refused(&world.run("resolve -f absent.yaml"), "absent.yaml");
    refused(&world.run("resolve -f good.yaml -f absent.yaml"), "absent.yaml");
    refused(&world.run("resolve -f none"), "none");
    refused(&world.run("resolve -R -f none"), "none");
    let nothing = world.run("resolve");
    nothing.ends_with(2).no_result().says("-f");
    let twice = fed(&mut world.tool(["resolve", "-f", "-", "-f", "-"]), map("stdin"));
    assert!(matches!(twice.code, Some(1 | 2)), "stdin is there once: {}", twice.stdout);
    twice.no_result();
}

#[test]
fn files_without_documents_are_no_error_beside_others() {
    let world = workspace(&["tool"]);
    world.file("empty.yaml", "").file("comment.yaml", "# nothing\n").file("line.yaml", "---\n");
    world.file("good.yaml", &map("good"));
    let resolved =
        world.run("resolve -f empty.yaml -f comment.yaml -f line.yaml -f good.yaml -f empty.yaml");
    assert_eq!(names(&resolved.ends_with(0).stdout), ["good"]);
    let read: Vec<serde_yaml::Value> = serde_yaml::Deserializer::from_str(&resolved.stdout)
        .map(|document| serde::Deserialize::deserialize(document).unwrap())
        .collect();
    assert_eq!(read.iter().filter(|it| !it.is_null()).count(), 1, "{}", resolved.stdout);
}

/// Makes a pipe that nobody writes to.
fn pipe(world: &World, path: &Path) {
    run(world.with("mkfifo", [path]).arg("--")).ends_with(0);
}

/// A folder's files may be another's work: none leads out of it, and none is waited for.
#[test]
fn links_and_pipes_in_a_folder_lead_nowhere() {
    let world = workspace(&["tool"]);
    let secret = world.outside("secret.yaml");
    fs::write(&secret, "password: s3cr3t\n").unwrap();
    fs::create_dir_all(world.path("k8s")).unwrap();
    let path = world.path("k8s/x.yaml");
    type Put<'a> = &'a dyn Fn();
    let link = |to: &Path| symlink(to, &path).unwrap();
    let cases: &[(&str, Put<'_>)] = &[
        ("a link out", &|| link(&secret)),
        ("a device", &|| link(Path::new("/dev/zero"))),
        ("a link that leads nowhere", &|| link(Path::new("absent.yaml"))),
        ("a link to itself", &|| link(Path::new("x.yaml"))),
        ("a link into git's files", &|| link(&world.path(".git/config"))),
        ("a pipe", &|| pipe(&world, &path)),
        ("a large file", &|| fs::File::create(&path).unwrap().set_len(1 << 40).unwrap()),
    ];
    for (what, put) in cases {
        put();
        for args in ["resolve -f k8s", "resolve -R -f k8s"] {
            let run = ended(&mut world.tool(args.split(' ')));
            assert_eq!((run.code, &*run.stdout), (Some(1), ""), "{what}: {}", run.stderr);
            run.says("x.yaml").never_says("s3cr3t").never_says("panicked");
        }
        fs::remove_file(&path).unwrap();
    }
    // A link within the folder is a file of it.
    world.file("k8s/real.yaml", &map("real"));
    link(Path::new("real.yaml"));
    let resolved = world.run("resolve -f k8s");
    assert_eq!(names(&resolved.ends_with(0).stdout), ["real", "real"]);
}

/// A folder in a circle ends.
#[test]
fn folders_in_a_circle_end() {
    let world = workspace(&["tool"]);
    world.file("k8s/sub/a.yaml", &map("a"));
    symlink("..", world.path("k8s/sub/up")).unwrap();
    let run = ended(&mut world.tool(["resolve", "-R", "-f", "k8s"]));
    match run.code {
        Some(0) => assert_eq!(names(&run.stdout), ["a"]),
        _ => drop(refused(&run, "up")),
    }
}

/// What the user names may be a link or the output of a program, and is not read without an end.
#[test]
fn a_named_file_is_a_file() {
    let world = workspace(&["tool"]);
    let outside = world.outside("outside.yaml");
    fs::write(&outside, map("outside")).unwrap();
    symlink(&outside, world.path("link.yaml")).unwrap();
    for named in ["link.yaml", outside.to_str().unwrap()] {
        let resolved = world.run(&format!("resolve -f {named}"));
        assert_eq!(names(&resolved.ends_with(0).stdout), ["outside"]);
    }
    symlink("/dev/zero", world.path("zero.yaml")).unwrap();
    fs::File::create(world.path("large.yaml")).unwrap().set_len(1 << 40).unwrap();
    for named in ["zero.yaml", "large.yaml"] {
        refused(&ended(&mut world.tool(["resolve", "-f", named])), named);
    }
    // A shell names the output of a program so.
    let script = "exec \"$0\" resolve -f <(cat good.yaml)";
    world.file("good.yaml", &map("good"));
    let tool = env!("CARGO_BIN_EXE_cargo-dockless");
    let piped = ended(&mut world.with("bash", ["-c", script, tool]));
    assert_eq!(names(&piped.ends_with(0).stdout), ["good"]);
    // One that its owner closed is named too; root reads it all the same.
    world.file("closed.yaml", &map("closed"));
    run(&mut world.with("chmod", ["000", "closed.yaml"])).ends_with(0);
    let closed = world.run("resolve -f closed.yaml");
    if closed.code != Some(0) {
        refused(&closed, "closed.yaml");
    }
}
