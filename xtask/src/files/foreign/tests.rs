use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::super::{limits, make_dir, rename, write};
use super::*;

/// A project in a folder, with what lies around it.
struct Around {
    _folder: tempfile::TempDir,
    root: PathBuf,
    boundary: Boundary,
}

fn around() -> Around {
    let folder = tempfile::tempdir().unwrap();
    let root = resolve(folder.path()).unwrap().join("project");
    for (path, text) in [
        ("plain", "plain"),
        ("a/deep/file", "deep"),
        (".git/config", "token"),
        (".gitignore", "ignored"),
        ("a/.git", "gitdir: ../.git/modules/a"),
        ("target/made", "made"),
        ("dist/made", "made"),
        ("targets", "no folder of builds"),
        ("../secret", "secret"),
        ("../project-2/secret", "secret"),
    ] {
        write(&root.join(path), text.as_bytes()).unwrap();
    }
    for (link, to) in [
        ("good", "a/deep/file"),
        ("good-folder", "a/deep"),
        ("back", "../project/plain"),
        ("out", "../secret"),
        ("out-folder", ".."),
        ("absolute", "/etc/passwd"),
        ("beside", "../project-2/secret"),
        ("to-git", ".git/config"),
        ("to-git-folder", ".git"),
        ("to-target", "target/made"),
        ("to-dist", "a/../dist/made"),
        ("device", "/dev/zero"),
        ("dangling", "nowhere"),
        ("round", "round"),
    ] {
        symlink(to, root.join(link)).unwrap();
    }
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), pipe, 0o600.into(), 0).unwrap();
    drop(UnixListener::bind(root.join("socket")).unwrap());
    let closed = [root.join("target"), root.join("dist"), root.join("not-there")];
    let boundary = Boundary::new(&root, &closed).unwrap();
    Around { _folder: folder, root, boundary }
}

#[test]
fn what_lies_inside_is_read() {
    let Around { root, boundary, _folder } = around();
    for (path, text) in [
        ("plain", "plain"),
        ("a/../plain", "plain"),
        ("good", "deep"),
        ("good-folder/file", "deep"),
        ("back", "plain"),
        (".gitignore", "ignored"),
        ("targets", "no folder of builds"),
    ] {
        let read = boundary.read(&root.join(path), limits::SETTINGS).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), text, "{path}");
    }
    for path in ["none", "none/none", "plain/none"] {
        assert!(boundary.read_if_there(&root.join(path), limits::SETTINGS).unwrap().is_none());
    }
}

#[test]
fn what_leads_elsewhere_or_is_no_file_is_refused() {
    let Around { root, boundary, _folder } = around();
    for (path, why) in [
        ("out", "leads out of"),
        ("out-folder/secret", "leads out of"),
        ("../secret", "leads out of"),
        ("absolute", "leads out of"),
        ("beside", "leads out of"),
        ("device", "leads out of"),
        ("to-git", "leads into git's own files"),
        ("to-git-folder/config", "leads into git's own files"),
        (".git/config", "leads into git's own files"),
        ("a/.git", "leads into git's own files"),
        ("to-target", "which builds write"),
        ("to-dist", "which builds write"),
        ("target/made", "which builds write"),
        ("dangling", "leads nowhere"),
        ("round", "round"),
        ("pipe", "is not a regular file"),
        ("socket", "is not a regular file"),
        ("a", "is not a regular file"),
        (".", "is not a regular file"),
    ] {
        let path = root.join(path);
        let mut errors = vec![boundary.open(&path).unwrap_err()];
        errors.push(boundary.read(&path, limits::SETTINGS).unwrap_err());
        // What is there, and may not be read, is not taken for nothing.
        errors.push(boundary.read_if_there(&path, limits::SETTINGS).unwrap_err());
        for error in errors {
            assert!(format!("{error:#}").contains(why), "{}: {error:#}", path.display());
        }
    }
}

#[test]
fn gits_folder_may_be_a_link() {
    let Around { root, _folder, .. } = around();
    rename(&root.join(".git"), &root.join("kept-elsewhere")).unwrap();
    symlink("kept-elsewhere", root.join(".git")).unwrap();
    let boundary = Boundary::new(&root, &[]).unwrap();
    for path in ["kept-elsewhere/config", ".git/config", "to-git"] {
        let error = boundary.open(&root.join(path)).unwrap_err();
        assert!(format!("{error:#}").contains("leads into git's own files"), "{error:#}");
    }
}

/// Neither a pipe that nobody writes to nor a device without an end is waited for.
#[test]
fn files_without_a_boundary_are_regular_too() {
    let Around { root, _folder, .. } = around();
    for path in ["pipe", "socket", "device", "a"] {
        let path = root.join(path);
        for read in [open_regular(&path).map(drop), read_foreign(&path, limits::LOCK).map(drop)] {
            let error = format!("{:#}", read.unwrap_err());
            assert!(error.contains("is not a regular file"), "{error}");
        }
        assert!(read_foreign_if_there(&path, limits::LOCK).is_err());
    }
    assert_eq!(read_foreign(&root.join("good"), limits::LOCK).unwrap(), b"deep");
    assert!(read_foreign_if_there(&root.join("dangling"), limits::LOCK).unwrap().is_none());
}

/// A folder that became a link since its path was resolved leads nowhere.
#[test]
fn a_resolved_path_has_no_links() {
    let Around { root, _folder, .. } = around();
    assert!(open_resolved(&root.join("a/deep/file")).is_ok());
    for path in ["good", "good-folder/file", "out", "out-folder/secret", "device"] {
        assert!(open_resolved(&root.join(path)).is_err(), "{path}");
    }
}

#[test]
fn no_more_than_the_limit_is_read() {
    let Around { root, boundary, _folder } = around();
    let path = root.join("large");
    make_dir(&root).unwrap();
    write(&path, &[b'x'; 11]).unwrap();
    for (limit, fits) in [(10, false), (11, true), (12, true)] {
        let read = [
            boundary.read(&path, Limit(limit)),
            read_foreign(&path, Limit(limit)),
            read_resolved(&path, Limit(limit)),
        ];
        for read in read {
            assert_eq!(read.is_ok(), fits, "{limit}");
        }
    }
    let error = read_foreign(&path, Limit(10)).unwrap_err();
    assert!(format!("{error:#}").contains("it has more than 10 bytes"), "{error:#}");
}
