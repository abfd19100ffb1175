//! One table for both: what the image that is made here cannot hold, its Dockerfile does not
//! say, and the other way round.

use super::settings::with;

/// What both make of these lines in the image's table: no error, or the same one.
#[track_caller]
fn both(setting: &str, why: Option<&str>) {
    let world = with(setting);
    for command in ["image --dry-run", "dockerfile -q"] {
        let run = world.run(command);
        let Some(why) = why else {
            run.ends_with(0);
            continue;
        };
        run.ends_with(1).no_result().says(why).says("help: ");
        run.says("Cargo.toml: [package.metadata.dockless.image] ");
        assert_eq!(run.stderr.matches("error: ").count(), 1, "{setting}: {}", run.stderr);
    }
}

#[test]
fn what_no_engine_takes_is_refused_by_both() {
    for (setting, why) in [
        ("volumes = [\"/\"]", "is the root itself, which cannot be a volume"),
        ("volumes = [\"//\"]", "is the root itself, which cannot be a volume"),
        ("volumes = [\"\"]", "\"\" is not an absolute path"),
        ("volumes = [\"./data\"]", "is not an absolute path"),
        ("volumes = [\"/data/../etc\"]", "is not a plain path"),
        ("volumes = [\"/..\"]", "is not a plain path"),
        ("volumes = [\"/a\\nb\"]", "is not a plain path"),
        ("volumes = [\"/a\\u0000b\"]", "is not a plain path"),
        ("volumes = [\"/proc/x\"]", "belongs to the kernel and cannot be a volume"),
        ("workdir = \"..\"", "is not an absolute path"),
        ("workdir = \"/a/..\"", "is not a plain path"),
        ("workdir = \"/a\\nb\"", "is not a plain path"),
        ("workdir = \"/a\\u0000\"", "is not a plain path"),
        ("stop-signal = \"SIGTERN\"", "\"SIGTERN\" is not a signal"),
        ("stop-signal = \"sigterm\"", "is not a signal"),
        ("stop-signal = \"SIG\"", "is not a signal"),
        ("stop-signal = \"SIG9\"", "is not a signal"),
        ("stop-signal = \"0\"", "is not a signal"),
        ("stop-signal = \"65\"", "is not a signal"),
        ("stop-signal = \"99999999999\"", "is not a signal"),
        ("stop-signal = \"-9\"", "is not a signal"),
        ("stop-signal = \"TERM\\nUSER 0\"", "is not a signal"),
        ("labels = { \"\" = \"c\" }", "\"\" cannot be a name: it is empty"),
        ("labels = { \" \" = \"c\" }", "cannot be a name: it is empty"),
        ("labels = { \"a=b\" = \"c\" }", "\"a=b\" cannot be a name: it holds an equals sign"),
        ("labels = { \"a\\nb\" = \"c\" }", "cannot be a name: it holds a control character"),
        ("labels = { a = \"b\\nc\" }", "\"a\" has a line break"),
        ("labels = { a = \"b\\u0000c\" }", "\"a\" has a line break"),
        ("annotations = { \"\" = \"c\" }", "\"\" cannot be a name: it is empty"),
        ("annotations = { \"a=b\" = \"c\" }", "cannot be a name: it holds an equals sign"),
        (
            "annotations = { \"a\\u0000\" = \"c\" }",
            "cannot be a name: it holds a control character",
        ),
        ("annotations = { a = \"c\\u0000\" }", "\"a\" holds a NUL"),
        ("env = { \"\" = \"c\" }", "\"\" cannot be a variable's name"),
        ("env = { \"A=B\" = \"c\" }", "cannot be a variable's name"),
        ("env = { \"A B\" = \"c\" }", "cannot be a variable's name"),
        ("env = { \"A\\nUSER\" = \"c\" }", "cannot be a variable's name"),
        ("env = { \"A\\u0000\" = \"c\" }", "cannot be a variable's name"),
        ("env = { \"$A\" = \"c\" }", "cannot be a variable's name"),
        ("env = { \"#A\" = \"c\" }", "cannot be a variable's name"),
        ("env = { A = \"b\\nc\" }", "\"A\" has a line break"),
        ("env = { A = \"b\\u0000c\" }", "\"A\" has a line break"),
        ("ports = [\"0\"]", "is not a port"),
        ("ports = [\"65536\"]", "is not a port"),
        ("ports = [\"90-80\"]", "is not a port"),
        ("ports = [\"80-65536\"]", "is not a port"),
        ("ports = [\"80-\"]", "is not a port"),
        ("ports = [\"+80\"]", "is not a port"),
        ("ports = [\"8080:80\"]", "is not a port"),
        ("ports = [\"127.0.0.1:80\"]", "is not a port"),
        ("ports = [\"80/\"]", "is not a port"),
        ("ports = [\"80/TCP\"]", "is not a port"),
        ("ports = [\" 80\"]", "is not a port"),
        ("user = \"\"", "is neither a number"),
        ("user = \"root\"", "is neither a number"),
        ("user = \"1:\"", "is neither a number"),
        ("user = \":1\"", "is neither a number"),
        ("user = \"1:2:3\"", "is neither a number"),
        ("user = \"2147483648\"", "is neither a number"),
        ("user = \"0\\nUSER 1\"", "is neither a number"),
        ("entrypoint = [\"\"]", "its program has no name"),
        ("entrypoint = [\"/a\\u0000b\"]", "holds a NUL"),
        ("entrypoint = [\"/a\", \"\\u0000\"]", "holds a NUL"),
        ("cmd = [\"a\\u0000b\"]", "holds a NUL"),
        ("volumes = [\"/usr/local/bin/tool\"]", "is to be a folder, and /usr/local/bin/tool is a"),
        ("workdir = \"/usr/local/bin/tool/x\"", "is to be a folder, and /usr/local/bin/tool is a"),
        (
            "files = [{ from = \"LICENSE\", to = \"/a/b\" }]\nvolumes = [\"/a/b\"]",
            "and /a/b is a file",
        ),
        ("tags = [\"\"]", "name a tag such as"),
    ] {
        both(setting, Some(why));
    }
}

