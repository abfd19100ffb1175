//! What happens to folders and clocks.

use std::os::unix::fs::symlink;
use std::time::SystemTime;

use super::*;
use crate::world::{run, skipped};

/// More notices than the system remembers.
#[test]
fn ten_thousand_changes_are_one() {
    let world = project("before");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("before\n");
    watch.says("waits for changes");
    for file in 0..100 {
        for change in 0..100 {
            fs::write(world.path(&format!("src/{file}.txt")), change.to_string()).unwrap();
        }
    }
    save(&world.path("src/main.rs"), &stays("after"));
    watch.prints("after\n");
    watch.says("run tool");
    watch.says("waits for changes");
    watch.rests();
    save(&world.path("src/main.rs"), &stays("still"));
    watch.prints("still\n");
    watch.end(Signal::INT);
}

/// A file that never rests: what is there at its end is built.
#[test]
fn a_file_is_replaced_while_it_is_read() {
    let world = project("before");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("before\n");
    let until = Instant::now() + Duration::from_secs(4);
    let mut change = 0;
    while Instant::now() < until {
        change += 1;
        save(&world.path("src/main.rs"), &stays(&format!("change {change}.")));
        sleep(Duration::from_millis(1));
    }
    watch.prints(&format!("change {change}.\n"));
    watch.says("waits for changes");
    watch.end(Signal::INT);
}

/// cargo goes by the times of files; the content counts all the same.
#[test]
fn clocks_jump() {
    let world = project("now");
    let main = world.path("src/main.rs");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("now\n");
    watch.says("waits for changes");
    let day = Duration::from_secs(86_400);
    for (word, time) in [
        ("long ago", SystemTime::UNIX_EPOCH + day),
        ("in the future", SystemTime::now() + 365 * day),
        ("long ago again", SystemTime::UNIX_EPOCH + 2 * day),
        ("yesterday", SystemTime::now() - day),
    ] {
        let beside = main.with_extension("saving~");
        fs::write(&beside, stays(word)).unwrap();
        fs::File::options().append(true).open(&beside).unwrap().set_modified(time).unwrap();
        fs::rename(&beside, &main).unwrap();
        watch.prints(&format!("{word}\n"));
        watch.says("waits for changes");
    }
    watch.end(Signal::INT);
}

#[test]
fn a_folder_disappears_and_comes_back() {
    let world = project("before");
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("before\n");
    watch.says("waits for changes");
    let (src, aside) = (world.path("src"), world.outside("aside"));
    fs::rename(&src, &aside).unwrap();
    watch.says("error: ");
    save(&aside.join("main.rs"), &stays("moved"));
    fs::rename(&aside, &src).unwrap();
    watch.prints("moved\n");
    watch.says("waits for changes");
    save(&src.join("main.rs"), &stays("within"));
    watch.prints("within\n");
    watch.says("waits for changes");
    // The whole project, from above.
    let away = world.outside("away");
    fs::rename(world.root(), &away).unwrap();
    watch.says("error: ");
    fs::rename(&away, world.root()).unwrap();
    save(&src.join("main.rs"), &stays("back"));
    watch.prints("back\n");
    watch.end(Signal::INT);
}

#[test]
fn loops_of_links_are_not_entered() {
    let world = project("before");
    symlink(world.root(), world.path("src/up")).unwrap();
    symlink(world.path("b"), world.path("a")).unwrap();
    symlink(world.path("a"), world.path("b")).unwrap();
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("before\n");
    watch.says("waits for changes");
    save(&world.path("src/up/src/main.rs"), &stays("through a loop"));
    watch.prints("through a loop\n");
    watch.end(Signal::INT);
}

/// A source that is a link counts where it lies.
#[test]
fn a_link_leads_to_a_source() {
    let world = project("before");
    let real = world.outside("real.rs");
    fs::rename(world.path("src/main.rs"), &real).unwrap();
    symlink(&real, world.path("src/main.rs")).unwrap();
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.prints("before\n");
    watch.says("waits for changes");
    save(&real, &stays("behind the link"));
    watch.prints("behind the link\n");
    watch.end(Signal::INT);
}

/// The system allows each user so many watched folders.
#[test]
fn the_limit_of_the_system_is_named_with_its_fix() {
    let world = project("never");
    for folder in 0..20 {
        world.file(&format!("src/{folder}/a.txt"), "");
    }
    let limited = |name: &str, args: &[&str]| {
        let script = format!("echo 5 > /proc/sys/user/max_inotify_{name} || exit 77; exec \"$@\"");
        let zero = script.replace('5', "0");
        let script = if name == "instances" { zero } else { script };
        let tool = world.tool(["watch"]);
        let mut shell = world.with("unshare", ["--user", "--map-root-user", "sh", "-c", &script]);
        shell.arg("sh").arg(tool.get_program()).arg("watch").args(args);
        shell
    };
    let ran = run(&mut limited("watches", &["--bin", "none"]));
    if ran.code == Some(77) || ran.stderr.contains("unshare") {
        return skipped("this machine has no user namespaces with limits of their own");
    }
    let ran = run(&mut limited("watches", &[]));
    ran.ends_with(1).says("fs.inotify.max_user_watches").says("sudo sysctl").says("--poll");
    let ran = run(&mut limited("instances", &[]));
    ran.ends_with(1).says("fs.inotify.max_user_instances").says("sudo sysctl");
    assert_eq!(left_behind(&world), [""; 0]);
    // Polling needs none.
    let mut watch = Watch::of(&mut limited("watches", &["--poll"]));
    watch.prints("never\n");
    watch.says("waits for changes");
    save(&world.path("src/main.rs"), &stays("polled"));
    watch.prints("polled\n");
    watch.says("waits for changes");
    watch.rests();
    watch.end(Signal::INT);
}

/// A folder that this user may not read is said once, and the others are watched.
#[test]
fn a_folder_that_cannot_be_read_is_told_of() {
    use std::os::unix::fs::PermissionsExt;
    let world = project("before");
    world.file("closed/a.txt", "");
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(world.path("closed")).is_ok() {
        fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
        return skipped("this user may read every folder");
    }
    let mut watch = Watch::begin(&world, [""; 0]);
    watch.says("it is not watched");
    watch.prints("before\n");
    save(&world.path("src/main.rs"), &stays("after"));
    watch.prints("after\n");
    let (_, said) = watch.end(Signal::INT);
    assert_eq!(said.matches("it is not watched").count(), 1, "{said}");
    fs::set_permissions(world.path("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}
