//! What the manifests of plugins say, and of which archives.

use super::*;
use crate::config::KrewConfig;

const MAC: &str = "aarch64-apple-darwin";
const BOTH: &str = "universal2-apple-darwin";
const WIN: &str = "x86_64-pc-windows-gnu";

/// The plan of a plugin with these targets; facts and settings are changed first.
fn planned(
    tags: &[&str],
    targets: &[&str],
    request: &Request,
    change: impl FnOnce(&mut Package, &mut PackageConfig),
) -> Result<Plan, Vec<Finding>> {
    let mut project = single(Some(git(tags)));
    project.cross.zig = zig();
    project.packages[0].about = About {
        license: None,
        description: Some(" Does\n it ".to_owned()),
        repository: Some("https://github.com/acme/tool".to_owned()),
        homepage: None,
    };
    let mut config = config(&project);
    let own = &mut config.packages[0];
    own.targets = targets.iter().map(|name| Target::parse(name).unwrap()).collect();
    own.image.ship = false;
    own.krew = Some(KrewConfig {
        name: "tool".to_owned(),
        bin: "tool".to_owned(),
        short_description: String::new(),
        description: String::new(),
        homepage: String::new(),
        caveats: String::new(),
        uri: String::new(),
    });
    change(&mut project.packages[0], own);
    plan(&config, &project, request)
}

/// The same, of which only the plugin is looked at.
fn plugin(
    targets: &[&str],
    change: impl FnOnce(&mut Package, &mut PackageConfig),
) -> (Option<KrewPlan>, Vec<LeftOut>) {
    let plan = planned(&["v1.2.3"], targets, &request(Mode::Snapshot), change).unwrap();
    assert!(plan.krew.len() <= 1);
    (plan.krew.into_iter().next(), plan.left_out)
}

fn krew(own: &mut PackageConfig) -> &mut KrewConfig {
    own.krew.as_mut().unwrap()
}

/// Targets -> platforms with the targets that serve them, and what is left out.
#[test]
fn each_platform_has_one_archive() {
    let musl = |arch: &str| format!("{arch}-unknown-linux-musl");
    let (x86, gnu, mac) = (&*musl("x86_64"), "x86_64-unknown-linux-gnu", "x86_64-apple-darwin");
    let (arm6, arm7) = ("arm-unknown-linux-musleabihf", "armv7-unknown-linux-musleabihf");
    let (arm7gnu, soft) = ("armv7-unknown-linux-gnueabihf", "arm-unknown-linux-musleabi");
    let (i686, ppc) = (&*musl("i686"), "powerpc64le-unknown-linux-gnu");
    let win32 = "i686-pc-windows-gnu";
    for (targets, platforms, left_out) in [
        (&[X86][..], &["linux/amd64 x86_64-unknown-linux-musl"][..], &[][..]),
        // In whatever order they were named.
        (
            &[WIN, x86, MAC],
            &["darwin/arm64 aarch64-apple", "linux/amd64 x86_64", "windows/amd64 x86_64-pc"],
            &[],
        ),
        (&[ppc], &["linux/ppc64le powerpc64le"], &[]),
        // Of two for the same machines, the one that most of them run.
        (&[gnu, x86], &["linux/amd64 x86_64-unknown-linux-musl"], &["x86_64-unknown-linux-gnu"]),
        (&[x86, gnu], &["linux/amd64 x86_64-unknown-linux-musl"], &["x86_64-unknown-linux-gnu"]),
        (&[arm7, arm6], &["linux/arm arm-unknown-linux-musleabihf"], &["armv7"]),
        (&[arm6, arm7], &["linux/arm arm-unknown-linux-musleabihf"], &["armv7"]),
        (&[arm6, soft], &["linux/arm arm-unknown-linux-musleabi"], &["arm-unknown"]),
        (&[arm7gnu, arm7], &["linux/arm armv7-unknown-linux-musl"], &["armv7-unknown-linux-gnu"]),
        // A program for several processors serves those that have none of their own.
        (&[i686], &["linux/386+amd64 i686"], &[]),
        (&[i686, x86], &["linux/386 i686", "linux/amd64 x86_64"], &[]),
        (&[win32, x86], &["linux/amd64 x86_64", "windows/386+amd64 i686"], &[]),
        (&[WIN, win32], &["windows/386 i686", "windows/amd64 x86_64"], &[]),
        (&[BOTH], &["darwin/amd64+arm64 universal2"], &[]),
        (&[BOTH, MAC], &["darwin/amd64 universal2", "darwin/arm64 aarch64"], &[]),
        (&[BOTH, mac], &["darwin/amd64 x86_64", "darwin/arm64 universal2"], &[]),
        (
            &[BOTH, MAC, mac],
            &["darwin/amd64 x86_64", "darwin/arm64 aarch64"],
            &["universal2-apple-darwin"],
        ),
        // What krew does not know.
        (
            &[X86, "riscv64gc-unknown-linux-musl", "s390x-unknown-linux-gnu"],
            &["linux/amd64 x86_64"],
            &["riscv64gc", "s390x"],
        ),
    ] {
        let (plugin, left) = plugin(targets, |_, _| {});
        let shown = plugin.unwrap().platforms;
        let shown: Vec<String> = shown
            .iter()
            .map(|it| {
                let target = it.archive.strip_prefix("tool-v1.2.3-").unwrap();
                format!("{}/{} {target}", it.os, it.arches.join("+"))
            })
            .collect();
        let begin = |(shown, expected): (&String, &&str)| shown.starts_with(expected);
        let same = shown.len() == platforms.len() && shown.iter().zip(platforms).all(begin);
        assert!(same, "{targets:?}: {shown:?}");
        let left: Vec<String> =
            left.iter().map(|it| it.target.as_ref().unwrap().to_string()).collect();
        let begin = |(left, expected): (&String, &&str)| left.starts_with(expected);
        let same = left.len() == left_out.len() && left.iter().zip(left_out).all(begin);
        assert!(same, "{targets:?}: {left:?}");
    }
}

