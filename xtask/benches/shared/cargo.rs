//! cargo, as the tool calls it.

use std::path::Path;

use anyhow::Result;

use crate::bench::{Bench, Run};

/// A call of cargo in a folder. It is the toolchain's own cargo, where rustup's proxy would take
/// longer.
pub fn call(bench: &Bench, dir: &Path) -> Result<Run> {
    let sysroot = bench.command("rustc", dir).args(["--print", "sysroot"]).read()?;
    let sysroot = Path::new(sysroot.trim());
    let own = sysroot.join("bin/cargo");
    let by_rustup = sysroot.parent().is_some_and(|parent| parent.ends_with("toolchains"));
    Ok(match sysroot.file_name().filter(|_| by_rustup && own.is_file()) {
        Some(name) => bench
            .command(&own, dir)
            .env("RUSTUP_TOOLCHAIN", name)
            .env("LD_LIBRARY_PATH", sysroot.join("lib")),
        None => bench.command("cargo", dir),
    })
}
