use std::path::Path;

use super::rules::Unification;
use super::*;
use crate::files;
use crate::process::{Env, Program};
use crate::project::{Invocation, discover};

mod generated;

/// How many generated workspaces are compared.
const WORKSPACES: u64 = 8;
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-musl", "x86_64-pc-windows-gnu"];

/// The toolchain of this test, and nothing of the user's.
fn env(root: &Path) -> Env {
    let bin = Path::new(env!("CARGO")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    Env::scrub([
        ("PATH".into(), path.into()),
        ("HOME".into(), root.join("home").into()),
        ("CARGO_HOME".into(), root.join("home/.cargo").into()),
    ])
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    files::make_dir(path.parent().unwrap()).unwrap();
    files::write(&path, text.as_bytes()).unwrap();
}

/// Writes Cargo.lock anew, and reads the project.
fn read(root: &Path) -> Project {
    let env = env(root);
    let lock = Program::new("cargo", root, &env).args(["generate-lockfile", "--offline"]);
    lock.read().unwrap();
    found(root, env)
}

fn found(root: &Path, env: Env) -> Project {
    let invocation = Invocation {
        dir: root.to_owned(),
        manifest_path: None,
        targets: Vec::new(),
        network: Network::Offline,
        env,
    };
    discover(&invocation, &Cache::none()).unwrap().0
}

fn wanted(packages: &[&str], feature_args: &[&str]) -> Vec<Wanted> {
    wanted_for(TARGETS, packages, feature_args)
}

fn wanted_for(targets: [&str; 2], packages: &[&str], feature_args: &[&str]) -> Vec<Wanted> {
    let feature_args: Vec<String> = feature_args.iter().map(|arg| (*arg).to_owned()).collect();
    let of = |package: &&str| {
        targets.map(|target| Wanted {
            package: format!("{package}@1.0.0"),
            target: Target::parse(target).unwrap(),
            feature_args: feature_args.clone(),
        })
    };
    packages.iter().flat_map(of).collect()
}

fn learnt(project: &Project, wanted: &[Wanted], cache: &Cache) -> (BTreeMap<Wanted, Graph>, Alike) {
    learn(project, wanted, Network::Offline, cache, &Term::silent()).unwrap()
}

#[test]
fn what_many_packages_tell_of_one_is_what_cargo_says_of_it_alone() {
    let (mut known, mut fewer, mut unknown, mut shared) = (0, 0, 0, 0);
    let (mut certain, mut uncertain) = (0, 0);
    for seed in 0..WORKSPACES {
        let dir = files::temporary_dir().unwrap();
        let root = files::resolve(dir.path()).unwrap();
        let feature_args = generated::workspace(&root, seed);
        let project = read(&root);
        let all = wanted(&generated::PROGRAMS, feature_args);
        let query = Query::new(&project, Network::Offline).unwrap();
        let requests: Vec<Request<'_>> = all.iter().map(Request::of).collect();
        let (listed, trees) = query.begin(&all, &requests).unwrap();
        let found = listed.all(&requests, &trees).unwrap();
        let alone: BTreeMap<_, _> = requests.iter().zip(&found).collect();
        let expected =
            |wanted| alone[&Request::of(wanted)].iter().map(|it| it.0.clone()).collect::<Vec<_>>();
        for ask in first_asks(all.iter().collect(), &[]) {
            let tree = query.trees(std::slice::from_ref(&ask.request)).unwrap();
            let found = listed.crates(&ask.request, &tree[0]).unwrap();
            let together = Together::new(&found, ask.request.feature_args, query.unification);
            for build in ask.builds {
                match together.alone(&build.package, &build.feature_args).unwrap() {
                    Alone::Known(own) => {
                        let crates: Vec<Crate> = own.into_iter().map(|it| it.0).collect();
                        assert_eq!(crates, expected(build), "{seed}: {build:?}");
                        known += 1;
                        let printed = |it: &Crate| {
                            let same = |of: &Crate| (&of.dir, of.host) == (&it.dir, it.host);
                            found.iter().any(|(of, _)| same(of) && of.features == it.features)
                        };
                        fewer += usize::from(!crates.iter().all(printed));
                    }
                    Alone::Unknown(_) => unknown += 1,
                }
            }
        }
        // In an answer about one package nothing is too much.
        for (request, found) in alone.iter().filter(|_| feature_args != ["--features=x"]) {
            let package = request.packages.first().unwrap();
            let together = Together::new(found, request.feature_args, query.unification);
            match together.alone(package, request.feature_args).unwrap() {
                Alone::Known(_) => certain += 1,
                Alone::Unknown(_) => uncertain += 1,
            }
        }
        // Whatever it took to learn them.
        let (graphs, alike) = learnt(&project, &all, &Cache::none());
        for (wanted, graph) in &graphs {
            assert_eq!(graph.crates, expected(wanted), "{seed}: {wanted:?}");
        }
        for set in alike {
            let builds: Vec<&Wanted> = all.iter().filter(|it| set.contains(&it.package)).collect();
            let call = Request {
                packages: set.iter().map(|package| &**package).collect(),
                targets: builds.iter().map(|build| &build.target).collect(),
                feature_args: &builds[0].feature_args,
            };
            let tree = query.trees(std::slice::from_ref(&call)).unwrap();
            let found = listed.crates(&call, &tree[0]).unwrap();
            let own = builds.iter().flat_map(|build| &graphs[*build].crates);
            let together = alike::units(found.iter().map(|it| &it.0));
            assert!(together.is_some() && together == alike::units(own), "{seed}: {set:?}");
            shared += set.len();
        }
    }
    let counts = [known, fewer, unknown, shared];
    assert!(counts.iter().all(|it| *it > 0), "{counts:?}");
    assert!(certain > uncertain, "{certain} {uncertain}");
}

/// Targets of one operating system are asked about together.
#[test]
fn what_targets_tell_together_is_what_cargo_says_of_each() {
    let targets = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];
    let (mut same, mut different) = (0, 0);
    for seed in 0..2 * WORKSPACES {
        let dir = files::temporary_dir().unwrap();
        let root = files::resolve(dir.path()).unwrap();
        let feature_args = generated::workspace(&root, seed);
        if seed % 2 == 0 {
            generated::without_processors(&root);
        }
        let project = read(&root);
        let all = wanted_for(targets, &generated::PROGRAMS, feature_args);
        let query = Query::new(&project, Network::Offline).unwrap();
        let requests: Vec<Request<'_>> = all.iter().map(Request::of).collect();
        let (listed, trees) = query.begin(&all, &requests).unwrap();
        let found = listed.all(&requests, &trees).unwrap();
        let alone: BTreeMap<_, _> = requests.iter().zip(&found).collect();
        for (wanted, graph) in learnt(&project, &all, &Cache::none()).0 {
            let expected = alone[&Request::of(&wanted)].iter().map(|it| it.0.clone());
            assert_eq!(graph.crates, expected.collect::<Vec<_>>(), "{seed}: {wanted:?}");
        }
        for call in same_calls(&all) {
            let tree = query.trees(std::slice::from_ref(&call)).unwrap();
            let found = listed.crates(&call, &tree[0]).unwrap();
            let tells = Together::new(&found, &[], query.unification).is_same_for_each();
            *(if tells { &mut same } else { &mut different }) += 1;
        }
    }
    assert!(same > 0 && different > 0, "{same} {different}");
}

