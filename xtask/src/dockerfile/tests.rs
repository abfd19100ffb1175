use super::*;

/// A call of cargo is the native one, without what is of this machine.
#[test]
fn a_release_names_its_image_and_a_profile_its_folder() {
    for (release, image) in [
        ("1.95.0", "docker.io/library/rust:1.95.0-slim"),
        ("1.97.0-nightly", "docker.io/rustlang/rust:nightly-slim"),
        ("1.96.0-beta.3", "docker.io/rustlang/rust:nightly-slim"),
    ] {
        assert_eq!(rust_image(release), image);
    }
    for (profile, folder) in
        [("dev", "debug"), ("test", "debug"), ("bench", "release"), ("dist", "dist")]
    {
        assert_eq!(folder_of(profile), folder);
    }
}

#[test]
fn each_platform_is_a_case_of_the_shells() {
    let case = |triple: &str| {
        let target = Target::parse(triple).unwrap();
        let flags = ["-Ca=b c".to_owned(), "-Cd=$e".to_owned()];
        super::case(&target.platform().unwrap(), &target, &flags).unwrap()
    };
    let amd64 = case("x86_64-unknown-linux-musl");
    let expected = "      linux/amd64) \\\n        target=x86_64-unknown-linux-musl; \\\n        \
                    set -- \"-Ca=b c\" \"-Cd=\\$e\" ;; \\";
    assert_eq!(amd64, expected);
    for (triple, pattern) in [
        ("aarch64-unknown-linux-musl", "linux/arm64 | linux/arm64v8)"),
        ("armv7-unknown-linux-musleabihf", "linux/armv7)"),
    ] {
        assert!(case(triple).trim_start().starts_with(pattern), "{}", case(triple));
    }
}
