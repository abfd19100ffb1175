use std::time::Duration;

use arbtest::arbitrary::{Result, Unstructured};

use super::*;

const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

#[test]
fn a_reference_is_split_as_docker_splits_it() {
    let digest = format!("sha256:{HEX}");
    let of = |text: &str| text.replace("DIGEST", &digest);
    for (text, registry, path, tag, full, familiar) in [
        ("alpine", "docker.io", "library/alpine", None, "docker.io/library/alpine", "alpine"),
        (
            "alpine:3",
            "docker.io",
            "library/alpine",
            Some("3"),
            "docker.io/library/alpine:3",
            "alpine",
        ),
        ("acme/app", "docker.io", "acme/app", None, "docker.io/acme/app", "acme/app"),
        (
            "docker.io/alpine",
            "docker.io",
            "library/alpine",
            None,
            "docker.io/library/alpine",
            "alpine",
        ),
        (
            "index.docker.io/alpine",
            "docker.io",
            "library/alpine",
            None,
            "docker.io/library/alpine",
            "alpine",
        ),
        ("index.docker.io/a/b", "docker.io", "a/b", None, "docker.io/a/b", "a/b"),
        ("library/a/b", "docker.io", "library/a/b", None, "docker.io/library/a/b", "library/a/b"),
        // Docker prints `a.b/c`, which it would read as a path on the host a.b.
        ("docker.io/a.b/c", "docker.io", "a.b/c", None, "docker.io/a.b/c", "docker.io/a.b/c"),
        (
            "docker.io/localhost/c",
            "docker.io",
            "localhost/c",
            None,
            "docker.io/localhost/c",
            "docker.io/localhost/c",
        ),
        (
            "ghcr.io/acme/app:1.0",
            "ghcr.io",
            "acme/app",
            Some("1.0"),
            "ghcr.io/acme/app:1.0",
            "ghcr.io/acme/app",
        ),
        ("quay.io/app", "quay.io", "app", None, "quay.io/app", "quay.io/app"),
        ("localhost/x", "localhost", "x", None, "localhost/x", "localhost/x"),
        ("localhost:5000/x", "localhost:5000", "x", None, "localhost:5000/x", "localhost:5000/x"),
        (
            "localhost:5000",
            "docker.io",
            "library/localhost",
            Some("5000"),
            "docker.io/library/localhost:5000",
            "localhost",
        ),
        ("host:65535/x/y:t", "host:65535", "x/y", Some("t"), "host:65535/x/y:t", "host:65535/x/y"),
        ("[::1]:5000/x", "[::1]:5000", "x", None, "[::1]:5000/x", "[::1]:5000/x"),
        (
            "[2001:db8::1]/x:t",
            "[2001:db8::1]",
            "x",
            Some("t"),
            "[2001:db8::1]/x:t",
            "[2001:db8::1]/x",
        ),
        ("127.0.0.1:5000/x", "127.0.0.1:5000", "x", None, "127.0.0.1:5000/x", "127.0.0.1:5000/x"),
        ("Host/x", "Host", "x", None, "Host/x", "Host/x"),
        ("GHCR.io/x", "GHCR.io", "x", None, "GHCR.io/x", "GHCR.io/x"),
        (
            "a/b__c.d_e---f",
            "docker.io",
            "a/b__c.d_e---f",
            None,
            "docker.io/a/b__c.d_e---f",
            "a/b__c.d_e---f",
        ),
        (
            "alpine:3@DIGEST",
            "docker.io",
            "library/alpine",
            Some("3"),
            "docker.io/library/alpine:3@DIGEST",
            "alpine",
        ),
        ("h:1/p/q:t@DIGEST", "h:1", "p/q", Some("t"), "h:1/p/q:t@DIGEST", "h:1/p/q"),
        ("h:1/p@DIGEST", "h:1", "p", None, "h:1/p@DIGEST", "h:1/p"),
    ] {
        let parsed = reference(&of(text));
        let repository = &parsed.repository;
        let parts =
            (&*repository.registry, &*repository.path, parsed.tag.as_ref().map(Tag::as_str));
        assert_eq!(parts, (registry, path, tag), "{text}");
        assert_eq!(parsed.digest.map(|it| it.hex()), text.contains('@').then(|| HEX.to_owned()));
        assert_eq!((parsed.to_string(), &*repository.familiar()), (of(full), familiar), "{text}");
        let json = serde_json::to_value(&parsed).unwrap();
        assert_eq!(json, of(full));
    }
    let id = reference(&format!("docker.io/library/{HEX}")).repository;
    assert_eq!(id.familiar(), format!("docker.io/library/{HEX}"));
}

