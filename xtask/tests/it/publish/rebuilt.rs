//! Releases on GitHub that are made again, by their names.

use crate::rebuild::compared;
use serde_json::{Value, json};

use super::{REPOSITORY, Stage};
use crate::world::{Run, names, run, sha256};

/// Makes the release again elsewhere, from the sources that the stage has.
fn rebuild(stage: &Stage) -> Run {
    let elsewhere = stage.world.outside("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let mut tool = stage.tool("verify --json --rebuild --source");
    tool.arg(stage.world.root()).arg(format!("{REPOSITORY}@v1.0.0")).current_dir(&elsewhere);
    let said = run(&mut tool);
    assert_eq!(names(&elsewhere), [""; 0], "nothing is left behind");
    said
}

#[test]
fn a_release_on_github_is_made_again_with_its_images_and_its_plugin() {
    let Some(stage) = Stage::at("1.0.0") else { return };
    stage.release().ends_with(0);
    let said = rebuild(&stage);
    said.ends_with(0);
    assert_eq!(said.json()["rebuild"]["differences"], json!([]));
    let mut expected: Vec<String> = stage.files("1.0.0").into_iter().collect();
    expected.retain(|name| name != "checksums.txt");
    expected.push("images/kubectl-tool".to_owned());
    expected.sort();
    assert_eq!(compared(&said, "equal"), expected);

    // A plugin's manifest that somebody changed on GitHub, and an image of another release.
    {
        let mut state = stage.github.state();
        let release = &mut state.repositories.get_mut(REPOSITORY).unwrap().releases[0];
        let asset = release.assets.iter_mut().find(|it| it.name == "tool.yaml").unwrap();
        let text = String::from_utf8(asset.bytes.to_vec()).unwrap();
        let text = text.replace("bin: kubectl-tool", "bin: kubectl-fool");
        (asset.digest, asset.bytes) = (sha256(text.as_bytes()), text.into_bytes().into());
        let name = "kubectl-tool-v1.0.0.intoto.json";
        let asset = release.assets.iter_mut().find(|it| it.name == name).unwrap();
        let mut statement: Value = serde_json::from_slice(&asset.bytes).unwrap();
        let subjects = statement["subject"].as_array_mut().unwrap();
        let images = subjects.iter_mut().filter(|it| it["name"].as_str().unwrap().contains('@'));
        for image in images {
            let hex = image["digest"]["sha256"].as_str().unwrap().to_owned();
            let other = "3".repeat(64);
            image["name"] = image["name"].as_str().unwrap().replace(&hex, &other).into();
            image["digest"]["sha256"] = other.into();
        }
        let text = statement.to_string();
        (asset.digest, asset.bytes) = (sha256(text.as_bytes()), text.into_bytes().into());
    }
    let said = rebuild(&stage);
    said.ends_with(1).says("the release differs from what its commit gives");
    let different = compared(&said, "different");
    let expected = ["images/kubectl-tool", "kubectl-tool-v1.0.0.intoto.json", "tool.yaml"];
    assert_eq!(different, expected);
    let found = said.json()["rebuild"]["differences"].to_string();
    for words in ["tool.yaml: line ", "bin: kubectl-fool", "is no image of the published release"] {
        assert!(found.contains(words), "no {words} in {found}");
    }
}
