//! What images are made of, and what they say.

use super::*;
use crate::config::{ImageFile, ImageNode, Owner};
use crate::finding::Severity;
use crate::reference::{Reference, Repository};
use crate::target::Platform;

const ARM: &str = "aarch64-unknown-linux-musl";
const ARM7: &str = "armv7-unknown-linux-musleabihf";
const GNU: &str = "x86_64-unknown-linux-gnu";

/// The plan of a package with these targets, whose image config is changed first.
fn imaged(
    targets: &[&str],
    request: Request,
    change: impl FnOnce(&mut config::ImageConfig),
) -> Result<Plan, Vec<Finding>> {
    let mut project = single(Some(git(&["v1.2.3"])));
    project.cross.zig = zig();
    project.packages[0].about = About {
        license: Some("MIT".to_owned()),
        description: Some(" Does it\n".to_owned()),
        repository: Some("https://example.org/tool".to_owned()),
        homepage: None,
    };
    let mut config = config(&project);
    config.packages[0].targets = targets.iter().map(|name| Target::parse(name).unwrap()).collect();
    change(&mut config.packages[0].image);
    plan(&config, &project, &request)
}

fn images_alone() -> Request {
    Request { part: Part::Images, ..request(Mode::Snapshot) }
}

fn selecting(select: Select) -> Request {
    Request { select, ..images_alone() }
}

fn platforms(plan: &Plan) -> Vec<String> {
    let image = plan.images[0].platforms.iter();
    image.map(|it| format!("{} of {}", it.platform, it.target)).collect()
}

#[test]
fn an_image_without_config_is_named_and_described() {
    let plan = imaged(&[ARM, X86], images_alone(), |_| {}).unwrap();
    let image = &plan.images[0];
    assert_eq!(
        platforms(&plan),
        [format!("linux/amd64 of {X86}"), format!("linux/arm64/v8 of {ARM}")]
    );
    let names: Vec<String> = image.names.iter().map(Reference::to_string).collect();
    assert_eq!(names, ["docker.io/library/tool:1.2.3", "docker.io/library/tool:latest"]);
    let config = &image.config;
    assert_eq!(config.entrypoint, ["/usr/local/bin/tool"]);
    let nonroot = User { uid: 65532, gid: None };
    assert_eq!((config.user, config.workdir.as_deref()), (nonroot, Some("/home/nonroot")));
    assert!(config.default_env.contains_key("SSL_CERT_FILE"));
    let labels: Vec<_> = config.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
    let key = |name: &str| format!("org.opencontainers.image.{name}");
    let expected = [
        ("created", "2023-11-14T22:13:20Z"),
        ("description", "Does it"),
        ("licenses", "MIT"),
        ("revision", SHA),
        ("source", "https://example.org/tool"),
        ("title", "tool"),
        ("version", "1.2.3"),
    ];
    let expected: Vec<_> = expected.iter().map(|(name, value)| (key(name), *value)).collect();
    let expected: Vec<_> = expected.iter().map(|(name, value)| (&**name, *value)).collect();
    assert_eq!(labels, expected);
    assert_eq!(config.annotations, config.labels);
    assert_eq!(plan.archives.len(), 0);
}

#[test]
fn every_arm_has_its_variant_and_a_platform_its_static_program() {
    let plan = imaged(&[ARM7, X86, GNU], images_alone(), |_| {}).unwrap();
    assert_eq!(
        platforms(&plan),
        [format!("linux/amd64 of {X86}"), format!("linux/arm/v7 of {ARM7}")]
    );
    let plan = imaged(&[GNU, X86], images_alone(), |_| {}).unwrap();
    assert_eq!(platforms(&plan), [format!("linux/amd64 of {X86}")]);
    // What loads glibc needs a base that has it.
    let found = imaged(&[GNU], images_alone(), |_| {}).unwrap_err();
    assert!(found[0].why.contains("load glibc"), "{found:?}");
    let snapshot = imaged(&[GNU], request(Mode::Snapshot), |_| {}).unwrap();
    assert_eq!((snapshot.images.len(), snapshot.archives.len()), (0, 1));
    assert!(snapshot.left_out[0].by_choice, "{:?}", snapshot.left_out);
}

#[test]
fn platforms_narrow_what_is_built() {
    let narrowed = |platform: &str| {
        let platforms = vec![Platform::parse(platform).unwrap()];
        imaged(
            &[ARM, X86, "x86_64-pc-windows-gnu"],
            selecting(Select { platforms, ..Select::default() }),
            |_| {},
        )
    };
    for (asked, target) in [("linux/arm64", ARM), ("linux/arm64/v8", ARM), ("linux/amd64", X86)] {
        let plan = narrowed(asked).unwrap();
        let built: Vec<_> = plan.builds[0].targets.iter().map(Target::as_str).collect();
        assert_eq!(built, [target], "{asked}");
    }
    assert_eq!(rules(narrowed("linux/s390x")), ["no-image"]);
    // Without images nothing is built for containers alone, and the other way round.
    let plan = imaged(&["x86_64-pc-windows-gnu", X86], images_alone(), |_| {}).unwrap();
    assert_eq!(plan.builds[0].targets.len(), 1);
}

