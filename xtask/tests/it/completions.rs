//! Completions, in the shells themselves.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::world::{HOST, Run, World, missing, run, skipped};

/// A workspace with names to complete. The program is at a path that shells must quote.
struct Shells {
    world: World,
    program: PathBuf,
}

impl Shells {
    fn new() -> Shells {
        let metadata = format!(
            "[workspace.metadata.dockless]\ntargets = [{HOST:?}]\n\
             [profile.small]\ninherits = \"release\"\n"
        );
        let world = World::workspace(&[("api", "1.0.0"), ("worker", "1.0.0")], &metadata);
        let manifest = world.read("Cargo.toml").replace("\"worker\"", "\"worker\", \"xtask\"");
        world.file("Cargo.toml", &manifest);
        world.package("xtask", "xtask", "0.0.0", "[dependencies]\ndockless = \"0.1\"\n");
        let program = world.outside("it's $here/dockless");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        symlink(env!("CARGO_BIN_EXE_cargo-dockless"), &program).unwrap();
        Shells { world, program }
    }

    /// The script for a shell, in a file.
    fn script(&self, shell: &str) -> PathBuf {
        let printed = run(self.world.tool(["completions", shell, "--program"]).arg(&self.program));
        let path = self.world.outside(&format!("completions.{shell}"));
        fs::write(&path, &printed.ends_with(0).stdout).unwrap();
        path
    }

    /// Runs a program of the shell's own, after its script. `None` where the shell is not here.
    fn run(&self, shell: &str, args: &[&str], program: &str) -> Option<Run> {
        if run(&mut self.world.with("sh", ["-c", &format!("command -v {shell}")])).code != Some(0) {
            missing(&format!("{shell} not found"));
            return None;
        }
        let path = self.script(shell);
        let program = program.replace("SCRIPT", path.to_str().unwrap());
        let file = self.world.outside(&format!("test.{shell}"));
        fs::write(&file, program).unwrap();
        let mut command = self.world.with(shell, args);
        command.arg(&file).env("HOME", self.world.outside(""));
        // cargo is started by its proxy.
        if let Some(home) = std::env::home_dir() {
            for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
                let set = std::env::var_os(name).map_or(home.join(folder), PathBuf::from);
                command.env(name, set);
            }
        }
        Some(run(&mut command))
    }

    /// The values that the tool itself gives.
    fn values(&self, before: &str, word: &str) -> Vec<String> {
        let mut tool = self.world.tool(["complete", "--word", word, "--"]);
        let ran = run(tool.args(before.split(' ')));
        assert_eq!(ran.ends_with(0).stderr, "");
        let value = |line: &str| line.split('\t').next().unwrap().to_owned();
        ran.stdout.lines().map(value).collect()
    }
}

/// What the shells must complete: a line, and the values for its last word.
const LINES: [(&str, &str); 5] = [
    ("cargo-dockless buil", "build"),
    ("cargo dockless image --load pod", "podman"),
    ("cargo xtask build -p ", "api worker"),
    ("cargo +stable dockless build --profile sm", "small"),
    ("cargo xtask build --target=", "--target=HOST"),
];

#[test]
fn names_of_the_project_at_hand_are_completed() {
    let shells = Shells::new();
    let platform = if HOST.starts_with("x86") { "linux/amd64" } else { "linux/arm64/v8" };
    for (before, word, values) in [
        ("cargo xtask build --package", "", "api worker"),
        ("cargo dockless build --bin", "w", "worker"),
        ("cargo-dockless build --target", "", HOST),
        (
            "cargo-dockless build --target",
            "riscv64gc-unknown-linux-m",
            "riscv64gc-unknown-linux-musl",
        ),
        ("cargo-dockless image --platform", "", platform),
        ("cargo-dockless build --profile", "", "dev dist release small"),
    ] {
        assert_eq!(shells.values(before, word), values.split(' ').collect::<Vec<_>>(), "{before}");
    }
    // A key pressed changes nothing.
    assert_eq!(
        shells.world.names(),
        ["Cargo.lock", "Cargo.toml", "LICENSE", "api", "worker", "xtask"]
    );
    let manifest = shells.world.path("Cargo.toml");
    let elsewhere = ["complete", "--word", "a", "--", "dockless", "build", "--manifest-path"];
    let mut tool = shells.world.tool(elsewhere);
    let ran = run(tool.arg(manifest).arg("-p").current_dir(shells.world.outside("")));
    assert_eq!(ran.ends_with(0).stdout, "api\t\n");
}

