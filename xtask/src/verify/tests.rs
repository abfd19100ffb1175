use super::files::digests;
use crate::digest::Digest;

#[test]
fn lists_are_read_as_sha256sum_writes_them() {
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let (a, b) = (a.hex(), b.hex());
    let read = |text: &str| {
        digests(text.as_bytes()).map(|it| it.into_keys().collect::<Vec<_>>().join(","))
    };
    assert_eq!(read(&format!("{a}  one\n{b} *two two\n\n")).unwrap(), "one,two two");
    assert_eq!(read(&format!("{a}  one\n{a}  one\n")).unwrap(), "one");
    for (text, why) in [
        (format!("{a}  one\n{b}  one\n"), "two checksums of \"one\""),
        (format!("{a} one\n"), "line 1 is no checksum"),
        (format!("{a}  one\n{}  two\n", &b[1..]), "line 2 is no checksum"),
        (format!("{}  one\n", a.to_uppercase()), "line 1 is no checksum"),
        (format!("{a}  ../one\n"), "no file beside it"),
        (format!("{a}  ..\n"), "no file beside it"),
        (format!("{a}  \n"), "no file beside it"),
        (format!("{a}  a\\b\n"), "no file beside it"),
        (format!("é{a}  one\n"), "line 1 is no checksum"),
    ] {
        let error = format!("{:#}", read(&text).unwrap_err());
        assert!(error.contains(why), "{text}: {error}");
    }
    assert!(digests(b"\xff").is_err());
}