#[test]
fn what_is_not_wanted_is_not_made() {
    let not = |image: &mut config::ImageConfig| image.ship = false;
    assert_eq!(imaged(&[X86], request(Mode::Snapshot), not).unwrap().images.len(), 0);
    assert_eq!(rules(imaged(&[X86], images_alone(), not)), ["no-image"]);
    // Whoever names a package means it.
    let named = selecting(Select { packages: vec!["tool".to_owned()], ..Select::default() });
    assert_eq!(imaged(&[X86], named, not).unwrap().images.len(), 1);
    let skipped = skipping(Skip::Image, Mode::Snapshot);
    assert_eq!(imaged(&[X86], skipped, |_| {}).unwrap().images.len(), 0);
    let archives = Request { part: Part::Archives, ..request(Mode::Snapshot) };
    let plan = imaged(&[X86], archives, |_| {}).unwrap();
    assert_eq!((plan.images.len(), plan.archives.len()), (0, 1));
}

#[test]
fn texts_are_rendered_and_what_is_wrong_is_named() {
    let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let plan = imaged(&[X86], images_alone(), |image| {
        image.repositories = vec![Repository::parse("ghcr.io/acme/tool").unwrap()];
        image.tags = vec!["v{{ version }}".to_owned(), "v1.2.3".to_owned()];
        image.env = map("COMMIT", "{{ commit }}");
        image.labels = map("org.opencontainers.image.title", "{{ name }}!");
        image.cmd = vec!["{{ version }}".to_owned()];
    });
    let plan = plan.unwrap();
    let image = &plan.images[0];
    let names: Vec<String> = image.names.iter().map(Reference::to_string).collect();
    assert_eq!(names, ["ghcr.io/acme/tool:v1.2.3"]);
    assert_eq!(image.config.env["COMMIT"], SHA);
    assert_eq!(image.config.labels["org.opencontainers.image.title"], "tool!");
    assert_eq!(image.config.annotations["org.opencontainers.image.title"], "tool");
    assert_eq!(image.config.cmd, ["1.2.3"]);
    let wrong = imaged(&[X86], images_alone(), |image| {
        image.tags = vec!["a b".to_owned(), "{{ verson }}".to_owned()];
        image.env = map("X", "{{");
    });
    assert_eq!(rules(wrong), ["image", "image", "image"]);
}

#[test]
fn a_file_cannot_lie_where_a_binary_does() {
    for (to, wrong) in [
        ("usr/local/bin/tool", true),
        ("usr/local/bin/tool/x", true),
        ("usr/local", true),
        ("usr/local/bin/other", false),
    ] {
        let plan = imaged(&[X86], images_alone(), |image| {
            let node = ImageNode::File("/p/a".into());
            let owner = Owner::default();
            image.files = vec![ImageFile { to: to.to_owned(), node, mode: 0o644, owner }];
        });
        let found = plan.err().map(|found| found[0].rule);
        assert_eq!(found, wrong.then_some("image-files"), "{to}");
    }
}

#[test]
fn a_base_in_a_registry_is_what_was_pinned_and_nothing_else() {
    let name = |image: &mut config::ImageConfig, text: &str| {
        image.base = Base::Named(Reference::parse(text).unwrap());
    };
    for request in [request(Mode::Snapshot), request(Mode::Release), images_alone()] {
        let unpinned = imaged(&[X86], request.clone(), |image| name(image, "alpine:3"));
        assert_eq!(rules(unpinned), ["base-lock"]);
        let pinned = format!("alpine:3@sha256:{}", "ab".repeat(32));
        let plan = imaged(&[X86], request, |image| name(image, &pinned)).unwrap();
        assert_eq!(plan.images[0].base.to_string(), format!("docker.io/library/{pinned}"));
    }
}

#[test]
fn a_line_of_the_lock_that_nothing_needs_stops_a_release() {
    let mut facts = project(vec![package("tool", "1.0.0", None)], None);
    let base = Reference::parse("alpine:3").unwrap();
    let digest = crate::digest::Digest::of(b"an image");
    let pinned = crate::project::bases::Pinned { digest, sboms: Vec::new() };
    facts.bases.insert(base.clone(), pinned);
    let mut settings = config(&facts);
    for (mode, severity) in [(Mode::Snapshot, Severity::Warning), (Mode::Release, Severity::Error)]
    {
        let found = crate::plan::image::forgotten_bases(&settings, &facts, &request(mode));
        assert_eq!(found.iter().map(|it| it.severity).collect::<Vec<_>>(), [severity]);
    }
    settings.packages[0].image.base = Base::Named(base);
    let request = request(Mode::Release);
    assert_eq!(crate::plan::image::forgotten_bases(&settings, &facts, &request), []);
}

#[test]
fn latest_is_moved_by_releases_alone() {
    let moves = |version: &str, git: Git| {
        let facts = project(vec![package("tool", version, Some(&git))], Some(git));
        plan(&config(&facts), &facts, &images_alone()).unwrap().images[0].moves_latest
    };
    assert!(moves("1.2.3", git(&["v1.2.3"])));
    assert!(!moves("1.3.0-rc.1", git(&["v1.3.0-rc.1"])));
    assert!(!moves("1.2.3", Git { dirty: true, ..git(&["v1.2.3"]) }));
    assert!(!moves("1.2.4", git(&[])));
}
