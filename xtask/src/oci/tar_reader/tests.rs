use std::io::{Cursor, Write};
use std::time::Duration;

use arbtest::arbitrary::Unstructured;
use tar::{Builder, EntryType, Header};

use super::place::Place;
use super::*;
use crate::finding::{self, Severity};

const END: [u8; 1024] = [0; 1024];

/// A header with its checksum. Tests overwrite its fields.
fn raw(flag: u8, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkflag = [flag];
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    header
}

fn linked(flag: u8, name: &[u8], target: &[u8]) -> Vec<u8> {
    let mut header = raw(flag, name, 0);
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A header and its content, padded.
fn member(flag: u8, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = raw(flag, name, content.len() as u64).as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn edited(edit: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = raw(b'0', b"file", 0);
    edit(&mut header);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|it| it.to_string().len() + rest == *it).unwrap();
        content.extend(format!("{length} {key}={value}\n").bytes());
    }
    member(b'x', b"pax", &content)
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), END.to_vec()].concat()
}

/// Walks by reading and by seeking, which must agree.
fn members(tar: &[u8]) -> Result<Vec<TarMember>> {
    let mut read = Vec::new();
    let result = walk(tar, |member, _| {
        read.push(member.clone());
        Ok(())
    });
    let mut sought = Vec::new();
    let seeking = walk_file(&mut Cursor::new(tar), |member, content| {
        content.read_to_end(&mut Vec::new())?;
        sought.push(member.clone());
        Ok(())
    });
    let said = |result: &Result<()>| result.as_ref().err().map(|error| format!("{error:#}"));
    assert_eq!(said(&result), said(&seeking));
    if result.is_ok() {
        assert_eq!(read, sought);
    }
    result.map(|()| read)
}

fn paths(tar: &[u8]) -> Vec<String> {
    let lossy = |member: TarMember| String::from_utf8_lossy(&member.path).into_owned();
    members(tar).unwrap().into_iter().map(lossy).collect()
}

#[test]
fn members_come_in_order_with_what_their_headers_say() {
    let mut bytes = Vec::new();
    let mut builder = Builder::new(&mut bytes);
    let mut header = Header::new_gnu();
    header.set_mode(0o104755);
    header.set_uid(5_000_000_000);
    header.set_gid(7);
    header.set_size(5);
    builder.append_data(&mut header, "dir/first", &b"first"[..]).unwrap();
    let long = "n/".repeat(300) + "é";
    header.set_size(513);
    builder.append_data(&mut header, &long, &[b'x'; 513][..]).unwrap();
    header.set_size(0);
    header.set_entry_type(EntryType::Symlink);
    builder.append_link(&mut header, "link", &long).unwrap();
    builder.into_inner().unwrap();

    let mut contents = Vec::new();
    let mut each = |member: &TarMember, content: &mut dyn Read| {
        let mut text = String::new();
        content.take(7).read_to_string(&mut text)?;
        contents.push((member.clone(), text));
        Ok(())
    };
    walk(&bytes[..], &mut each).unwrap();
    walk_file(&mut Cursor::new(&bytes), &mut each).unwrap();
    let first = TarMember {
        path: b"dir/first".to_vec(),
        kind: TarMemberKind::File,
        link: None,
        mode: 0o4755,
        uid: 5_000_000_000,
        gid: 7,
        time: 0,
        size: 5,
        at: 512,
    };
    assert_eq!(contents[0], (first, "first".to_owned()));
    let (second, text) = &contents[1];
    assert_eq!((&*second.path, second.size, &**text), (long.as_bytes(), 513, "xxxxxxx"));
    assert_eq!(&bytes[second.at as usize..][..513], [b'x'; 513]);
    let (link, _) = &contents[2];
    assert_eq!((link.kind, link.link.as_deref()), (TarMemberKind::Symlink, Some(long.as_bytes())));
    assert_eq!(contents[..3], contents[3..]);
}

