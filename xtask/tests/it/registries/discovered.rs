//! What `oras discover` finds beside the images of a release.

use std::collections::BTreeSet;

use super::*;
use crate::world::keys::signing;
use crate::world::slow_judge;

/// What each image and each index has beside it: the type of an attachment and, where it is a
/// signed statement, that of its claim.
const BESIDE: [&str; 3] = [
    "application/spdx+json",
    "application/vnd.dev.sigstore.bundle.v0.3+json https://sigstore.dev/cosign/sign/v1",
    "application/vnd.dev.sigstore.bundle.v0.3+json https://slsa.dev/provenance/v1",
];

/// By the referrers API, and by the tag where a registry has none.
#[test]
fn oras_finds_sbom_provenance_and_signature_of_images_and_indexes() {
    let Some(oras) = slow_judge("oras") else { return };
    for (software, spec) in
        [(Software::Referrers, "v1.1-referrers-api"), (Software::V3, "v1.1-referrers-tag")]
    {
        let Some(registry) = Registry::of(software, Access::Open) else { continue };
        let world = World::empty();
        let settings = "[workspace]\n[workspace.metadata.dockless.github]\nship = false\n";
        world.package("", "tool", "1.0.0", settings).file("LICENSE", "free\n").lock();
        world.commit();
        world.git(["tag", "v1.0.0"]);
        let mut release = signing(&world, "release --skip check");
        release.env("DOCKLESS_REPOSITORY", format!("{}/discovered", registry.host));
        run(release.envs(registry.vars(&world))).ends_with(0);
        let artifacts = world.artifacts();
        let mut made = artifacts.as_array().unwrap().iter();
        let extra = &made.find(|it| it["type"] == "Image").unwrap()["extra"];
        let platforms = extra["platforms"].as_array().unwrap().iter().map(|it| &it["digest"]);
        let digests: Vec<&Value> = platforms.chain([&extra["digest"]]).collect();
        assert_eq!(digests.len(), 3, "{extra}");
        let ask = |args: &[&str]| run(&mut world.with(&oras, args));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for digest in digests {
            let name = format!("{}/discovered/tool@{}", registry.host, text(digest));
            let args = ["discover", "--plain-http", "--distribution-spec", spec];
            let found = ask(&[&args[..], &["--format", "json", &name]].concat());
            let found = found.ends_with(0).json();
            let beside = found["referrers"].as_array().unwrap_or_else(|| panic!("{found}")).iter();
            let beside: Vec<String> = beside
                .map(|it| {
                    let manifest =
                        ask(&["manifest", "fetch", "--plain-http", &text(&it["reference"])]);
                    let manifest = manifest.ends_with(0).json();
                    assert_eq!(manifest["subject"]["digest"], *digest, "{manifest}");
                    let claim = text(&manifest["annotations"]["dev.sigstore.bundle.predicateType"]);
                    format!("{} {claim}", text(&manifest["artifactType"])).trim_end().to_owned()
                })
                .collect();
            assert_eq!(beside.len(), BESIDE.len(), "{software:?} {found:#}");
            assert_eq!(
                beside.into_iter().collect::<BTreeSet<_>>(),
                BTreeSet::from(BESIDE.map(str::to_owned)),
                "{software:?}"
            );
        }
    }
}
