use super::*;

fn keep(cache: &Cache, kind: CacheKind, key: &[u8], content: &[u8]) {
    cache.put(kind, &Digest::of(key), &Digest::of(content), content).unwrap();
}

fn kept(cache: &Cache, kind: CacheKind, key: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    cache.get(kind, &Digest::of(key), &mut bytes).unwrap().map(|_| bytes)
}

fn path(cache: &Cache, kind: CacheKind, key: &[u8]) -> PathBuf {
    cache.path(kind, &Digest::of(key)).unwrap()
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

/// Dates a file into the future.
fn set_ahead(path: &Path, ahead: Duration) {
    let now = files::list_one(path).unwrap().unwrap().modified;
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(now + ahead).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let entries = files::list(dir).unwrap().into_iter();
    entries.map(|it| it.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_was_kept_comes_back_and_what_was_spoilt_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    assert_eq!(kept(&cache, CacheKind::Graph, b"one"), None);
    keep(&cache, CacheKind::Graph, b"one", b"content");
    assert_eq!(kept(&cache, CacheKind::Graph, b"one").unwrap(), b"content");
    assert_eq!(kept(&cache, CacheKind::Graph, b"two"), None);
    let path = path(&cache, CacheKind::Graph, b"one");
    let whole = files::read(&path).unwrap();
    let cut = &whole[..whole.len() - 1];
    let longer = [&whole[..], b"x"].concat();
    for spoilt in [&b""[..], b"short", &[b'0'; 80], cut, &longer, &whole[..80]] {
        files::write(&path, spoilt).unwrap();
        assert_eq!(kept(&cache, CacheKind::Graph, b"one"), None);
        assert!(!path.exists());
    }
    assert_eq!(kept(&Cache::none(), CacheKind::Graph, b"one"), None);
    assert_eq!(cache.trouble(), None);
}

/// A file that was copied over another, or into another folder, is whole, and not what it
/// is called.
#[test]
fn an_entry_is_only_that_of_its_key_and_kind() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(dir.path());
    keep(&cache, CacheKind::Graph, b"one", b"first");
    keep(&cache, CacheKind::Graph, b"two", b"second");
    keep(&cache, CacheKind::Lock, b"one", b"third");
    let [one, two, three] =
        [(CacheKind::Graph, &b"one"[..]), (CacheKind::Graph, b"two"), (CacheKind::Lock, b"one")]
            .map(|(kind, key)| path(&cache, kind, key));
    let first = files::read(&one).unwrap();
    for other in [&two, &three] {
        files::write(other, &first).unwrap();
    }
    assert_eq!(kept(&cache, CacheKind::Graph, b"one").unwrap(), b"first");
    assert_eq!(kept(&cache, CacheKind::Graph, b"two"), None);
    assert_eq!(kept(&cache, CacheKind::Lock, b"one"), None);
    assert!(!two.exists() && !three.exists());
    // The name in the other folder is another, too.
    assert_ne!(one.file_name(), three.file_name());
}

#[cfg(target_os = "linux")]
#[test]
fn whatever_is_in_the_place_of_an_entry_is_not_used_and_hurts_nobody() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(&dir.path().join("cache"));
    keep(&cache, CacheKind::Archive, b"one", b"content");
    let path = path(&cache, CacheKind::Archive, b"one");
    let precious = dir.path().join("precious");
    files::rename(&path, &precious).unwrap();
    let before = files::list_one(&precious).unwrap().unwrap().modified;
    let blob = cache.blobs().unwrap().path(&Digest::of(b"blob"));
    type Put<'a> = &'a dyn Fn(&Path);
    let puts: [(&str, Put<'_>); 4] = [
        ("link", &|path| symlink(&precious, path).unwrap()),
        ("dangling link", &|path| symlink("nowhere", path).unwrap()),
        ("pipe", &|path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        }),
        ("socket", &|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ];
    for (what, put) in puts {
        put(&path);
        put(&blob);
        assert_eq!(kept(&cache, CacheKind::Archive, b"one"), None, "{what}");
        assert!(!cache.blobs().unwrap().verify(&Digest::of(b"blob"), 4).unwrap(), "{what}");
        assert!(files::list_one(&path).unwrap().is_none() && !path.is_symlink(), "{what}");
        keep(&cache, CacheKind::Archive, b"one", b"content");
        assert_eq!(kept(&cache, CacheKind::Archive, b"one").unwrap(), b"content", "{what}");
        files::remove(&path).unwrap();
    }
    assert_eq!(files::list_one(&precious).unwrap().unwrap().modified, before);
    assert_eq!(cache.trouble(), None, "it mends itself");
    // What somebody put there in a folder stays, and the work is done without the cache.
    files::write(&path.join("precious"), b"").unwrap();
    files::write(&blob.join("precious"), b"").unwrap();
    assert_eq!(kept(&cache, CacheKind::Archive, b"one"), None);
    keep(&cache, CacheKind::Archive, b"one", b"content");
    let blobs = cache.blobs().unwrap();
    assert!(!blobs.verify(&Digest::of(b"blob"), 4).unwrap());
    make(&blobs, b"blob", 4).unwrap();
    assert!(blobs.verify(&Digest::of(b"blob"), 4).unwrap());
    assert!(path.join("precious").exists() && blob.join("precious").exists());
    let said = cache.trouble().unwrap().to_string();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
}

#[test]
fn the_least_lately_used_goes_when_a_kind_has_grown_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let name = |of: &str| dir.path().join(Digest::of(of.as_bytes()).hex());
    let (old, new, ahead, foreign) =
        (name("old"), name("new"), name("ahead"), dir.path().join("photo.jpg"));
    for path in [&old, &new, &ahead, &foreign] {
        files::write(path, b"x").unwrap();
    }
    // A folder of such a name, and what is in it, was not made here either.
    files::write(&name("folder").join("old"), b"x").unwrap();
    files::write(&dir.path().join(".dockless-abcdef.tmp/old"), b"x").unwrap();
    for path in [&old, &foreign, &name("folder").join("old")] {
        files::set_age(path, MAX_AGE + TOUCH_EVERY).unwrap();
    }
    // A clock stood years ahead once.
    set_ahead(&ahead, hours(5 * 365 * 24));
    prune(dir.path()).unwrap();
    assert!(!old.exists() && new.exists() && foreign.exists() && !ahead.exists());
    assert!(name("folder").join("old").exists());
    assert!(dir.path().join(".dockless-abcdef.tmp/old").exists());
    // Within the day nothing is looked at again.
    files::set_age(&new, MAX_AGE + TOUCH_EVERY).unwrap();
    prune(dir.path()).unwrap();
    assert!(new.exists());
    // A day that is yet to come is none.
    set_ahead(&dir.path().join(PRUNED), hours(5 * 365 * 24));
    prune(dir.path()).unwrap();
    assert!(!new.exists());
}

