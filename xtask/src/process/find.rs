//! Finds programs on PATH.

use std::path::{Path, PathBuf};

use super::Env;

/// The path of a program on PATH, as a shell would find it.
pub fn find(program: &str, env: &Env) -> Option<PathBuf> {
    let path = env.get("PATH")?;
    let names = [program.to_owned(), format!("{program}{}", std::env::consts::EXE_SUFFIX)];
    std::env::split_paths(path)
        .flat_map(|dir| names.clone().map(|name| dir.join(name)))
        .find(|candidate| is_program(candidate))
}

/// Whether the file may be started.
#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
