use super::*;

fn release(id: u64, tag: &str, draft: bool, prerelease: bool) -> Release {
    serde_json::from_value(serde_json::json!({
        "id": id, "tag_name": tag, "name": tag, "body": "", "draft": draft,
        "prerelease": prerelease, "html_url": "", "upload_url": "",
    }))
    .unwrap()
}

#[test]
fn a_published_release_counts_before_drafts_and_an_old_draft_before_new_ones() {
    let found = |all: &[(u64, &str, bool)]| {
        let all = all.iter().map(|(id, tag, draft)| release(*id, tag, *draft, false)).collect();
        choose(all, "v1.0.0").0.map(|it| it.id)
    };
    assert_eq!(found(&[]), None);
    assert_eq!(found(&[(1, "v1.0.1", false), (2, "v1.0.00", true)]), None);
    assert_eq!(found(&[(7, "v1.0.0", true), (5, "v1.0.0", true)]), Some(5));
    assert_eq!(found(&[(5, "v1.0.0", true), (7, "v1.0.0", false)]), Some(7));
}

/// Tag, the others' tags: whether it is shown as the latest.
#[test]
fn a_patch_of_an_old_line_is_not_the_latest() {
    for (tag, others, expected) in [
        ("v1.0.0", &[][..], true),
        ("v1.0.1", &["v1.0.0"], true),
        ("v1.0.1", &["v1.0.0", "v2.0.0"], false),
        ("v1.10.0", &["v1.9.0"], true),
        ("a-v1.0.0", &["b-v2.0.0", "v3.0.0"], true),
        ("a-v1.0.0", &["a-v2.0.0"], false),
        ("v1.0.0", &["nightly", "2.0"], true),
        ("v1.0.0", &["2.0.0"], false),
        ("1.0.0", &["v0.9.0", "tool/v2.0.0"], true),
        ("tool/v1.0.0", &["tool-1.1.0"], false),
    ] {
        let others: Vec<Release> = others.iter().map(|tag| release(1, tag, false, false)).collect();
        assert_eq!(is_latest(&tag_of(tag), &others), expected, "{tag}");
    }
    // The form that a setting fixes is compared with its own.
    let fixed = ReleaseTag::of("rel_1.0.0", None, "1.0.0").unwrap();
    assert!(is_latest(&fixed, &[release(1, "rel_0.9.0", false, false)]));
    assert!(!is_latest(&fixed, &[release(1, "rel_1.0.1", false, false)]));
    let unseen = [release(1, "v2.0.0", true, false), release(2, "v3.0.0-rc.1", false, true)];
    assert!(is_latest(&tag_of("v1.0.0"), &unseen));
}

fn tag_of(tag: &str) -> ReleaseTag {
    ReleaseTag::parse(tag).unwrap()
}