/// Makes a blob of this name and size.
fn make(blobs: &Blobs, name: &[u8], size: u64) -> Result<()> {
    blobs.make(|mut file| {
        file.write_all(name)?;
        file.as_file().set_len(size)?;
        Ok((file, Digest::of(name), ()))
    })
}

#[test]
fn blobs_are_bounded_by_age_and_by_size_and_those_in_the_making_stay() {
    let dir = tempfile::tempdir().unwrap();
    let run = || Cache::at(dir.path());
    let folder = dir.path().join(BLOBS);
    let path = |name: &str| folder.join(Digest::of(name.as_bytes()).hex());
    let names = ["too old", "too much", "half", "the other half", "new"];
    let kept = || names.iter().filter(|name| path(name).exists()).copied().collect::<Vec<_>>();
    let reader = run();
    let blobs = reader.blobs().unwrap();
    let blob = |name: &str, size: u64, age: Duration| {
        make(&blobs, name.as_bytes(), size).unwrap();
        files::set_age(&path(name), age).unwrap();
    };
    blob("half", MAX_SIZE / 2, hours(2));
    blob("the other half", MAX_SIZE / 2, hours(3));
    blob("too old", 1, MAX_AGE + TOUCH_EVERY);
    blob("too much", 1, hours(9));
    blob("new", 1, Duration::ZERO);
    let making = files::temporary(&folder).unwrap();
    making.as_file().set_len(MAX_SIZE).unwrap();
    // What a run may be reading stays, however long it takes.
    run().blobs().unwrap();
    assert_eq!(kept(), names);
    drop((blobs, reader));
    // There is enough for the next run to look at all, whenever that was done.
    run().blobs().unwrap();
    assert_eq!(kept(), ["half", "new"]);
    assert!(making.path().exists());
    // What a killed run left goes when it is forgotten.
    files::set_age(making.path(), MAX_AGE + TOUCH_EVERY).unwrap();
    files::set_age(&folder.join(PRUNED), PRUNE_EVERY + hours(1)).unwrap();
    run().blobs().unwrap();
    assert!(!making.path().exists());
}