#[test]
fn what_is_no_reference_is_refused_with_the_reason() {
    let (short, long) = ("a".repeat(255), "a".repeat(256));
    for (text, words) in [
        ("", "the name is missing"),
        (":tag", "the name is missing"),
        ("@sha256:00", "64 lower-case hex digits"),
        ("https://ghcr.io/acme/app", r#"no scheme: leave out "https://""#),
        ("docker://alpine", r#"no scheme: leave out "docker://""#),
        ("user:secret@ghcr.io/acme/app", "no user and no password: leave out all up to `@`"),
        ("ghcr.io/acme/app ", "a space or a control character"),
        ("alp\u{0}ine", "a space or a control character"),
        ("alp\u{1b}[31mine", "a space or a control character"),
        ("alp\u{a0}ine", "a space or a control character"),
        ("ghcr.io/Acme/App", r#""acme/app" has none"#),
        ("Alpine", r#"upper-case letters"#),
        ("acme/App", r#"upper-case letters"#),
        ("ghcr.io/", "is empty"),
        ("ghcr.io//app", "is empty"),
        ("/app", "is empty"),
        ("acme/app/", "is empty"),
        ("a..b", r#""a..b" is not a part of a path"#),
        ("a___b", "is not a part of a path"),
        ("a._b", "is not a part of a path"),
        ("a-_b", "is not a part of a path"),
        ("-a", "is not a part of a path"),
        ("a_", "is not a part of a path"),
        ("../etc", r#"".." is not the name of a host"#),
        ("a/../b", r#"".." is not a part of a path"#),
        ("bücher", "is not a part of a path"),
        ("a/b%2fc", "is not a part of a path"),
        ("host:0/x", r#"port "0" is not a number from 1 to 65535"#),
        ("host:65536/x", "is not a number from 1 to 65535"),
        ("host:+80/x", "is not a number from 1 to 65535"),
        ("host:/x", r#"port "" is not a number"#),
        ("host:80:80/x", "is not the name of a host"),
        ("-host.io/x", "is not the name of a host"),
        ("host-.io/x", "is not the name of a host"),
        ("a..io/x", "is not the name of a host"),
        ("under_score.io/x", "is not the name of a host"),
        ("::1/x", "is not the name of a host"),
        ("[::1/x", "is not the name of a host"),
        ("[:::]/x", r#"":::" is not an IPv6 address"#),
        ("[fe80::1%eth0]/x", "is not an IPv6 address"),
        ("[::ffff:1.2.3.4]/x", "is not an IPv6 address"),
        ("[127.0.0.1]/x", "is not an IPv6 address"),
        ("alpine:", r#""" is not a tag"#),
        ("alpine:-1", r#""-1" is not a tag"#),
        ("alpine:1.0+build", r#""1.0+build" is not a tag"#),
        ("alpine:é", "is not a tag"),
        (&format!("alpine:{}", "a".repeat(129)), "is not a tag"),
        ("alpine@", "is not a digest"),
        ("alpine@latest", "is not a digest"),
        (&format!("alpine@sha512:{HEX}{HEX}"), r#"with "sha512", but only sha256"#),
        (&format!("alpine@sha256:{}", HEX.to_uppercase()), "64 lower-case hex digits"),
        (&format!("alpine@sha256:{HEX}@sha256:{HEX}"), "64 lower-case hex digits"),
        (HEX, "the ID of an image"),
        (&format!("ghcr.io/{long}"), "path is longer than 255"),
        (&format!("{long}.io/x"), "registry is longer than 255"),
        (&format!("x/{}", "a".repeat(1 << 20)), "is too long"),
    ] {
        let error = format!("{:#}", Reference::parse(text).unwrap_err());
        assert!(error.contains(words), "{text:?}: {error}");
        assert!(error.contains("one looks like ghcr.io/acme/app:1.0"), "{error}");
        assert!(!error.contains("secret") && error.len() < 1200, "{error}");
    }
    assert_eq!(reference(&format!("ghcr.io/{short}")).repository.path, short);
}

#[test]
fn a_repository_has_neither_tag_nor_digest() {
    let repository = Repository::parse("ghcr.io/acme/app").unwrap();
    assert_eq!(repository, reference("ghcr.io/acme/app:1").repository);
    for text in ["alpine:3", &format!("alpine@sha256:{HEX}"), "localhost:5000"] {
        let error = Repository::parse(text).unwrap_err().to_string();
        assert!(error.contains("has a tag or a digest"), "{error}");
    }
}

/// Pieces that mean something in a reference, joined at random.
fn text(u: &mut Unstructured<'_>) -> Result<String> {
    const PIECES: [&str; 22] = [
        "a",
        "b1",
        "library",
        "docker.io",
        "index.docker.io",
        "localhost",
        "Host",
        "[::1]",
        "/",
        "/",
        ":",
        "@",
        ".",
        "_",
        "-",
        "5000",
        "latest",
        "sha256:",
        HEX,
        " ",
        "://",
        "é",
    ];
    let pieces = (0..u.int_in_range(0..=9)?).map(|_| u.choose(&PIECES).copied());
    Ok(pieces.collect::<Result<Vec<_>>>()?.concat())
}

#[test]
fn what_is_parsed_is_written_and_parsed_to_the_same() {
    let mut parsed = 0;
    let property = |u: &mut Unstructured<'_>| {
        let text = if u.ratio(1, 8)? { u.arbitrary::<String>()? } else { text(u)? };
        parsed += usize::from(Reference::parse(&text).is_ok());
        crate::fuzzing::reference(text.as_bytes());
        Ok(())
    };
    arbtest::arbtest(property).budget(Duration::from_secs(1));
    // How many there are in that time, the machine decides.
    assert!(parsed > 0, "no text was a reference");
}

#[test]
fn what_repositories_are_below_may_be_a_registry_alone() {
    for (text, expected) in [
        ("ghcr.io/acme", "ghcr.io/acme/tool"),
        ("ghcr.io/acme/", "ghcr.io/acme/tool"),
        ("localhost:5000", "localhost:5000/tool"),
        ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b/tool"),
        ("acme", "docker.io/acme/tool"),
    ] {
        let below = Above::parse(text).unwrap().below("tool").unwrap();
        assert_eq!(below.to_string(), expected);
    }
    for text in
        ["", "/", "https://ghcr.io", "ghcr.io/Acme", "ghcr.io/acme:1", "u:p@ghcr.io/x", "a b"]
    {
        let refused = Above::parse(text);
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
}