#[test]
fn extensions_speak_of_the_next_member_only() {
    let fields = [("path", "a\nb"), ("size", "3"), ("uid", "9"), ("mtime", "1.5"), ("gid", "")];
    let tar = joined(&[
        member(b'g', b"global", &pax(&[("path", "no")])[512..]),
        pax(&fields),
        member(b'0', b"short", b"")[..512].to_vec(),
        member(b'0', b"", b"abc")[512..].to_vec(),
        member(b'L', b"././@LongLink", b"long\0rest"),
        member(b'K', b"././@LongLink", b"target\0"),
        linked(b'1', b"short", b"short"),
        member(0, b"old/", b""),
        member(b'7', b"\xff", b"z"),
    ]);
    let members = members(&tar).unwrap();
    assert_eq!((&*members[0].path, members[0].size, members[0].uid), (&b"a\nb"[..], 3, 9));
    assert_eq!((members[0].time, members[1].time), (1, 0));
    assert_eq!(tar[members[0].at as usize..][..3], *b"abc");
    assert_eq!(
        (&*members[1].path, members[1].link.as_deref()),
        (&b"long"[..], Some(&b"target"[..]))
    );
    assert_eq!((&*members[2].path, members[2].kind), (&b"old/"[..], TarMemberKind::Directory));
    assert_eq!((&*members[3].path, members[3].kind), (&b"\xff"[..], TarMemberKind::File));
    let mut star = Header::new_ustar();
    star.as_mut_bytes().copy_from_slice(raw(b'0', b"name", 0).as_bytes());
    star.as_mut_bytes()[345..476].fill(b'p');
    star.as_mut_bytes()[476..488].fill(b'7');
    let ustar = edited(|header| *header = star.clone());
    assert_eq!(paths(&joined(&[ustar])), [format!("{}{}/name", "p".repeat(131), "7".repeat(12))]);
    star.as_mut_bytes()[508..].copy_from_slice(b"tar\0");
    let star = edited(|header| *header = star);
    assert_eq!(paths(&joined(&[star])), [format!("{}/name", "p".repeat(131))]);
}