#[test]
fn a_blob_that_was_damaged_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Cache::at(dir.path()).blobs().unwrap();
    let digest = Digest::of(b"content");
    let path = blobs.path(&digest);
    assert!(!blobs.verify(&digest, 7).unwrap());
    for spoilt in [&b""[..], b"conten", b"content ", b"contenT"] {
        files::write(&path, spoilt).unwrap();
        assert!(!blobs.verify(&digest, 7).unwrap());
        assert!(!path.exists());
    }
    files::write(&path, b"content").unwrap();
    files::set_age(&path, MAX_AGE).unwrap();
    assert!(blobs.verify(&digest, 7).unwrap());
    // It was used, and so is young again.
    let entry = files::list_one(&path).unwrap().unwrap();
    assert!(files::age(entry.modified) < TOUCH_EVERY);
    assert!(!blobs.verify(&digest, 8).unwrap());
    assert!(path.exists());
}

#[test]
fn a_cache_that_cannot_be_is_done_without_and_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    files::write(&file, b"precious").unwrap();
    for cache in [
        Cache::at(&file),
        Cache::own(&file),
        Cache::at(&file.join("below")),
        Cache::own(&file.join("below")),
        Cache::nowhere("HOME is not set"),
    ] {
        keep(&cache, CacheKind::Graph, b"one", b"content");
        assert_eq!(kept(&cache, CacheKind::Graph, b"one"), None);
        let blobs = cache.blobs().unwrap();
        assert!(!blobs.verify(&Digest::of(b"blob"), 4).unwrap());
        make(&blobs, b"blob", 4).unwrap();
        assert!(blobs.verify(&Digest::of(b"blob"), 4).unwrap());
        assert!(!blobs.path(&Digest::of(b"blob")).starts_with(dir.path()));
        assert!(cache.tools().is_err() && !cache.keeps_advisories());
        assert!(cache.trouble().is_some());
    }
    assert_eq!(names(dir.path()), ["file"]);
    // Nobody misses one that is not wanted.
    let unwanted = Cache::none();
    keep(&unwanted, CacheKind::Graph, b"one", b"content");
    make(&unwanted.blobs().unwrap(), b"blob", 4).unwrap();
    assert_eq!(unwanted.trouble(), None);
}

/// Puts a precious file wherever the cache has one of its own, and returns their number.
fn precious(root: &Path) -> usize {
    let hex = Digest::of(b"precious").hex();
    let kinds = CacheKind::folders().chain([BLOBS, TOOLS, ADVISORIES]);
    let mut count = 0;
    for folder in kinds {
        let names = [
            "old.txt",
            "photos/a.jpg",
            "PRUNED",
            &hex[..63],
            ".dockless-a.tmp",
            "zig-photos/a.jpg",
        ];
        let deep = format!("{hex}/{hex}");
        let deeper = format!("{}/clone/a.jpg", &hex[..16]);
        for name in names.iter().copied().chain([&*deep, &*deeper]) {
            files::write(&root.join(folder).join(name), b"precious").unwrap();
            files::set_age(&root.join(folder).join(name), 2 * MAX_AGE).unwrap();
            count += 1;
        }
    }
    count
}

fn count(dir: &Path) -> usize {
    let entries = files::list(dir).unwrap().into_iter();
    entries
        .map(|entry| match entry.kind {
            EntryKind::Folder => count(&entry.path),
            _ => usize::from(files::read(&entry.path).is_ok_and(|it| it == b"precious")),
        })
        .sum()
}

fn use_all(cache: &Cache) {
    for kind in CacheKind::value_variants().iter().copied() {
        keep(cache, kind, b"one", b"content");
        assert_eq!(kept(cache, kind, b"one").unwrap(), b"content");
    }
    make(&cache.blobs().unwrap(), b"blob", 4).unwrap();
}

#[test]
fn what_others_have_in_the_folder_stays() {
    for mark in ["", "Signature: 8a477f597d28d172789f06886806bc55\n"] {
        let dir = tempfile::tempdir().unwrap();
        let mut all = precious(dir.path());
        // A digest is a name that others give, too.
        let hex = Digest::of(b"precious").hex();
        for folder in ["blob", "archive"] {
            files::write(&dir.path().join(folder).join(hex.replace('a', "b")), b"precious")
                .unwrap();
            all += 1;
        }
        if !mark.is_empty() {
            files::write(&dir.path().join("CACHEDIR.TAG"), mark.as_bytes()).unwrap();
        }
        let before = names(dir.path());
        let cache = Cache::at(dir.path());
        use_all(&cache);
        assert!(dir.path().join("dockless-cache/CACHEDIR.TAG").exists());
        drop(cache);
        Cache::at(dir.path()).clear(|_| panic!("nobody uses it")).unwrap();
        assert_eq!(count(dir.path()), all);
        assert!(names(&dir.path().join("dockless-cache")).is_empty());
        files::remove(&dir.path().join("dockless-cache")).unwrap();
        assert_eq!(names(dir.path()), before);
    }
}