#[test]
fn where_there_is_no_project_commands_are_completed_all_the_same() {
    let world = World::empty();
    let complete = |before: &str| {
        let mut tool = world.tool(["complete", "--word=", "--"]);
        let ran = run(tool.args(before.split(' ')));
        assert_eq!(ran.ends_with(0).stderr, "");
        ran.stdout
    };
    assert!(complete("cargo dockless").contains("build\tBuild a static binary"));
    assert_eq!(complete("cargo dockless build -p"), "");
    world.file("Cargo.toml", "[package\n");
    assert_eq!(complete("cargo dockless build -p"), "");
    assert!(complete("cargo dockless").contains("release\t"));
    // Settings that are wrong hide no names.
    world.package("", "tool", "1.0.0", "[package.metadata.dockless]\nshipp = true\n");
    assert_eq!(complete("cargo dockless build -p"), "tool\t\n");
    // The xtask of another tool.
    assert_eq!(complete("cargo xtask"), "");
}

/// cargo's own completions here are a function that says so.
#[test]
fn bash_completes() {
    let shells = Shells::new();
    let program = r#"
try() {
    COMP_LINE=$1 COMP_POINT=${#1}
    read -ra COMP_WORDS <<< "$1"
    [[ $1 != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    local function=$(complete -p "${COMP_WORDS[0]}")
    function=${function##*-F }
    # bash takes what follows a `=` for a word of its own.
    ${function%% *} "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]##*=}" ''
    echo "${COMPREPLY[*]}"
}
set -u
before() { COMPREPLY=("own $1"); }
[ "$MODE" = lazy ] || complete -o nospace -F before cargo
_completion_loader() { complete -o nospace -F before cargo; }
. 'SCRIPT'
. 'SCRIPT'
"#;
    let lines = LINES.map(|(line, _)| format!("try '{line}'\n")).concat();
    let program = format!("{program}{lines}try 'cargo buil'\ncomplete -p cargo\n");
    for mode in ["eager", "lazy"] {
        let program = program.replace("$MODE", mode);
        let Some(ran) = shells.run("bash", &["--norc"], &program) else { return };
        let mut expected: Vec<String> =
            LINES.iter().map(|(_, values)| values.replace("--target=HOST", HOST)).collect();
        expected.push("own cargo".to_owned());
        expected.push("complete -o nospace -F _dockless_cargo cargo".to_owned());
        assert_eq!(ran.ends_with(0).stdout.lines().collect::<Vec<_>>(), expected, "{mode}");
        assert_eq!(ran.stderr, "", "{mode}");
    }
}

/// In a terminal of its own: zsh completes nowhere else. Its `_cargo` is as cargo's own is: it asks
/// the function of a subcommand.
#[test]
fn zsh_completes() {
    let shells = Shells::new();
    let program = r##"
zmodload zsh/zpty
zpty shell "HOME=$HOME PS1= zsh -f -i"
quiet() { local text; while zpty -r -t shell text; do :; done }
until_done() { local text; zpty -r shell text "*$1*" || exit 1; print -r -- "$text"; }
zpty -w shell "unsetopt beep; zstyle ':completion:*' menu no; autoload -Uz compinit; compinit -D -u"
zpty -w shell "bindkey '^I' complete-word; show() { print -r -- \"<<\$BUFFER>>\"; BUFFER=; }; zle -N show; bindkey '^X' show"
if [[ $OWN == own ]]; then
    zpty -w shell "_cargo() { shift words; (( CURRENT-- )); [[ \$words[1] != +* ]] || { shift words; (( CURRENT-- )) }; (( CURRENT > 1 )) && _call_function ret _cargo-\$words[1] || compadd own }; compdef _cargo cargo"
fi
zpty -w shell ". 'SCRIPT'; print re''ady"
until_done ready > /dev/null
"##;
    let typed = |line: &str| format!("zpty -w -n shell '{line}'$'\\t\\x18'; until_done '>>'\n");
    // A value that is the only one, or the beginning that all have.
    let lines = [
        ("cargo-dockless buil", "cargo-dockless build"),
        ("cargo dockless image --load pod", "cargo dockless image --load podman"),
        ("cargo xtask build --bin ap", "cargo xtask build --bin api"),
        (
            "cargo +stable dockless build --profile sm",
            "cargo +stable dockless build --profile small",
        ),
        ("cargo xtask build --target=", &format!("cargo xtask build --target={HOST}")),
    ];
    for own in ["own", "none"] {
        let typed: String = lines.iter().map(|(line, _)| typed(line)).collect();
        let program = format!("{program}{typed}").replace("$OWN", own);
        let Some(ran) = shells.run("zsh", &["-f"], &program) else { return };
        for (line, completed) in &lines {
            let shown = format!("<<{completed}");
            assert!(ran.ends_with(0).stdout.contains(&shown), "{own}: {line}: {ran:?}");
        }
    }
}

#[test]
fn fish_completes() {
    let shells = Shells::new();
    let lines = LINES.map(|(line, _)| format!("complete -C '{line}'; echo .\n")).concat();
    let program = format!("source 'SCRIPT'\n{lines}complete -C 'cargo build --relea'\n");
    let Some(ran) = shells.run("fish", &[], &program) else { return };
    let mut parts = ran.ends_with(0).stdout.split("\n.\n");
    for (line, values) in LINES {
        let part = parts.next().unwrap();
        let values = values.replace("HOST", HOST);
        let found: Vec<&str> = part.lines().filter_map(|it| it.split('\t').next()).collect();
        // cargo's own options stay for cargo.
        let found: Vec<&str> = found.into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(found, values.split(' ').collect::<Vec<_>>(), "{line}");
    }
    assert!(parts.next().unwrap().contains("--release"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

/// The module `edit` is only in a terminal. Here it is a table with what the script uses of it.
#[test]
fn elvish_completes() {
    let shells = Shells::new();
    let edit = "var edit: = (ns [&completion:=(ns [&arg-completer=[&cargo={|@words| put own }]]) \
                &complete-filename~={|@words| put file } \
                &complex-candidate~={|value &display=''| put $value }])\n";
    let script = fs::read_to_string(shells.script("elvish")).unwrap();
    let call = |line: &str| {
        let words: Vec<String> = line.split(' ').map(|word| format!("'{word}'")).collect();
        let name = line.split(' ').next().unwrap();
        format!("echo (put ($edit:completion:arg-completer[{name}] {}))\n", words.join(" "))
    };
    let lines = LINES.map(|(line, _)| call(line)).concat();
    let program = format!("{edit}{script}{lines}{}", call("cargo buil"));
    let Some(ran) = shells.run("elvish", &["-norc"], &program) else { return };
    let mut expected: Vec<String> =
        LINES.iter().map(|(_, values)| values.replace("HOST", HOST)).collect();
    expected.push("own".to_owned());
    assert_eq!(ran.ends_with(0).stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn powershell_reads_its_script() {
    let shells = Shells::new();
    let script = shells.script("powershell");
    assert!(fs::read_to_string(&script).unwrap().contains("& '/"));
    let parse = "$errors = $null; [void][System.Management.Automation.Language.Parser]::ParseFile(\
                 $args[0], [ref]$null, [ref]$errors); $errors; exit $errors.Count";
    let file = shells.world.outside("parse.ps1");
    fs::write(&file, parse).unwrap();
    if run(&mut shells.world.with("sh", ["-c", "command -v pwsh"])).code != Some(0) {
        skipped("pwsh not found: the completions for PowerShell are not parsed");
        return;
    }
    run(shells.world.with("pwsh", ["-NoProfile", "-File"]).arg(&file).arg(&script)).ends_with(0);
}

/// The same bytes everywhere, as archives need them; the path of a program is absolute.
#[test]
fn scripts_name_a_program_on_path_unless_told_otherwise() {
    let world = World::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let plain = world.run(&format!("completions {shell}"));
        assert!(
            plain.ends_with(0).stdout.contains("'cargo-dockless' complete")
                || plain.stdout.contains("'cargo-dockless') complete"),
            "{shell}: {}",
            plain.stdout
        );
        let named = world.run(&format!("completions {shell} --program target/debug/xtask"));
        let path = world.path("target/debug/xtask");
        assert!(named.ends_with(0).stdout.contains(&format!("'{}'", path.display())), "{shell}");
    }
    world.run("completions tcsh").ends_with(2).no_result().says("possible values: bash, zsh");
}