/// Old programs summed signed bytes.
#[test]
fn both_checksums_are_taken() {
    let mut bytes = member(b'0', b"\xe9t\xe9", b"");
    let unsigned: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>()
        - bytes[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>()
        + 8 * 32;
    for sum in [unsigned, unsigned - 512] {
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(members(&bytes).unwrap()[0].path, b"\xe9t\xe9");
    }
    bytes[148..156].copy_from_slice(format!("{:06o}\0 ", unsigned - 256).as_bytes());
    assert!(members(&bytes).unwrap_err().root_cause().to_string().contains("its checksum says"));
}

#[test]
fn an_archive_ends_with_zeros_or_with_the_file() {
    let file = member(b'0', b"file", b"abc");
    for end in [&END[..], &END[..512], &[], &[&END[..], b"what follows is not read"].concat()] {
        assert_eq!(paths(&[&*file, end].concat()), ["file"]);
    }
    assert_eq!(paths(b""), [""; 0]);
}

#[test]
fn what_is_no_tar_or_two_is_refused() {
    let file = || member(b'0', b"file", b"abc");
    let huge = |size: u64| edited(|header| header.set_size(size));
    let base_256 = |bytes: [u8; 12]| edited(|header| header.as_old_mut().size = bytes);
    let long = |path| pax(&[("path", path)]);
    let bare = |flag, content: &[u8]| member(flag, b"ext", content);
    let mut damaged = file();
    damaged[0] ^= 1;
    let mut sum = file();
    sum[148..156].copy_from_slice(b"0000099\0");
    for (tar, words) in [
        (b"not a tar".to_vec(), "9 bytes follow byte 0, and a header has 512"),
        (vec![b'x'; 1024], "is not an octal number"),
        (damaged, "its checksum says"),
        (sum, "its checksum: \"0000099\" is not an octal number"),
        (file()[..512].to_vec(), r#""file" says it has 3 bytes, and the file ends after 0"#),
        (file()[..514].to_vec(), "says it has 3 bytes, and the file ends after 2"),
        (file()[..1000].to_vec(), "within the last block of \"file\""),
        ([file(), END[..500].to_vec()].concat(), "500 bytes follow byte 1024"),
        ([file(), END[..512].to_vec(), file()].concat(), "one block of zeros before byte 1536"),
        (
            [huge(10_995_116_277_760), vec![1; 2048]].concat(),
            "says it has 10995116277760 bytes, and the file ends after 2048",
        ),
        (huge(u64::MAX), "18446744073709551615 bytes, which is more than any file"),
        (huge(u64::MAX - 511), "more than any file"),
        (base_256([0x81; 12]), "its size: is larger than 64 bits"),
        (base_256([0xff; 12]), "its size: is negative"),
        (base_256(*b"00000000009\0"), r#"its size: "00000000009" is not an octal number"#),
        (edited(|header| header.as_old_mut().uid = *b"0001-00\0"), "its uid: "),
        (
            edited(|header| header.as_old_mut().linkflag = *b"V"),
            "\"file\" is of an unknown kind, 'V'",
        ),
        (edited(|header| header.as_old_mut().linkflag = *b"S"), "\"file\" is a sparse file"),
        (joined(&[pax(&[("GNU.sparse.major", "1")]), file()]), "makes a sparse file"),
        (member(b'5', b"dir", b"x"), "\"dir\" has 1 bytes of content, and only files have one"),
        (member(b'1', b"link", b"x"), "only files have one"),
        (joined(&[pax(&[("size", "1")]), linked(b'2', b"link", b"x")]), "only files have one"),
        (joined(&[pax(&[("size", "18446744073709551616")]), file()]), "is not a number of 64 bits"),
        (joined(&[pax(&[("uid", "+1")]), file()]), "\"+1\" of \"uid\" is not a number"),
        (joined(&[pax(&[("path", "a\0b")]), file()]), "holds a NUL"),
        (joined(&[bare(b'x', b"99 path=x\n"), file()]), "is not a record of PAX"),
        (joined(&[bare(b'x', b"9 path=xx"), file()]), "is not a record of PAX"),
        (joined(&[bare(b'x', b"0 "), file()]), "is not a record of PAX"),
        (joined(&[bare(b'x', b"5 =x\n"), file()]), "is not a record of PAX"),
        (joined(&[bare(b'x', b"+9 path=x\n"), file()]), "is not a record of PAX"),
        (joined(&[bare(b'x', b"99999999999999999999 a=b\n"), file()]), "is not a record of PAX"),
        (joined(&[long("a"), long("b"), file()]), "another of the same kind"),
        (joined(&[bare(b'L', b"a"), bare(b'L', b"b"), file()]), "another of the same kind"),
        (joined(&[bare(b'L', b"a"), long("b"), file()]), "differ"),
        (joined(&[bare(b'L', b"\0"), file()]), "its long name is empty"),
        (joined(&[long("a"), bare(b'g', b""), file()]), "global header at byte 1024 separates"),
        (joined(&[long("a")]), "ends after an extension header at byte 1024"),
        (long("a"), "ends after an extension header at byte 1024"),
        (
            raw(b'L', b"x", 9).as_bytes().to_vec(),
            "it says it has 9 bytes, and the file ends after 0",
        ),
        (
            raw(b'x', b"x", 1 << 20 | 1).as_bytes().to_vec(),
            "1048577 bytes, and no more than 1048576 are read",
        ),
        (raw(b'L', b"x", 1 << 40).as_bytes().to_vec(), "no more than 1048576 are read"),
        (raw(b'g', b"x", 1 << 40).as_bytes().to_vec(), "no more than 1048576 are read"),
    ] {
        let error = format!("{:#}", members(&tar).unwrap_err());
        assert!(error.contains(words), "{error}\n  lacks {words}");
    }
    let long = vec![b'x'; 1 << 20];
    let tar = joined(&[bare(b'L', &long), edited(|header| header.as_old_mut().linkflag = *b"6")]);
    assert_eq!(members(&tar).unwrap()[0].path, long);
}

#[test]
fn members_beyond_the_limit_are_refused() {
    for (most, parts) in
        [(3, vec![member(b'0', b"x", b"y"); 4]), (1, vec![member(b'g', b"x", b""); 2])]
    {
        let tar = joined(&parts);
        let skip = |reader: &mut &[u8], size| io::copy(&mut reader.take(size), &mut io::sink());
        let error = walk_with(&mut &tar[..], most, skip, |_, _| Ok(())).unwrap_err().to_string();
        assert_eq!(error, format!("the tar has more than {most} members"));
        walk_with(&mut &tar[..], most + 1, skip, |_, _| Ok(())).unwrap();
    }
}

#[test]
fn what_each_returns_stops_the_walk() {
    let tar = joined(&[member(b'0', b"a", b"x"), member(b'0', b"b", b"x")]);
    let mut seen = 0;
    let stopped = walk(&tar[..], |_, _| {
        seen += 1;
        Err(anyhow::anyhow!("enough"))
    });
    assert_eq!((stopped.unwrap_err().to_string(), seen), ("enough".to_owned(), 1));
    let cut = walk(&tar[..512], |_, content| {
        content.read_to_end(&mut Vec::new())?;
        Ok(())
    });
    let said = r#""a" says it has 1 bytes, and the file ends after 0"#;
    assert_eq!(cut.unwrap_err().to_string(), said);
}

#[test]
fn a_member_knows_its_place() {
    let entry = |path: &str| Ok(Place::Entry(path.into()));
    let refused = |why: &str| Err(why.to_owned());
    for (path, place) in [
        ("usr/bin/app", entry("usr/bin/app")),
        ("./usr//bin/./app/", entry("usr/bin/app")),
        ("//usr/", entry("usr")),
        ("./", entry("")),
        ("/", entry("")),
        ("a/..b/...", entry("a/..b/...")),
        ("a/.wh.b", Ok(Place::Whiteout("a/b".into()))),
        (".wh.b", Ok(Place::Whiteout("b".into()))),
        ("a/b/.wh..wh..opq", Ok(Place::Opaque("a/b".into()))),
        ("./.wh..wh..opq", Ok(Place::Opaque("".into()))),
        ("a/.wh.b/c", entry("a/.wh.b/c")),
        ("", refused("is empty")),
        ("a/../b", refused("holds `..`")),
        ("..", refused("holds `..`")),
        ("/../etc", refused("holds `..`")),
        ("a\0b", refused("holds a NUL")),
        ("a/.wh.", refused("is a whiteout of no name")),
        ("a/.wh..", refused("is a whiteout of no name")),
        (".wh...", refused("is a whiteout of no name")),
    ] {
        let tar = joined(&[edited(|header| header.as_old_mut().linkflag = *b"6")]);
        let member = TarMember { path: path.into(), ..members(&tar).unwrap().remove(0) };
        assert_eq!(member.place().map_err(|error| error.to_string()), place, "{path:?}");
    }
}

fn complaints(tar: &[u8]) -> Vec<(Severity, String)> {
    let layer = finding::Place::item("layer 1");
    let findings = check_layer(tar, &layer, &mut |_| Ok(())).unwrap();
    assert!(findings.iter().all(|finding| finding.place == layer));
    findings.into_iter().map(|finding| (finding.severity, finding.why)).collect()
}

#[test]
fn a_layer_is_searched_for_what_engines_stumble_over() {
    use Severity::{Error, Warning};
    let file = |name: &str| member(b'0', name.as_bytes(), b"x");
    let dir = |name: &str| member(b'5', name.as_bytes(), b"");
    let (hard, soft) = (
        |to: &str| linked(b'1', b"a/b", to.as_bytes()),
        |to: &str| linked(b'2', b"a/b", to.as_bytes()),
    );
    let whiteouts = [".wh.x", "d/.wh..wh..opq", "x"].map(file).concat();
    for (tar, expected) in [
        (whiteouts, vec![]),
        ([dir("./"), dir("etc/"), dir("./etc"), file("/etc/passwd")].concat(), vec![]),
        (file("../x"), vec![(Error, r#"the path "../x" holds `..`"#)]),
        (file(".wh.."), vec![(Error, r#"the path ".wh.." is a whiteout of no name"#)]),
        ([file("a"), file("./a")].concat(), vec![(Warning, r#""./a" is in the layer twice"#)]),
        ([dir("a"), file("a")].concat(), vec![(Warning, r#""a" is in the layer twice"#)]),
        ([file("a"), dir("a")].concat(), vec![(Warning, r#""a" is in the layer twice"#)]),
        (hard("etc/passwd"), vec![]),
        (hard("/etc/passwd"), vec![]),
        (
            hard("../etc/passwd"),
            vec![(Error, r#""a/b" is a hard link to "../etc/passwd", which holds `..`"#)],
        ),
        (hard(""), vec![(Error, r#""a/b" is a hard link to "", which is empty"#)]),
        (soft("../c"), vec![]),
        (soft("/etc/passwd"), vec![]),
        (
            soft("../c/../../d"),
            vec![(Warning, r#""a/b" is a symlink to "../c/../../d", above the root"#)],
        ),
        (soft("/../x"), vec![(Warning, r#""a/b" is a symlink to "/../x", above the root"#)]),
        (linked(b'3', b"dev/null", b""), vec![(Warning, r#""dev/null" is a character device"#)]),
        (linked(b'4', b"dev/sda", b""), vec![(Warning, r#""dev/sda" is a block device"#)]),
        (linked(b'6', b"run/pipe", b""), vec![(Warning, r#""run/pipe" is a fifo"#)]),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(severity, why)| (severity, why.to_owned())).collect();
        assert_eq!(complaints(&joined(&[tar])), expected);
    }
    let long = [pax(&[("path", &"d/".repeat(2049))]), file("x")].concat();
    let (severity, why) = complaints(&joined(&[long])).remove(0);
    assert_eq!(severity, Error);
    assert!(why.ends_with("is longer than 4096 bytes") && why.len() < 300, "{why}");
}

#[test]
fn errors_are_not_lost_among_warnings() {
    let devices = (0..50).map(|at| linked(b'3', format!("dev/{at}").as_bytes(), b""));
    let tar = joined(&[devices.collect::<Vec<_>>().concat(), member(b'0', b"../x", b"")]);
    let complaints = complaints(&tar);
    assert_eq!(complaints.len(), 20);
    assert_eq!(complaints[0], (Severity::Error, r#"the path "../x" holds `..`"#.to_owned()));
    assert_eq!(complaints[1].1, r#""dev/0" is a character device"#);
}

/// What GNU tar makes of a folder, in each of its formats.
#[test]
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the real tars are written by GNU tar")]
fn gnu_tars_are_read() {
    use std::fs;
    use std::process::Command;

    let dir = tempfile::tempdir().unwrap();
    let deep = format!("{}/{}", "p".repeat(90), "q".repeat(90));
    fs::create_dir_all(dir.path().join("t").join(&deep)).unwrap();
    let longer = "l".repeat(200);
    for (name, size) in [("file", 700), (&*format!("{deep}/leaf"), 5)] {
        fs::write(dir.path().join("t").join(name), vec![b'x'; size]).unwrap();
    }
    fs::hard_link(dir.path().join("t/file"), dir.path().join("t/same")).unwrap();
    for (format, extended) in [("ustar", false), ("gnu", true), ("pax", true)] {
        // ustar has no room for it.
        let extra = dir.path().join("t").join(&longer);
        fs::write(&extra, "longer").unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--mtime=@0", "-c", "--format", format]).current_dir(&dir);
        match extended {
            true => tar.args(["--owner=big:3000000", "--group=big:4000000", "t"]),
            false => tar.args(["--owner=o:1", "--group=g:2", "--exclude", &longer, "t"]),
        };
        let out = tar.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let members = members(&out.stdout).unwrap();
        let names: Vec<_> =
            members.iter().map(|it| String::from_utf8(it.path.clone()).unwrap()).collect();
        let parent = format!("t/{}/", "p".repeat(90));
        let [folder, leaf] = [format!("t/{deep}/"), format!("t/{deep}/leaf")];
        let last = format!("t/{longer}");
        let mut expected = vec!["t/", "t/file", &parent, &folder, &leaf, "t/same"];
        if extended {
            expected.insert(2, &last);
        }
        assert_eq!(names, expected, "{format}");
        let owner = if extended { (3_000_000, 4_000_000) } else { (1, 2) };
        assert!(members.iter().all(|it| (it.uid, it.gid) == owner), "{members:?}");
        assert_eq!((members[1].size, members[1].kind), (700, TarMemberKind::File));
        let same = members.last().unwrap();
        assert_eq!(
            (same.kind, same.link.as_deref()),
            (TarMemberKind::Hardlink, Some(&b"t/file"[..]))
        );
        assert_eq!(complaints(&out.stdout), []);
    }
}

#[test]
fn a_good_tar_cut_anywhere_is_whole_or_an_error() {
    let parts = [
        member(b'0', b"a", &[1; 700]),
        pax(&[("path", "b")]),
        member(b'0', b"b", b"xyz"),
        member(b'L', b"long", b"name"),
        member(b'5', b"c", b""),
    ];
    let tar = joined(&parts);
    let ends = [0, 1536, 3584, 5120, 5632, 6144];
    let whole = (0..=tar.len()).filter(|cut| members(&tar[..*cut]).is_ok());
    assert_eq!(whole.collect::<Vec<_>>(), ends);
}

/// Headers of every kind in any order, with overwritten fields.
fn hostile(u: &mut Unstructured<'_>) -> arbtest::arbitrary::Result<Vec<u8>> {
    let mut tar = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        let flag = *u.choose(b"\x000123456LKxxgS7V")?;
        let content: Vec<u8> = match flag {
            b'x' => {
                pax(&[(u.choose(&["path", "size", "linkpath"])?, u.choose(&["1", "../x", ""])?)])
                    [512..]
                    .to_vec()
            }
            _ => u.arbitrary()?,
        };
        let mut bytes = member(flag, u.choose(&[&b"a"[..], b"../b", b".wh.c", b"d/"])?, &content);
        if u.ratio(1, 4)? {
            let at = u.int_in_range(0..=511)?;
            bytes[at] = u.arbitrary()?;
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&bytes[..512]);
            header.set_cksum();
            bytes[..512].copy_from_slice(header.as_bytes());
        }
        tar.write_all(&bytes).unwrap();
    }
    tar.truncate(tar.len() - if u.ratio(1, 4)? { u.int_in_range(0..=tar.len())? } else { 0 });
    Ok(tar)
}

#[test]
fn any_bytes_are_read_or_refused() {
    let mut read = 0;
    let property = |u: &mut Unstructured<'_>| {
        let mut tar = if u.ratio(1, 8)? { u.arbitrary::<Vec<u8>>()? } else { hostile(u)? };
        read += usize::from(members(&tar).is_ok_and(|members| !members.is_empty()));
        tar.push(0);
        crate::fuzzing::tar_reader(&tar);
        Ok(())
    };
    arbtest::arbtest(property).budget(Duration::from_secs(1));
    assert!(read > 0, "no tar was good");
}
