//! The pages of reference that people wrote, beside what the program reads and writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::markdown::{pages, root};
use super::shell::Desk;
use crate::world::registries::Registry;
use crate::world::{AARCH64, X86_64, names};

/// Names in the sources that look like variables, and are not read: what programs that are started
/// get or lose, what cargo sets for its own, and words of formats.
const NOT_READ: &[&str] = &[
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "BUILD_DEPENDENCY_OF",
    "BUILD_TOOL_OF",
    "CARGO_BIN_EXE_",
    "CARGO_BIN_NAME",
    "CARGO_CFG_",
    "CARGO_CRATE_NAME",
    "CARGO_FEATURE_",
    "CARGO_MAKEFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_",
    "CARGO_PKG_VERSION",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_REGISTR",
    "CARGO_RESOLVER_LOCKFILE_PATH",
    "CARGO_TARGET_TMPDIR",
    "CARGO_TERM_PROGRESS_WHEN",
    "CARGO_TERM_PROGRESS_WIDTH",
    "CARGO_UNSTABLE_LOCKFILE_PATH",
    "DEPENDS_ON",
    "DOCKLESS_",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "GIT_ALLOW_PROTOCOL",
    "GIT_CONFIG_COUNT",
    "GIT_DEFAULT_BRANCH",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NO_LAZY_FETCH",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_TERMINAL_PROMPT",
    "GIT_WORK_TREE",
    "GLIBC_",
    "GLIBC_ABI_DT_RELR",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "MANIFEST_BLOB_UNKNOWN",
    "OUT_DIR",
    "RUSTUP_AUTO_INSTALL",
    "RUST_RECURSION_COUNT",
    "SHA2_256",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "ZIG_LOCAL_CACHE_DIR",
    "ZIG_VERBOSE_LINK",
];

/// The sources without their tests and comments.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // `init` reads files of other tools, whose words these are.
        if name == "tests" || name == "init" {
            continue;
        } else if path.is_dir() {
            sources(&path, text);
        } else {
            let all = fs::read_to_string(&path).unwrap();
            let code = all.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            lines.for_each(|line| *text += &format!("{line}\n"));
        }
    }
}

/// Whether a text could be the name of a variable: words in capitals, joined by `_`.
fn is_variable(text: &str) -> bool {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.contains('_')
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(part)
}

#[test]
fn variables_that_are_read_are_on_their_page() {
    let mut code = String::new();
    sources(&root().join("xtask/src"), &mut code);
    let quoted = code.split('"').filter(|text| is_variable(text));
    let read: BTreeSet<&str> = quoted.filter(|name| !NOT_READ.contains(name)).collect();
    let page = fs::read_to_string(root().join("docs/reference/environment.md")).unwrap();
    let listed: BTreeSet<&str> = page
        .split('`')
        .map(|text| text.trim_end_matches('…'))
        .filter(|it| is_variable(it))
        .collect();
    let unlisted: Vec<_> = read.difference(&listed).collect();
    assert!(
        read.len() > 30 && unlisted.is_empty(),
        "not on the page, nor in NOT_READ: {unlisted:?}"
    );
    let unknown: Vec<_> = listed.iter().filter(|name| !code.contains(**name)).collect();
    assert!(unknown.is_empty(), "on the page, and not in the sources: {unknown:?}");
    let stale: Vec<_> = NOT_READ.iter().filter(|name| !code.contains(**name)).collect();
    assert!(stale.is_empty(), "in NOT_READ, and not in the sources: {stale:?}");
}

/// Who makes an xtask by hand makes the one that `init` writes.
#[test]
fn the_xtask_is_on_its_page() {
    let page = fs::read_to_string(root().join("docs/start/install.md")).unwrap();
    for entry in fs::read_dir(root().join("xtask/templates/xtask")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            page.contains(&text),
            "docs/start/install.md has not the text of {}",
            path.display()
        );
    }
}

#[test]
fn files_of_a_release_are_on_their_page() {
    let Some(registry) = Registry::shared() else { return };
    let pages = pages();
    let desk = Desk::of(&pages["docs/start/kubectl-plugin.md"], 999, registry);
    let lines = "sed -i s/1.2.2/1.2.3/ Cargo.toml && cargo update --workspace\n\
                 git commit --quiet --all --message 'Release 1.2.3' && git tag v1.2.3\n\
                 cargo dockless keygen --output ../cosign\n\
                 export COSIGN_PRIVATE_KEY=$(cat ../cosign.key)\n\
                 cargo dockless release --skip publish";
    desk.run(lines).unwrap();
    let page = fs::read_to_string(root().join("docs/reference/files.md")).unwrap();
    let mut files = names(&desk.world.dist());
    for folder in ["images", "krew"] {
        files.retain(|name| name != folder);
        let below = names(&desk.world.path(&format!("dist/{folder}")));
        files.extend(below.into_iter().map(|name| format!("{folder}/{name}")));
    }
    assert!(files.len() > 12, "{files:?}");
    for file in files {
        let mut shape = file.clone();
        for (from, to) in [
            ("kubectl-view-secret", "NAME"),
            ("view-secret", "NAME"),
            ("1.2.3", "VERSION"),
            (X86_64, "TARGET"),
            (AARCH64, "TARGET"),
            ("x86_64-musl", "ARCH-ENV"),
            ("aarch64-musl", "ARCH-ENV"),
        ] {
            shape = shape.replace(from, to);
        }
        assert!(page.contains(&format!("`{shape}`")), "{file} is not on the page as {shape}");
    }
}