#[test]
fn what_engines_take_is_taken_by_both() {
    for setting in [
        "volumes = [\"/data\", \"/data/\", \"/with space\", \"/a$b\", \"/proc-data\"]",
        "workdir = \"/\"",
        "workdir = \"/with space/\"",
        "stop-signal = \"SIGRTMIN+3\"",
        "stop-signal = \"QUIT\"",
        "stop-signal = \"9\"",
        "labels = { \"two words\" = \"x\", \"a\\\"b\" = \"$c\\\\\", \"ü\" = \"\\t\" }",
        "annotations = { \"two words\" = \"b\\nc\" }",
        "env = { \"spring.datasource\" = \"x\", MY-VAR = \"\", _A1 = \"=\" }",
        "ports = [\"1\", \"65535/udp\", \"8000-8003/sctp\"]",
        "user = \"0:0\"",
        "entrypoint = [\"tool\", \"\", \"a\\nb\"]\ncmd = [\"\", \"{{ name }}\"]",
    ] {
        both(setting, None);
    }
}

/// What Cargo.toml says becomes labels: in one line, and not where it says nothing.
#[test]
fn texts_of_cargo_toml_are_labels_in_one_line() {
    let world = with("base = \"scratch\"");
    let manifest = world.read("Cargo.toml");
    let about = "description = \"\"\nlicense = \"MIT\\nOR X\"\nrepository = \"\"\n\
                 homepage = \"https://example.com/\\n\"\nversion = ";
    world.file("Cargo.toml", &manifest.replacen("version = ", about, 1));
    world.run("dockerfile -q").ends_with(0);
    let made = super::settings::image(&world);
    let labels = &made.config["config"]["Labels"];
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("licenses"), "MIT OR X");
    assert_eq!(label("url"), "https://example.com/");
    assert!(label("description").is_null() && label("source").is_null(), "{labels}");
}

/// What a build is told is told in the same words by a shell and by a process.
#[test]
fn variables_of_a_build_have_names() {
    let world = super::World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    for name in ["", "A=B", "A B", "1A", "A.B", "$A", "A\\u0000"] {
        let env = format!("[package.metadata.dockless.env]\n\"{name}\" = \"x\"\n");
        world.file("Cargo.toml", &format!("{manifest}{env}"));
        for command in ["build", "image --dry-run", "dockerfile -q"] {
            let run = world.run(command);
            run.ends_with(1).no_result().says("env: ").says("cannot be a variable's name");
        }
    }
}

#[test]
fn a_profile_has_a_name() {
    let world = super::World::quick("1.0.0");
    for name in ["", "../x", "a/b", "a=b", "ä.b"] {
        let run = world.run(format!("release --dry-run --snapshot --profile={name}").trim());
        run.ends_with(1).no_result().says(&format!("{name:?} is no name of a profile"));
    }
}
