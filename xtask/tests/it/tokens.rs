//! Tokens in the environment: what is compiled and run looks for them.

use std::fs;
use std::path::PathBuf;

use crate::world::keys::{KEY, KEY_PART};
use crate::world::{HOST, Run, World, contents, run};

/// What build script, procedural macro and program do: they look into their own environment,
/// into those of all processes above, and into the pipes that they inherited of them.
const LOOK: &str = r##"
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

#[allow(dead_code)]
fn look(who: &str) {
    let mut seen = format!("{who} looked\n");
    for (name, value) in std::env::vars_os() {
        seen += &format!("{who}: {name:?}={value:?}\n");
    }
    let links = |pid: &str| -> Vec<(String, std::path::PathBuf)> {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| {
            let number = fd.file_name().into_string().ok()?;
            Some((number, std::fs::read_link(fd.path()).ok()?))
        })
        .collect()
    };
    let own = links("self");
    let mut pid = std::process::id();
    while pid > 1 {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        seen += &format!("{who} in {pid}: {}\n", String::from_utf8_lossy(&environ));
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        seen += &format!("{who} called {name:?} {}\n", String::from_utf8_lossy(&line));
        if name.starts_with("cargo-dockless") {
            for (number, link) in links(&pid.to_string()) {
                let shared = own.iter().any(|(same, to)| *same == number && *to == link);
                let is_pipe = link.to_string_lossy().starts_with("pipe:");
                if shared && is_pipe && !["0", "1", "2"].contains(&number.as_str()) {
                    // O_NONBLOCK of Linux.
                    let mut options = std::fs::OpenOptions::new();
                    let pipe = options.read(true).custom_flags(0o4000);
                    let Ok(mut pipe) = pipe.open(format!("/proc/self/fd/{number}")) else { continue };
                    let mut bytes = [0; 65536];
                    let read = pipe.read(&mut bytes).unwrap_or(0);
                    seen += &format!("{who} in a pipe: {}\n", String::from_utf8_lossy(&bytes[..read]));
                }
            }
            break;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        pid = parent.and_then(|pid| pid.parse().ok()).unwrap_or(0);
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(SEEN).unwrap();
    file.write_all(seen.as_bytes()).unwrap();
}
"##;

/// The variables of secrets, each with a value that is looked for.
const SECRETS: [&str; 9] = [
    "GITHUB_TOKEN",
    "KREW_GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_PAT",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "CARGO_REGISTRIES_ACME_TOKEN",
    "my_registry_password",
];
const VALUE: &str = "s3cr3t-canary";

/// A project that looks wherever it can.
fn project() -> (World, PathBuf) {
    let world = World::empty();
    let seen = world.outside("seen");
    let look = format!("const SEEN: &str = {seen:?};\n{LOOK}");
    let more = format!(
        "[dependencies]\nlooks.path = \"looks\"\n[workspace]\nmembers = [\"looks\"]\n\
         [workspace.metadata.dockless]\ntargets = [{HOST:?}]\n\
         [package.metadata.dockless.archive]\n\
         generate = [{{ args = [\"completions\"], stdout = \"tool.bash\" }}]\n"
    );
    world.package("", "tool", "1.0.0", &more);
    // Each build compiles everything anew.
    let build = "include!(\"look.rs\");\nfn main() {\n    look(\"script\");\n\
                 let now = std::time::SystemTime::now();\n\
                 println!(\"cargo:rustc-env=NOW={now:?}\");\n\
                 println!(\"cargo:rerun-if-changed=/nonexistent\");\n}\n";
    let macros = "include!(\"../../look.rs\");\n#[proc_macro]\n\
                  pub fn looks(input: proc_macro::TokenStream) -> proc_macro::TokenStream {\n    \
                  look(\"macro\");\n    input\n}\n";
    let main = "include!(\"../look.rs\");\nlooks::looks! { const NOW: &str = env!(\"NOW\"); }\n\
                fn main() {\n    look(\"program\");\n    println!(\"# {}\", NOW.is_empty());\n}\n";
    world.file("build.rs", build).file("src/main.rs", main).file("look.rs", &look);
    let manifest = "[package]\nname = \"looks\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\
                    [lib]\nproc-macro = true\n";
    world.file("looks/Cargo.toml", manifest).file("looks/src/lib.rs", macros);
    world.file("LICENSE", "free\n").lock().commit();
    world.git(["tag", "v1.0.0"]);
    (world, seen)
}

fn with_secrets(world: &World, args: &str) -> Run {
    let mut tool = world.tool(args.split(' '));
    tool.envs(SECRETS.map(|name| (name, VALUE)));
    tool.env("COSIGN_PRIVATE_KEY", KEY).env("COSIGN_PASSWORD", VALUE);
    run(tool.env("LOGIN", format!("ghs_{VALUE}")))
}

#[test]
fn nothing_that_is_compiled_or_run_sees_a_token() {
    let (world, seen) = project();
    let shards = world.outside("shards");
    let merge = format!("release --skip publish,check --merge {}", shards.display());
    for (command, lookers) in [
        ("build", &["script", "macro"][..]),
        ("check --only clippy", &["script", "macro"]),
        ("release --snapshot", &["script", "macro", "program"]),
        (&format!("image --output oci:{}", world.outside("oci").display()), &["script", "macro"]),
        (&format!("release --split --target {HOST}"), &["script", "macro", "program"]),
        (&merge, &[]),
    ] {
        fs::write(&seen, "").unwrap();
        let ran = with_secrets(&world, command);
        assert_eq!(ran.code, Some(0), "{command}: {}", ran.stderr);
        let text = fs::read_to_string(&seen).unwrap();
        for who in ["script", "macro", "program"] {
            let looked = text.contains(&format!("{who} looked"));
            assert_eq!(looked, lookers.contains(&who), "{command}: {who}");
            let above = text.contains(&format!("{who} called \"cargo-dockless\\n\" "));
            assert_eq!(above, looked, "{command}: {who} found the tool above it\n{text}");
        }
        let line = text.lines().find(|line| line.contains(VALUE));
        assert_eq!(line, None, "{command}");
        for said in [&text, &ran.stderr, &ran.stdout] {
            assert!(!said.contains(KEY_PART), "{command}");
        }
        assert!(!ran.stderr.contains(VALUE) && !ran.stdout.contains(VALUE), "{command}");
        if command.contains("--split") {
            fs::rename(world.dist(), &shards).unwrap();
        }
    }
    let archive = contents(&world.dist());
    assert!(archive.contains_key(&format!("tool-v1.0.0-{HOST}.tar.gz")), "{:?}", archive.keys());
}

/// What is the user's own gets the user's environment, and it alone.
#[test]
fn a_program_of_the_users_gets_the_tokens_and_the_tool_keeps_none() {
    let (world, seen) = project();
    let ran = with_secrets(&world, "run");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = fs::read_to_string(&seen).unwrap();
    for name in SECRETS {
        assert!(text.contains(&format!("program: \"{name}\"=\"{VALUE}\"\n")), "{name}\n{text}");
    }
    // What signs is for the tool alone.
    assert!(!text.contains("\"COSIGN_") && !text.contains(KEY_PART), "{text}");
    // The first process is the program itself.
    let above = text.lines().filter(|line| line.starts_with("program in ")).nth(1).unwrap();
    assert!(!above.contains(VALUE), "{above}");
}

/// What a build needs is named.
#[test]
fn a_variable_that_is_named_is_passed_on() {
    let (world, seen) = project();
    let mut tool = world.tool(["build"]);
    tool.envs(SECRETS.map(|name| (name, VALUE)));
    tool.env("DOCKLESS_PASS_ENV", "AWS_SECRET_ACCESS_KEY, GITHUB_TOKEN");
    run(&mut tool).ends_with(0);
    let text = fs::read_to_string(&seen).unwrap();
    assert!(text.contains(&format!("script: \"AWS_SECRET_ACCESS_KEY\"=\"{VALUE}\"\n")), "{text}");
    assert!(!text.contains(&format!("\"GITHUB_TOKEN\"=\"{VALUE}\"")), "{text}");
}

/// Where tokens cannot be taken out of the environment, nothing is done.
#[test]
fn a_token_that_stays_is_an_error() {
    let world = World::quick("1.0.0");
    let mut large = world.tool(["build"]);
    large.env("GITHUB_TOKEN", "x".repeat(100_000));
    run(&mut large)
        .ends_with(1)
        .says("error: take tokens out of the environment: put them into a pipe")
        .says("  help: ");
    let mut twice = world.tool(["build"]);
    twice.env("GITHUB_TOKEN", VALUE).env("DOCKLESS_HANDED_OVER", "0");
    run(&mut twice).ends_with(1).says("take tokens out of the environment").never_says(VALUE);
    // Without tokens nothing is handed over, and a number that is no pipe is none.
    let mut none = world.tool(["build"]);
    none.env("DOCKLESS_HANDED_OVER", "0");
    run(&mut none).ends_with(1).says("DOCKLESS_HANDED_OVER does not name a pipe");
}