#[test]
fn of_published_crates_the_manifests_tell_enough() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let bin = Path::new(env!("CARGO")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let vars = [("PATH", Some(&*path)), ("HOME", option_env!("HOME"))];
    let vars = vars.into_iter().chain([("CARGO_HOME", option_env!("CARGO_HOME"))]);
    let vars = vars.filter_map(|(name, value)| Some((name.into(), value?.into())));
    let env = Env::scrub(vars);
    let project = found(root, env);
    let programs = project.packages.iter().filter(|package| !package.bins.is_empty());
    let builds = programs.map(|package| Wanted {
        package: package.spec.clone(),
        target: Target::parse(TARGETS[0]).unwrap(),
        feature_args: Vec::new(),
    });
    let builds: Vec<Wanted> = builds.collect();
    let requests: Vec<Request<'_>> = builds.iter().map(Request::of).collect();
    let query = Query::new(&project, Network::Offline).unwrap();
    let (listed, trees) = query.begin(&builds, &requests).unwrap();
    for (request, found) in requests.iter().zip(&listed.all(&requests, &trees).unwrap()) {
        let package = request.packages.first().unwrap();
        let alone = Together::new(found, &[], query.unification).alone(package, &[]).unwrap();
        assert!(matches!(alone, Alone::Known(_)), "{package}");
    }
}

