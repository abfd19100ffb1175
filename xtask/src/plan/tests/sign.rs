use super::*;
use crate::config::SignedFiles;

/// What is signed, by the settings and what is asked for.
#[test]
fn what_is_signed_is_decided_by_the_key_and_the_settings() {
    let project = single(None);
    let names = |change: &dyn Fn(&mut Config, &mut Request)| {
        let mut config = config(&project);
        let mut request = request(Mode::Snapshot);
        request.publish.has_key = true;
        change(&mut config, &mut request);
        let sign = plan(&config, &project, &request).unwrap().sign;
        sign.map(|it| it.files.len().to_string() + &it.bundles().collect::<Vec<_>>().join(" "))
    };
    let statement =
        &plan(&config(&project), &project, &request(Mode::Snapshot)).unwrap().provenance;
    let list = format!("2checksums.txt.sigstore.json {}.sigstore.json", statement[0].name);
    let list = Some(list);
    assert_eq!(names(&|_, _| {}), list);
    assert_eq!(names(&|_, request| request.publish.has_key = false), None);
    let by_setting = names(&|config, request| {
        request.publish.has_key = false;
        config.sign.key = Some("/p/cosign.key".into());
    });
    assert_eq!(by_setting, list);
    assert_eq!(names(&|_, request| request.select.skip = vec![Skip::Sign]), None);
    assert_eq!(names(&|_, request| request.part = Part::Archives), None);
    assert_eq!(names(&|_, request| request.part = Part::Images), Some("0".to_owned()));
    let all = names(&|config, _| config.sign.files = SignedFiles::All).unwrap();
    assert!(
        all.contains(".tar.gz.sigstore.json") && all.contains("checksums.txt.sigstore.json"),
        "{all}"
    );
}
