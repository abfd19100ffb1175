//! Machines that let nobody in, that have no engine, and that are gone in the middle.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::*;
use crate::world::terminal::in_terminal;

/// Requires that the load failed before anything was compiled.
#[track_caller]
fn refused<'a>(run: &'a Run, why: &str, fix: &str) -> &'a Run {
    run.ends_with(1).no_result().never_says("Compiling");
    run.says(why).says(&format!("help: {fix}"))
}

/// An engine that is played: what it does when it is to pull.
fn played(pull: &str) -> (tempfile::TempDir, [(&'static str, OsString); 1]) {
    let bin = tempfile::tempdir().unwrap();
    let arch = if HOST.starts_with("x86") { "amd64" } else { "arm64" };
    let docker = format!(
        "#!/bin/sh\ncase $1 in\nversion) echo linux/{arch} ;;\n--config) {pull} ;;\nesac\n"
    );
    fs::write(bin.path().join("docker"), docker).unwrap();
    run(std::process::Command::new("chmod").arg("755").arg(bin.path().join("docker"))).ends_with(0);
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    (bin, [("PATH", path.into())])
}

#[test]
fn a_host_that_wants_a_password_is_not_waited_for() {
    let settings = "PubkeyAuthentication no\nPasswordAuthentication yes";
    let Some(sshd) = Sshd::start(&[], settings) else { return };
    let world = World::committed("1.0.0");
    let run = run(&mut sshd.tool(&world, "image --load ssh://box"));
    refused(&run, "connect to box with ssh (exit status: 255):\n", "load a key with `ssh-add`");
    run.says("Permission denied (password");
}

#[test]
fn a_host_whose_key_is_unknown_is_not_trusted() {
    let Some(sshd) = Sshd::start(&[], "") else { return };
    let world = World::committed("1.0.0");
    fs::write(sshd.path("known_hosts"), "").unwrap();
    let run = run(&mut sshd.tool(&world, "image --load ssh://box/podman"));
    refused(&run, "Host key verification failed", "run `ssh box` once, and compare the key");
    assert_eq!(fs::read_to_string(sshd.path("known_hosts")).unwrap(), "");
}

#[test]
fn a_host_that_is_not_there_is_said_at_once() {
    let Some(sshd) = Sshd::start(&[], "") else { return };
    let world = World::committed("1.0.0");
    let port = sshd.port();
    let gone = run(&mut sshd.tool(&world, "image --load ssh://127.0.0.1:1"));
    refused(&gone, "connect to 127.0.0.1:1 with ssh", "see what `ssh -p 1 127.0.0.1` says");
    gone.says("Connection refused");
    // An address with a user and a port is the same machine.
    let there =
        run(&mut sshd.tool(&world, &format!("image --load ssh://stranger@127.0.0.1:{port}")));
    refused(&there, &format!("connect to stranger@127.0.0.1:{port}"), "load a key with `ssh-add`");
    let mut tool = sshd.tool(&world, "image --load ssh://box");
    let missing = run(tool.env("PATH", world.without(&["ssh"])));
    refused(&missing, "start `ssh`", "install ssh, or put it on PATH");
}

#[test]
fn a_host_that_forwards_nothing_is_told_how_to() {
    for setting in ["AllowTcpForwarding no", "AllowTcpForwarding local", "DisableForwarding yes"] {
        let Some(sshd) = Sshd::start(&[], setting) else { return };
        let world = World::committed("1.0.0");
        let run = run(&mut sshd.tool(&world, "image --load ssh://box"));
        refused(&run, "box forwards no port to this machine", "allow it in the host's sshd_config");
        run.says("remote port forwarding failed");
    }
}

#[test]
fn a_host_without_an_engine_is_said_at_once() {
    let bin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", bin.path().join("sh")).unwrap();
    let Some(sshd) = Sshd::start(&[("PATH", bin.path().into())], "") else { return };
    let world = World::committed("1.0.0");
    let podman = run(&mut sshd.tool(&world, "image --load ssh://box/podman"));
    refused(&podman, "box has no program `podman`", "install podman there, or name another engine");
    let containerd = run(&mut sshd.tool(&world, "image --load ssh://box/containerd"));
    refused(&containerd, "box has no program `ctr`", "install ctr there");
    containerd.says("ssh://box/docker");
}

#[test]
fn an_engine_that_does_not_answer_is_quoted() {
    let Some(_) = Docker::shared() else { return };
    let nowhere: OsString = "unix:///nowhere/docker.sock".into();
    let Some(sshd) = Sshd::start(&[("DOCKER_HOST", nowhere)], "") else { return };
    let world = World::committed("1.0.0");
    let run = run(&mut sshd.tool(&world, "image --load ssh://box"));
    refused(&run, "unix:///nowhere/docker.sock", "see what `ssh box docker version` says");
    run.says("docker on box failed (exit status 1):\n");
}

/// What the engine says is passed on, and its own names are gone.
#[test]
fn an_engine_without_room_is_quoted() {
    let (_bin, vars) = played(
        "curl -s \"http://${5%%/*}/v2/\"; echo 'write /var/lib/x: no space left on device' >&2; exit 1",
    );
    let Some(sshd) = Sshd::start(&vars, "") else { return };
    let world = World::committed("1.0.0");
    let full = run(&mut sshd.tool(&world, "image --load ssh://box"));
    full.ends_with(1).no_result().says("docker on box failed (exit status 1):\n");
    full.says("no space left on device").says("help: mend what it says");
}

#[test]
fn an_engine_that_does_not_reach_the_tunnel_is_explained() {
    let (_bin, vars) = played("echo 'dial tcp: connection refused' >&2; exit 1");
    let Some(sshd) = Sshd::start(&vars, "") else { return };
    let world = World::committed("1.0.0");
    let refused = run(&mut sshd.tool(&world, "image --load ssh://box"));
    refused.ends_with(1).no_result().never_says("sent 4");
    refused.says("docker on box does not reach 127.0.0.1 there, so all layers are sent");
    refused.says("help: an engine with a network of its own, as rootless Docker");
}

#[test]
fn an_engine_that_nothing_reads_for_is_explained() {
    let (bin, _) = played("exit 1");
    for name in ["sh", "mktemp", "rm"] {
        std::os::unix::fs::symlink(Path::new("/bin").join(name), bin.path().join(name)).unwrap();
    }
    let Some(sshd) = Sshd::start(&[("PATH", bin.path().into())], "") else { return };
    let world = World::committed("1.0.0");
    let refused = run(&mut sshd.tool(&world, "image --load ssh://box"));
    refused.ends_with(1).no_result().says("there is no curl that could read for it");
    refused.says("does not reach 127.0.0.1 of its machine: install curl there");
}

/// sshd itself is killed, or the engine says something else than was loaded.
#[test]
fn a_connection_that_breaks_off_is_an_error() {
    let kill = "pid=$$; while [ \"$pid\" -gt 1 ] && [ \"$(cat /proc/$pid/comm)\" != sshd ]; do \
                pid=$(cut -d' ' -f4 /proc/$pid/stat); done; kill -KILL $pid; sleep 5";
    let (_bin, vars) = played(kill);
    let Some(sshd) = Sshd::start(&vars, "") else { return };
    let world = World::committed("1.0.0");
    let broken = run(&mut sshd.tool(&world, "image --load ssh://box"));
    broken.ends_with(1).no_result().says("the connection to box broke off");
    broken.says("help: run the command again; if it stays so, see what `ssh box` says");
}

#[test]
fn an_engine_that_lies_or_prints_without_end_is_not_believed() {
    let (_bin, vars) = played("exit 0");
    let Some(sshd) = Sshd::start(&vars, "") else { return };
    let world = World::committed("1.0.0");
    let lied = run(&mut sshd.tool(&world, "image --load ssh://box"));
    lied.ends_with(1).no_result().says("docker says that ");
    let (_bin, vars) = played("yes");
    let Some(sshd) = Sshd::start(&vars, "") else { return };
    let endless = run(&mut sshd.tool(&world, "image --load ssh://box"));
    endless.ends_with(1).no_result().says("box prints without end");
}

/// What is named here is one word there, whatever it is.
#[test]
fn a_hostile_namespace_is_one_word() {
    let bin = tempfile::tempdir().unwrap();
    let seen = bin.path().join("seen");
    let ctr = format!("#!/bin/sh\nfor a; do echo \"$a\" >>{0}; done\necho >>{0}\n", seen.display());
    fs::write(bin.path().join("ctr"), ctr).unwrap();
    run(std::process::Command::new("chmod").arg("755").arg(bin.path().join("ctr"))).ends_with(0);
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    let Some(sshd) = Sshd::start(&[("PATH", path.into())], "") else { return };
    let world = World::committed("1.0.0");
    let touched = bin.path().join("touched");
    let hostile = format!("a'; touch {0}; $(touch {0}) `touch {0}`; \"", touched.display());
    let mut tool = sshd.tool(&world, "image --load ssh://box/containerd");
    run(tool.env("CONTAINERD_NAMESPACE", &hostile)).ends_with(0);
    let seen = fs::read_to_string(seen).unwrap();
    let word = format!("\n--namespace\n{hostile}\nimages\n");
    assert_eq!(seen.matches(&word).count(), 3, "pull, tag, remove:\n{seen}");
    assert!(!touched.exists());
}

/// An address that could be an option, or more than one word of a shell.
#[test]
fn a_hostile_address_is_a_wrong_command_line() {
    let world = World::committed("1.0.0");
    for address in
        ["ssh://-oProxyCommand=touch", "ssh://me:secret@box", "ssh://box;id", "ssh://box/kind"]
    {
        let refused = run(&mut world.tool(["image", "--load", address]));
        refused.ends_with(2).no_result().never_says("secret").says("--load <ENGINE>");
    }
}

/// A real engine on a disk that is too small.
#[test]
fn podman_elsewhere_without_room_is_quoted() {
    let Some(_) = Podman::shared() else { return };
    let vars = ["CONTAINERS_STORAGE_CONF", "CONTAINERS_CONF"];
    let vars = vars.map(|name| (name, OsString::from(format!("DIR/{name}"))));
    let Some(sshd) = Sshd::with_small_disk(6, &vars) else { return };
    let small = sshd.path("small");
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
        small.display()
    );
    let containers =
        format!("[engine]\nevents_logger = \"none\"\ntmp_dir = \"{}/tmp\"\n", small.display());
    fs::write(sshd.path("CONTAINERS_STORAGE_CONF"), storage).unwrap();
    fs::write(sshd.path("CONTAINERS_CONF"), containers).unwrap();
    let world = project("ssh-small");
    let load = || run(&mut sshd.tool(&world, "image --load ssh://box/podman"));
    load().ends_with(0);
    world.file("assets/large", &"large ".repeat(2 << 20));
    let full = load();
    full.ends_with(1).no_result().says("podman on box failed (exit status ");
    full.says("no space left on device").says("help: mend what it says");
    std::fs::remove_file(world.path("assets/large")).unwrap();
    load().ends_with(0);
}

/// With a terminal ssh itself asks; without one it is not waited for.
#[test]
fn a_person_is_asked_for_a_passphrase() {
    let Some(podman) = Podman::shared() else { return };
    let Some(sshd) = Sshd::start(&podman.vars(), "") else { return };
    let world = project("ssh-passphrase");
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-p", "-P", "", "-N", "canary-phrase", "-f"]).arg(sshd.path("key"));
    run(&mut keygen).ends_with(0);
    let alone = run(&mut sshd.tool(&world, "image --load ssh://box/podman"));
    refused(&alone, "Permission denied (publickey", "load a key with `ssh-add`");
    let tool = sshd.tool(&world, "image --load ssh://box/podman");
    let asked = ("Enter passphrase for key", "canary-phrase\\n");
    let Some(shown) = in_terminal(100, &tool, asked, &world) else { return };
    assert_eq!(shown.code, 0, "{}", shown.text);
    assert!(shown.text.contains("docker.io/library/ssh-passphrase@sha256:"), "{}", shown.text);
    assert_eq!(shown.text.matches("Enter passphrase").count(), 1, "{}", shown.text);
    assert!(!shown.text.contains("canary-phrase"), "{}", shown.text);
    // In CI nobody is asked, also where there is a terminal.
    let mut tool = sshd.tool(&world, "image --load ssh://box/podman");
    tool.env("CI", "true");
    let Some(shown) = in_terminal(100, &tool, asked, &world) else { return };
    assert!(shown.code == 1 && !shown.text.contains("Enter passphrase"), "{}", shown.text);
}

/// Killed in the middle, it leaves nothing on the other machine: what works there ends with the
/// tunnel, and tidies up.
#[test]
fn a_kill_leaves_nothing_elsewhere() {
    let marks = tempfile::tempdir().unwrap();
    let marks = marks.path().display();
    let (_bin, vars) = played(&format!(
        "echo \"$2\" >{marks}/begun; while curl -s \"http://${{5%%/*}}/v2/\"; do sleep 0.1; done; exit 1"
    ));
    let Some(sshd) = Sshd::start(&vars, "") else { return };
    let world = World::committed("1.0.0");
    let mut tool = sshd.tool(&world, "image --load ssh://box");
    let mut child = tool.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = PathBuf::from(format!("{marks}/begun"));
    let folder = until(|| fs::read_to_string(&begun).ok().filter(|text| text.ends_with('\n')));
    let folder = Path::new(folder.trim());
    assert!(folder.join("config.json").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| (!folder.exists()).then_some(()));
    // ssh and its shell have ended too.
    until(|| sshd.is_left().then_some(()));
}

/// What there is after a while.
fn until<T>(ready: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < end, "it does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
