use std::path::Path;

use super::*;
use crate::license::tests::krate;
use crate::project::Crate;

/// `PATH KIND` of each file, and what was refused.
fn found(krate: &Crate) -> (Vec<String>, Vec<String>) {
    let Crate { dir, source, license_file, .. } = krate;
    let (source, license_file) = (source.as_deref(), license_file.as_deref());
    let Found { files, refused } = find(Sources { dir, source, license_file }).unwrap();
    let line = |file: &File| {
        format!("{} {}", file.path, if file.is_license { "license" } else { "notice" })
    };
    (files.iter().map(line).collect(), refused)
}

#[test]
fn files_are_known_by_their_names() {
    for (name, expected) in [
        ("LICENSE", Some(Kind::License)),
        ("license", Some(Kind::License)),
        ("Licence.md", Some(Kind::License)),
        ("LICENSES.txt", Some(Kind::License)),
        ("LICENSE-APACHE-2.0", Some(Kind::License)),
        ("LICENSE_MIT", Some(Kind::License)),
        ("LICENSE.BSD", Some(Kind::License)),
        ("MIT-LICENSE.txt", Some(Kind::License)),
        ("COPYING", Some(Kind::License)),
        ("COPYING.LIB", Some(Kind::License)),
        ("UNLICENSE", Some(Kind::License)),
        ("license-mit.txt", Some(Kind::License)),
        ("NOTICE", Some(Kind::Notice)),
        ("COPYRIGHT", Some(Kind::Notice)),
        ("ThirdPartyNotices.txt", Some(Kind::Notice)),
        ("PATENTS", Some(Kind::Notice)),
        ("COPYRIGHT-LICENSE", Some(Kind::License)),
        ("README.md", None),
        ("license.rs", None),
        ("LICENSE.html", None),
        ("copyright.py", None),
        ("relicensing.md", None),
        ("noticeable.txt", None),
        ("MIT", None),
    ] {
        assert_eq!(kind(name, false), expected, "{name}");
    }
    assert_eq!(kind("MIT.txt", true), Some(Kind::License));
    assert_eq!(kind("list.json", true), None);
}

#[test]
fn folders_of_licences_and_of_bundled_c_are_searched() {
    let temp = tempfile::tempdir().unwrap();
    let deep = format!("{}LICENSE", "a/".repeat(DEPTH));
    let deeper = format!("{}LICENSE", "b/".repeat(DEPTH + 1));
    let names = [
        "LICENSES/MIT.txt",
        "LICENSES/more/ISC",
        "third_party/zlib/COPYING",
        "tests/LICENSE",
        "c/Tests/LICENSE",
        ".git-of-old/LICENSE",
        "target/LICENSE",
        "src/lib.rs",
        "NOTICE.txt",
        &deep,
        &deeper,
    ];
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b"text"[..])).collect();
    let (files, refused) = found(&krate(temp.path(), "x", None, &files));
    let expected = [
        "LICENSES/MIT.txt license",
        "LICENSES/more/ISC license",
        "NOTICE.txt notice",
        &format!("{deep} license"),
        "third_party/zlib/COPYING license",
    ];
    assert_eq!(files, expected);
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn line_ends_marks_and_old_encodings_are_read() {
    for (bytes, expected) in [
        (&b"a\r\nb\rc\n"[..], "a\nb\nc\n"),
        (b"\xef\xbb\xbftext", "text"),
        (b"J\xfcrgen \xa9", "J\u{fc}rgen \u{a9}"),
        ("J\u{fc}rgen".as_bytes(), "J\u{fc}rgen"),
    ] {
        assert_eq!(text(bytes.to_vec()).unwrap(), expected);
    }
    assert_eq!(text(b"M\0I\0T\0".to_vec()).unwrap_err().to_string(), "it is not a text");
}

#[cfg(unix)]
#[test]
fn what_lies_elsewhere_or_is_no_text_is_refused_and_said() {
    use std::os::unix::fs::symlink;
    let temp = tempfile::tempdir().unwrap();
    let secret = temp.path().join("secret");
    files::write(&secret, b"password").unwrap();
    let x = krate(
        temp.path(),
        "x",
        Some("MIT"),
        &[
            ("COPYING", b"\x7fELF\0\0"),
            ("COPYRIGHT", b"../COPYRIGHT\n"),
            ("LICENSE-EMPTY", b" \n"),
            ("texts/MIT", b"MIT"),
        ],
    );
    symlink("texts/MIT", x.dir.join("LICENSE")).unwrap();
    symlink(&secret, x.dir.join("LICENSE-OUT")).unwrap();
    symlink("gone", x.dir.join("LICENSE-GONE")).unwrap();
    symlink("LICENSE-LOOP", x.dir.join("LICENSE-LOOP")).unwrap();
    symlink(temp.path(), x.dir.join("licenses")).unwrap();
    files::write(&x.dir.join("NOTICE"), &vec![b'x'; (4 << 20) + 1]).unwrap();
    let (files, refused) = found(&x);
    assert_eq!(files, ["LICENSE license"]);
    let starts = [
        "COPYING: it is not a text",
        "COPYRIGHT: it holds nothing but the name ../COPYRIGHT",
        "LICENSE-GONE: the link ",
        "LICENSE-LOOP: the link ",
        "LICENSE-OUT: ",
        "NOTICE: read ",
        "licenses: ",
    ];
    assert_eq!(refused.len(), starts.len(), "{refused:#?}");
    for (refused, start) in refused.iter().zip(starts) {
        assert!(refused.starts_with(start), "{refused}");
    }
    assert!(refused[4].contains(" leads out of "), "{}", refused[4]);
    assert!(refused[5].ends_with("it has more than 4194304 bytes"), "{}", refused[5]);
}

/// Crates of a repository may have their licence in its topmost folder, and link to it.
#[test]
fn a_repository_is_one_folder_for_its_crates() {
    let temp = tempfile::tempdir().unwrap();
    let top = temp.path().join("top");
    for (path, bytes) in [(".git/HEAD", "x"), ("LICENSE", "top"), ("sub/LICENSE", "other")] {
        files::write(&top.join(path), bytes.as_bytes()).unwrap();
    }
    let mut bare = krate(&top.join("crates"), "bare", Some("MIT"), &[]);
    assert_eq!(found(&bare).0, ["LICENSE license"]);
    bare.license_file = Some(Path::new("../../LICENSE").to_owned());
    assert_eq!(found(&bare).0, ["../../LICENSE license"]);
    let own = krate(&top.join("crates"), "own", Some("MIT"), &[("COPYING", b"own")]);
    assert_eq!(found(&own).0, ["COPYING license"]);
    // A registry's folder is no repository, whatever lies above it.
    bare.license_file = None;
    bare.source = Some("registry+https://github.com/rust-lang/crates.io-index".to_owned());
    assert_eq!(found(&bare).0, Vec::<String>::new());
    // What the manifest names lies in the crate's folder once it is packaged.
    let mut named = krate(temp.path(), "named", None, &[("TERMS", b"terms"), ("LICENSE", b"l")]);
    named.license_file = Some(Path::new("TERMS").to_owned());
    assert_eq!(found(&named).0, ["LICENSE license", "TERMS license"]);
    named.license_file = Some(Path::new("../../LICENSE").to_owned());
    assert_eq!(found(&named), (vec!["LICENSE license".to_owned()], Vec::new()));
    named.license_file = Some(Path::new("gone").to_owned());
    assert_eq!(found(&named).1.len(), 1);
}