/// Even in what is marked as ours.
#[test]
fn what_others_put_into_the_cache_stays() {
    let dir = tempfile::tempdir().unwrap();
    for cache in [Cache::at, Cache::own] {
        use_all(&cache(dir.path()));
        let all = precious(dir.path());
        for folder in CacheKind::folders().chain([BLOBS]) {
            files::remove_file(&dir.path().join(folder).join(PRUNED)).unwrap();
        }
        use_all(&cache(dir.path()));
        cache(dir.path()).clear(|_| panic!("nobody uses it")).unwrap();
        assert_eq!(count(dir.path()), all);
        let left = names(dir.path());
        assert!(!left.iter().any(|name| [".lock", "CACHEDIR.TAG"].contains(&&**name)), "{left:?}");
        files::list(dir.path()).unwrap().iter().for_each(|it| files::remove(&it.path).unwrap());
    }
}

#[test]
fn what_was_made_is_forgotten_tools_and_databases_too() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::at(&dir.path().join("new"));
    use_all(&cache);
    let (tools, advisories) = (cache.tools().unwrap(), cache.advisories("https://x.test").unwrap());
    assert!(cache.keeps_advisories());
    files::write(&tools.join("zig-1.2.3").join(REQUIREMENTS), b"ziglang==1.2.3 --hash").unwrap();
    files::write(&tools.join("zig-1.2.3/ziglang/zig"), b"").unwrap();
    drop(cache.lock_tools(|_| panic!("nobody installs one")).unwrap());
    files::write(&tools.join(".dockless-abcdef.tmp/ziglang/zig"), b"").unwrap();
    files::write(&advisories.join(".git/HEAD"), b"").unwrap();
    files::write(&advisories.with_extension("lock"), b"").unwrap();
    files::write(&advisories.with_extension("fetched"), b"").unwrap();
    // Who uses it has it.
    let other = Cache::at(&dir.path().join("new"));
    std::thread::scope(|scope| {
        let (told, hear) = std::sync::mpsc::channel();
        let cleared = scope.spawn(move || other.clear(|_| told.send(()).unwrap()));
        hear.recv().unwrap();
        assert!(tools.join("zig-1.2.3/ziglang/zig").exists() && !cleared.is_finished());
        drop(cache);
        cleared.join().unwrap().unwrap();
    });
    assert!(names(&dir.path().join("new")).is_empty());
}

#[cfg(unix)]
#[test]
fn nothing_is_removed_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (dir.path().join("cache"), dir.path().join("elsewhere"));
    use_all(&Cache::at(&root));
    let hex = Digest::of(b"precious").hex();
    for folder in CacheKind::folders().chain([BLOBS, TOOLS, ADVISORIES]) {
        let there = elsewhere.join(folder);
        for name in [&*hex, &hex[..16], "zig-1.2.3/ziglang/zig"] {
            files::write(&there.join(name), b"precious").unwrap();
            files::set_age(&there.join(name), 2 * MAX_AGE).unwrap();
        }
        files::write(&there.join("zig-1.2.3").join(REQUIREMENTS), b"ziglang==1.2.3").unwrap();
        files::remove(&root.join(folder)).unwrap();
        std::os::unix::fs::symlink(&there, root.join(folder)).unwrap();
    }
    let before = count(&elsewhere);
    use_all(&Cache::at(&root));
    Cache::at(&root).clear(|_| panic!("nobody uses it")).unwrap();
    assert_eq!(count(&elsewhere), before);
}

/// What an earlier version kept there, without a mark and in another form, is no trouble.
#[test]
fn the_cache_of_another_version_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let key = Digest::of(b"one").hex();
    let old = dir.path().join("graph").join(&key);
    files::write(&old, format!("{}old", Digest::of(b"old").hex()).as_bytes()).unwrap();
    let cache = Cache::own(dir.path());
    assert_eq!(kept(&cache, CacheKind::Graph, b"one"), None);
    keep(&cache, CacheKind::Graph, b"one", b"new");
    assert_eq!(kept(&cache, CacheKind::Graph, b"one").unwrap(), b"new");
    assert!(old.exists(), "the other version finds its own still");
    assert_eq!(cache.trouble(), None);
    drop(cache);
    Cache::own(dir.path()).clear(|_| panic!("nobody uses it")).unwrap();
    assert!(names(dir.path()).is_empty());
}