/// Programs that use libraries: `a` and `b` use `one`, `c` uses `two`, and tests of `two` use `c`.
fn small(root: &Path) {
    let text = "[workspace]\nresolver = \"3\"\nmembers = [\"a\", \"b\", \"c\", \"one\", \"two\"]\n";
    write(root, "Cargo.toml", text);
    let uses = [("a", "one"), ("b", "one"), ("c", "two"), ("one", ""), ("two", "")];
    for (name, used) in uses {
        let dev = if name == "two" { "[dev-dependencies]\nc = { path = \"../c\" }\n" } else { "" };
        let used = match used {
            "" => String::new(),
            used => format!("[dependencies]\n{used} = {{ path = \"../{used}\" }}\n"),
        };
        package(root, name, "1.0.0", &format!("{used}{dev}"));
    }
}

fn package(root: &Path, name: &str, version: &str, more: &str) {
    let text =
        format!("[package]\nname = {name:?}\nversion = {version:?}\nedition = \"2024\"\n{more}");
    write(root, &format!("{name}/Cargo.toml"), &text);
    write(root, &format!("{name}/src/lib.rs"), "");
    write(root, &format!("{name}/src/main.rs"), "fn main() {}");
}

/// The keys of the graphs of `a`, `b` and `c`.
fn keys(root: &Path) -> [Digest; 3] {
    let project = read(root);
    let keys = Keys::new(&project, &Cache::none()).unwrap();
    ["a", "b", "c"].map(|name| {
        let package = project.packages.iter().find(|package| package.name == name).unwrap();
        let wanted = Wanted { package: package.spec.clone(), ..wanted(&[name], &[]).remove(0) };
        keys.graph(&wanted)
    })
}

#[test]
fn a_change_of_one_package_is_asked_about_where_it_is_used() {
    let one = "[dependencies]\none = { path = \"../one\" }\n";
    type Change<'a> = &'a dyn Fn(&Path);
    let changes: [(&str, Change<'_>, [bool; 3]); 8] = [
        ("nothing", &|_| {}, [false, false, false]),
        ("a version", &|root| package(root, "a", "1.1.0", one), [true, false, false]),
        ("a used one", &|root| package(root, "one", "1.1.0", ""), [true, true, false]),
        (
            "a feature",
            &|root| package(root, "one", "1.0.0", "[features]\nx = []\n"),
            [true, true, false],
        ),
        ("a dependency", &|root| package(root, "c", "1.0.0", one), [false, false, true]),
        (
            "what only its library's tests use",
            &|root| {
                package(
                    root,
                    "two",
                    "1.0.0",
                    "[dev-dependencies]\nc = { path = \"../c\" }\nb = { path = \"../b\" }\n",
                );
            },
            [false, false, true],
        ),
        ("a source", &|root| write(root, "one/src/lib.rs", "pub fn f() {}"), [false; 3]),
        (
            "the resolver",
            &|root| {
                let text = "[workspace]\nresolver = \"1\"\nmembers = [\"a\", \"b\", \"c\", \"one\", \"two\"]\n";
                write(root, "Cargo.toml", text);
            },
            [true, true, true],
        ),
    ];
    for (what, change, expected) in changes {
        let dir = files::temporary_dir().unwrap();
        let root = files::resolve(dir.path()).unwrap();
        small(&root);
        let before = keys(&root);
        change(&root);
        let after = keys(&root);
        let changed = [0, 1, 2].map(|at| before[at] != after[at]);
        assert_eq!(changed, expected, "{what}");
    }
}

/// cargo is asked once about packages that turn on different features of a library, for all
/// targets.
#[cfg(unix)]
#[test]
fn one_answer_tells_of_packages_with_different_features() {
    use std::os::unix::fs::PermissionsExt;
    let uses = [("a", "1"), ("b", "1"), ("c", "2"), ("d", "2"), ("e", "3")];
    for (resolver, is_one) in [("2", true), ("1", false)] {
        let dir = files::temporary_dir().unwrap();
        let root = files::resolve(dir.path()).unwrap();
        let members = "[\"a\", \"b\", \"c\", \"d\", \"e\", \"one\"]";
        let text = format!("[workspace]\nresolver = {resolver:?}\nmembers = {members}\n");
        write(&root, "Cargo.toml", &text);
        for (name, set) in uses {
            let used = format!("path = \"../one\", features = [\"x{set}\"]");
            package(&root, name, "1.0.0", &format!("[dependencies]\none = {{ {used} }}\n"));
        }
        package(&root, "one", "1.0.0", "[features]\nx1 = []\nx2 = []\nx3 = []\n");
        let project = read(&root);
        let (log, cargo) = (root.join("log"), root.join("cargo"));
        let text = format!("#!/bin/sh\necho $1 >> {}\nexec cargo \"$@\"\n", log.display());
        write(&root, "cargo", &text);
        std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755)).unwrap();
        let targets = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];
        let all = wanted_for(targets, &uses.map(|(name, _)| name), &[]);
        let project = Project { cargo, ..project };
        let (graphs, alike) = learnt(&project, &all, &Cache::none());
        for (wanted, graph) in &graphs {
            let (_, set) = uses.iter().find(|(name, _)| wanted.package.starts_with(name)).unwrap();
            let one = graph.crates.iter().find(|it| it.name == "one").unwrap();
            assert_eq!(one.features, [format!("x{set}")], "{wanted:?}");
        }
        let sets: Vec<Vec<&str>> =
            alike.iter().map(|set| set.iter().map(|it| &it[..1]).collect()).collect();
        assert_eq!(sets, [["a", "b"], ["c", "d"]]);
        let log = files::read(&log).unwrap();
        let asked = String::from_utf8(log).unwrap().lines().filter(|it| *it == "tree").count();
        assert_eq!(asked == 1, is_one, "resolver {resolver}: {asked}");
    }
}

