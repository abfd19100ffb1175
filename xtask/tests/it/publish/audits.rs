//! Releases are audited where they are: the files on GitHub, and the image in its registry.

use std::fs;

use super::{REPOSITORY, Stage};
use crate::world::run;

#[test]
fn a_release_is_audited_where_it_is() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.release().ends_with(0);
    let advisories = stage.world.outside("advisories");
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"other\"\n\
                date = \"2024-05-06\"\n[versions]\npatched = []\n```\n\n# It breaks\n\nMuch.\n";
    fs::create_dir_all(advisories.join("crates/other")).unwrap();
    fs::write(advisories.join("crates/other/RUSTSEC-2024-0001.md"), text).unwrap();
    let audit = |input: &str| {
        let mut tool = stage.tool(&format!("audit --json {input}"));
        run(tool.env("DOCKLESS_ADVISORY_DB", &advisories))
    };
    let image = format!("{}/{}/kubectl-tool:1.0.0", stage.registry.host, stage.folder);
    for input in [format!("{REPOSITORY}@v1.0.0"), image] {
        let audited = audit(&input);
        let audited = audited.ends_with(0).list();
        let [one] = &audited.as_array().unwrap()[..] else { panic!("{input}: {audited}") };
        assert_eq!(
            (&one["result"], &one["package"]),
            (&"passed".into(), &"kubectl-tool 1.0.0".into())
        );
    }
    audit(&format!("{REPOSITORY}@v9.9.9")).ends_with(1).says("acme/tool has no release v9.9.9");

    // A file that is not what GitHub's digest says is not audited.
    let archive = {
        let mut state = stage.github.state();
        let release = &mut state.repositories.get_mut(REPOSITORY).unwrap().releases[0];
        let asset = release.assets.iter_mut().find(|it| it.name.ends_with(".tar.gz")).unwrap();
        let mut bytes = asset.bytes.to_vec();
        bytes.truncate(bytes.len() - 1);
        bytes.push(b'!');
        asset.bytes = bytes.into();
        asset.name.clone()
    };
    let tampered = audit(&format!("{REPOSITORY}@v1.0.0"));
    let found = tampered.ends_with(1).list();
    assert_eq!(found[0]["result"], "failed", "{archive}: {found}");
}
