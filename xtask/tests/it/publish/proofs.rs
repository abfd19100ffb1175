//! A release on GitHub, verified and signed by its name.

use super::*;
use crate::world::keys::{PUBLIC, outside};

fn subject() -> String {
    format!("{REPOSITORY}@v1.0.0")
}

fn verified(stage: &Stage) -> Run {
    let key = outside(&stage.world, "key.pub", PUBLIC);
    run(&mut stage.tool(&format!("verify --key {} {}", key.display(), subject())))
}

#[test]
fn a_release_is_verified_by_its_name() {
    let Some(mut stage) = Stage::at("1.0.0") else { return };
    stage.is_signed = true;
    verified(&stage).ends_with(1).no_result().says("has no release v1.0.0");
    stage.release().ends_with(0);
    let proved = verified(&stage);
    proved.ends_with(0);
    for what in ["checksum", "signature", "provenance", "tag"] {
        let mut lines = proved.stdout.lines().map(|line| line.split_whitespace());
        let is_proved = lines.any(|mut words| words.by_ref().take(2).eq(["proved", what]));
        assert!(is_proved, "{what}: {}", proved.stdout);
    }
    // A file that somebody replaced.
    let statement = "kubectl-tool-v1.0.0.intoto.json";
    for name in ["checksums.txt", statement, &format!("kubectl-tool-v1.0.0-{HOST}.tar.gz")] {
        let change = |to: Option<Vec<u8>>| {
            let mut state = stage.github.state();
            let release = &mut state.repositories.get_mut(REPOSITORY).unwrap().releases[0];
            let asset = release.assets.iter_mut().find(|asset| asset.name == name).unwrap();
            let before = asset.bytes.to_vec();
            let mut changed = before.clone();
            changed[20] ^= 1;
            asset.bytes = to.unwrap_or(changed).into();
            before
        };
        let before = change(None);
        verified(&stage).ends_with(1).says("error: ");
        change(Some(before));
        verified(&stage).ends_with(0);
    }
    // The tag moved since.
    stage.world.file("more", "").commit();
    stage.world.git(["tag", "--force", "v1.0.0"]);
    stage.github.push(REPOSITORY, stage.world.root());
    let moved = verified(&stage);
    moved.ends_with(1).says("error: v1.0.0: its tag fails: ").says("the release was made of");
}

#[test]
fn a_release_that_is_there_is_signed_by_its_name() {
    let Some(mut stage) = Stage::at("1.0.0") else { return };
    stage.release().ends_with(0);
    verified(&stage).ends_with(1);
    stage.is_signed = true;
    let sign = |stage: &Stage| run(&mut stage.tool(&format!("sign {}", subject())));
    let signed = sign(&stage);
    let names = ["kubectl-tool-v1.0.0.intoto.json", "checksums.txt"];
    let expected = names.map(|name| format!("{} {name}.sigstore.json\n", subject()));
    assert_eq!(signed.ends_with(0).stdout, expected.concat());
    verified(&stage).ends_with(0);
    let assets = |stage: &Stage| {
        let state = stage.github.state();
        let release = &state.repositories[REPOSITORY].releases[0];
        release.assets.iter().map(|it| (it.name.clone(), it.bytes.to_vec())).collect::<Vec<_>>()
    };
    let before = assets(&stage);
    sign(&stage).ends_with(0).says(" keep the signature of checksums.txt");
    assert!(assets(&stage) == before, "a second run changes nothing");
    // Another key's signature is not replaced.
    let mut other = stage.tool(&format!("sign {}", subject()));
    other.env("COSIGN_PRIVATE_KEY", crate::world::keys::OTHER_KEY);
    run(&mut other).ends_with(1).says("exists with other bytes");
    assert!(assets(&stage) == before);
    stage.is_signed = false;
    sign(&stage).ends_with(1).no_result().says("there is no key to sign with");
}