#[test]
fn what_serves_no_platform_is_said_and_stops_nothing() {
    let all = [BOTH, MAC, "x86_64-apple-darwin", X86, "x86_64-unknown-linux-gnu"];
    let targets = [&all[..], &["s390x-unknown-linux-gnu"]].concat();
    let (_, left_out) = plugin(&targets, |_, _| {});
    let whys: Vec<&str> = left_out.iter().map(|it| &*it.why).collect();
    assert_eq!(
        whys,
        [
            "krew knows no linux/s390x",
            "x86_64-unknown-linux-musl is for the same machines",
            "others are for each of its machines alone",
        ]
    );
    assert!(left_out.iter().all(|it| it.by_choice && it.what == "krew platform of tool"));
    planned(&["v1.2.3"], &targets, &request(Mode::Release), |_, _| {}).unwrap();
}

#[test]
fn what_cargo_says_is_taken_where_the_settings_say_nothing() {
    let (made, _) = plugin(&[X86], |_, _| {});
    let made = made.unwrap();
    assert_eq!(
        (&*made.name, &*made.package, made.version.to_string()),
        ("tool", "tool", "1.2.3".into())
    );
    assert_eq!((&*made.short_description, &*made.description), ("Does it", "Does\n it"));
    assert_eq!((&*made.homepage, &*made.caveats), ("https://github.com/acme/tool", ""));
    let paged = plugin(&[X86], |package, _| package.about.homepage = Some("https://a.test".into()));
    assert_eq!(paged.0.unwrap().homepage, "https://a.test");
    let (made, _) = plugin(&[X86], |package, own| {
        package.about.homepage = Some("https://a.test".to_owned());
        let krew = krew(own);
        krew.name = "other".to_owned();
        krew.short_description = "A\nshort  one".to_owned();
        krew.description = " A long\none ".to_owned();
        krew.homepage = "https://b.test".to_owned();
        krew.caveats = "Beware\n".to_owned();
    });
    let made = made.unwrap();
    assert_eq!((&*made.name, &*made.homepage), ("other", "https://b.test"));
    assert_eq!((&*made.short_description, &*made.description), ("A short one", " A long\none "));
    assert_eq!(made.caveats, "Beware\n");
}