#[test]
fn features_may_be_united_more_widely() {
    let dir = files::temporary_dir().unwrap();
    let root = files::resolve(dir.path()).unwrap();
    let config = "[resolver]\nfeature-unification = \"workspace\"\n";
    let members = "members = [\"a\"]\n";
    for (resolver, config, var, expected) in [
        ("resolver = \"2\"\n", "", None, Unification::Selected),
        ("resolver = \"3\"\n", "", None, Unification::Selected),
        ("resolver = \"1\"\n", "", None, Unification::Wider),
        ("resolver = \"4\"\n", "", None, Unification::Wider),
        ("", "", None, Unification::Wider),
        ("resolver = \"2\"\n", config, None, Unification::Wider),
        ("resolver = \"2\"\n", "", Some("workspace"), Unification::Wider),
    ] {
        small(&root);
        let mut project = read(&root);
        write(&root, "Cargo.toml", &format!("[workspace]\n{resolver}{members}"));
        write(&root, ".cargo/config.toml", config);
        let var = var.map(|it| ("CARGO_RESOLVER_FEATURE_UNIFICATION".into(), it.into()));
        project.env = Env::scrub(var);
        assert_eq!(rules::unification(&project).unwrap(), expected, "{resolver} {config}");
    }
}

#[test]
fn what_was_learnt_is_found_again_and_the_rest_is_asked() {
    let dir = files::temporary_dir().unwrap();
    let root = files::resolve(dir.path()).unwrap();
    small(&root);
    let cache = Cache::at(&root.join("home/cache"));
    let all = wanted(&["a", "b", "c"], &[]);
    let first = learnt(&read(&root), &all, &cache);
    assert_eq!(first.0.len(), 6);
    // Without cargo nothing could be asked.
    let without = Project { cargo: "no-such-cargo".into(), ..read(&root) };
    assert_eq!(learnt(&without, &all, &cache), first);
    package(&root, "c", "1.1.0", "[dependencies]\none = { path = \"../one\" }\n");
    let of_c =
        |it: &Wanted| Wanted { package: it.package.replace("c@1.0.0", "c@1.1.0"), ..it.clone() };
    let all: Vec<Wanted> = all.iter().map(of_c).collect();
    let second = learnt(&read(&root), &all, &cache);
    assert_eq!(second, learnt(&read(&root), &all, &Cache::none()));
    let ab: Vec<&Wanted> = all.iter().filter(|it| !it.package.starts_with('c')).collect();
    assert!(ab.iter().all(|it| second.0[*it] == first.0[*it]));
    let without = Project { cargo: "no-such-cargo".into(), ..read(&root) };
    assert_eq!(learnt(&without, &all, &cache), second);
}

#[test]
fn calls_are_the_same_for_the_same_targets_and_features() {
    let (linux, arm) = ("x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl");
    let [linux, arm] = [linux, arm].map(|target| Target::parse(target).unwrap());
    let all = ["--all-features".to_owned()];
    let builds = [
        ("a", &linux, &[][..]),
        ("a", &arm, &[]),
        ("b", &linux, &[]),
        ("c", &linux, &all),
        ("d", &linux, &all),
        ("e", &arm, &[]),
        ("e", &linux, &[]),
    ];
    let builds = builds.map(|(package, target, feature_args)| Wanted {
        package: package.to_owned(),
        target: target.clone(),
        feature_args: feature_args.to_vec(),
    });
    let calls = same_calls(&builds).into_iter();
    let packages: Vec<Vec<&str>> = calls.map(|call| call.packages.into_iter().collect()).collect();
    assert_eq!(packages, [vec!["a", "e"], vec!["c", "d"]]);
}