#[test]
fn an_address_is_made_of_a_template() {
    let archive = format!("tool-v1.2.3-{X86}.tar.gz");
    let github = format!("https://github.com/acme/tool/releases/download/v1.2.3/{archive}");
    let uri = |tags: &[&str], repository: &str, template: &str| {
        let plan = planned(tags, &[X86], &request(Mode::Snapshot), |package, own| {
            package.about.repository = Some(repository.to_owned());
            krew(own).uri = template.to_owned();
        });
        plan.map(|plan| plan.krew[0].platforms[0].uri.clone())
    };
    let here = "https://github.com/acme/tool";
    assert_eq!(uri(&["v1.2.3"], here, "").unwrap(), github);
    for other in [
        "https://github.com/acme/tool/",
        "https://github.com/acme/tool.git",
        "https://github.com/acme/tool.git/",
        "https://github.com/acme/tool/tree/main/crates/tool",
    ] {
        assert_eq!(uri(&["v1.2.3"], other, "").unwrap(), github, "{other}");
    }
    // A tag of the package's own, and a server of another kind.
    let tagged = github.replace("/v1.2.3/", "/tool-v1.2.3/");
    assert_eq!(uri(&["tool-v1.2.3"], here, "").unwrap(), tagged);
    // In an address a tag is one part of it, whatever is in its name.
    for (tag, part) in
        [("1.2.3", "1.2.3"), ("tool/v1.2.3", "tool%2Fv1.2.3"), ("tool@1.2.3", "tool%401.2.3")]
    {
        let tagged = github.replace("/v1.2.3/", &format!("/{part}/"));
        assert_eq!(uri(&[tag], here, "").unwrap(), tagged);
    }
    let forge = uri(&["v1.2.3"], "https://git.test/group/acme/tool", "").unwrap();
    assert_eq!(
        forge,
        format!("https://git.test/group/acme/tool/releases/download/v1.2.3/{archive}")
    );
    let all = "https://a.test/{{ name }}/{{version}}/{{ tag }}/{{ commit }}/{{ archive }}?a=b";
    let expected = format!("https://a.test/tool/1.2.3/tool-v1.2.3/{SHA}/{archive}?a=b");
    assert_eq!(uri(&["tool-v1.2.3"], here, all).unwrap(), expected);
    for (template, why) in [
        (
            "https://a.test/{{ archiv }}",
            "\"archiv\"; known are name, version, commit, date, describe, tag, archive, repository",
        ),
        ("https://a.test/{{ archive", "has a {{ that is not closed"),
    ] {
        let findings = uri(&["v1.2.3"], here, template).unwrap_err();
        assert_eq!((findings.len(), findings[0].rule), (1, "krew-uri"), "{template}");
        assert!(findings[0].why.contains(why), "{}", findings[0].why);
    }
    // An archive alone is found by any address, and of several each by its own.
    let fixed = |_: &mut Package, own: &mut PackageConfig| {
        krew(own).uri = "https://a.test/{{ tag }}/x".to_owned();
    };
    let findings = planned(&["v1.2.3"], &[X86, WIN], &request(Mode::Snapshot), fixed).unwrap_err();
    let why = "more than one archive would be served at https://a.test/v1.2.3/x";
    assert_eq!((findings.len(), findings[0].rule, &*findings[0].why), (1, "krew-uri", why));
    // Without a tag the version stands for it.
    let untagged = uri(&[], here, "https://a.test/{{ tag }}/x").unwrap();
    assert_eq!(untagged, "https://a.test/v1.2.3-dev.3.g0123456789ab/x");
}

#[test]
fn what_krew_lacks_stops_a_release_and_is_left_out_of_a_snapshot() {
    type Change = fn(&mut Package, &mut PackageConfig);
    let cases: [(&str, Change); 5] = [
        ("krew wants a description, and there is none", |package, _| {
            package.about.description = None;
        }),
        ("krew wants a description, and there is none", |package, own| {
            package.about.description = Some(" \n".to_owned());
            krew(own).short_description = "Short".to_owned();
        }),
        ("nothing says where the archives will be served", |package, _| {
            package.about.repository = None;
        }),
        ("krew takes no plugin without a licence in its archives", |_, own| {
            own.archive_files = vec![file("/p/README.md")];
        }),
        ("no target of the package is a platform that krew knows", |_, own| {
            own.targets = vec![Target::parse("s390x-unknown-linux-gnu").unwrap()];
        }),
    ];
    for (why, change) in cases {
        let (plugin, left_out) = plugin(&[X86], change);
        assert_eq!(plugin.map(|it| it.name), None, "{why}");
        let whys: Vec<(&str, &str)> = left_out.iter().map(|it| (&*it.what, &*it.why)).collect();
        assert_eq!(whys, [("krew manifest of tool", why)]);
        let stopped = planned(&["v1.2.3"], &[X86], &request(Mode::Release), change).unwrap_err();
        assert!(stopped.iter().any(|it| it.why == why), "{stopped:?}");
        // There is nothing else that such a command could make.
        let select = Select { only_plugins: true, ..Select::default() };
        let alone = Request { select, ..request(Mode::Snapshot) };
        let stopped = planned(&["v1.2.3"], &[X86], &alone, change).unwrap_err();
        assert_eq!(stopped.iter().map(|it| &*it.why).collect::<Vec<_>>(), [why]);
    }
    // What the settings say suffices.
    let (plugin, left_out) = plugin(&[X86], |package, own| {
        package.about = About::default();
        let krew = krew(own);
        krew.short_description = "Short".to_owned();
        krew.description = "Long".to_owned();
        krew.uri = "https://a.test/{{ archive }}".to_owned();
    });
    assert_eq!((plugin.unwrap().homepage, left_out), (String::new(), Vec::new()));
}

#[test]
fn a_plugin_is_about_one_program() {
    let bin = |name: &str| Bin { name: name.to_owned(), required_features: Vec::new() };
    let (made, left_out) = plugin(&[X86, WIN], |_, own| {
        own.bins = ["helper", "kubectl-a", "kubectl-b"].map(bin).into();
        krew(own).bin = "kubectl-b".to_owned();
    });
    let platforms = made.unwrap().platforms;
    let bins: Vec<&str> = platforms.iter().map(|it| &*it.bin).collect();
    assert_eq!(bins, ["kubectl-b", "kubectl-b.exe"]);
    assert_eq!((left_out.len(), &*left_out[0].what), (1, "krew manifest of kubectl-a"));
    assert_eq!(left_out[0].why, "a package is one plugin, and tool is of kubectl-b");
    // Where it is not built, nobody is given another one for it.
    let unbuilt = |_: &mut Package, own: &mut PackageConfig| {
        own.bins = vec![bin("helper"), bin("kubectl-a")];
        own.bins[1].required_features = vec!["more".to_owned()];
        krew(own).bin = "kubectl-a".to_owned();
    };
    let (made, left_out) = plugin(&[X86], unbuilt);
    assert_eq!(made.map(|it| it.name), None);
    assert_eq!(left_out[1].why, "kubectl-a, which it is about, is not built");
    planned(&["v1.2.3"], &[X86], &request(Mode::Release), unbuilt).unwrap();
}

/// Names of files -> the licence that is installed, and those that it is joined of.
#[test]
fn krew_gets_a_licence_by_a_name_that_it_knows() {
    for (names, licence, joined) in [
        (&["LICENSE"][..], "LICENSE", &[][..]),
        (&["LICENSE", "LICENSE-MIT"], "LICENSE", &[]),
        (&["License.md", "README.md"], "License.md", &[]),
        (&["copying.txt", "LICENSE-MIT"], "copying.txt", &[]),
        (&["LICENSES.txt"], "LICENSES.txt", &[]),
        (&["LICENSE-APACHE", "LICENSE-MIT"], "LICENSE", &["LICENSE-APACHE", "LICENSE-MIT"]),
        (&["UNLICENSE"], "LICENSE", &["UNLICENSE"]),
        (&["LICENCE", "NOTICE"], "LICENSE", &["LICENCE"]),
        (&["COPYING.LESSER"], "LICENSE", &["COPYING.LESSER"]),
        (&["LICENSE.rst", "a.md"], "LICENSE", &["LICENSE.rst"]),
    ] {
        let change = |_: &mut Package, own: &mut PackageConfig| {
            own.archive_files = names.iter().map(|name| file(&format!("/p/{name}"))).collect();
        };
        let plan = planned(&["v1.2.3"], &[X86, WIN], &request(Mode::Snapshot), change).unwrap();
        for (archive, platform) in plan.archives.iter().zip(&plan.krew[0].platforms) {
            assert_eq!(platform.license, licence, "{names:?}");
            let from = archive.joined.iter().flat_map(|joined| &joined.from);
            let from: Vec<_> = from.map(|path| path.strip_prefix("/p").unwrap()).collect();
            assert_eq!(from, joined.iter().map(Path::new).collect::<Vec<_>>(), "{names:?}");
        }
    }
    // Programs that are no plugins are left as they are.
    let both = vec![file("/p/LICENSE-MIT"), file("/p/LICENSE-APACHE")];
    let change = |_: &mut Package, own: &mut PackageConfig| {
        (own.krew, own.archive_files) = (None, both);
    };
    let plan = planned(&["v1.2.3"], &[X86], &request(Mode::Snapshot), change).unwrap();
    assert_eq!((plan.krew.len(), &plan.archives[0].joined), (0, &None));
}
