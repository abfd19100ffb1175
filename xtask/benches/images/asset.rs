//! An image with one large file.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::bench::{Bench, INSTALLED, Run, read};
use crate::engines::{Engines, Way, peak, time};
use crate::page::{self, Goal};
use crate::parts::MEMORY;
use crate::program::{NAME, libraries, sources};
use crate::race::{self, Contestant};

/// In bytes.
const SIZE: u64 = 1 << 30;
const ROUNDS: usize = 3;
const FILE: &str = "big";

const FILES: &str = r#"
[package.metadata.dockless.image]
files = [{ from = "big", to = "/srv/big" }]
"#;

/// One core, where programs that would use more are to be compared with one that cannot.
const ONE_CORE: [&str; 3] = ["taskset", "-c", "0"];

/// Measures images that hold the asset, made without any cache, against gzip at the
/// same level; the engines take part in the last round alone.
pub fn measure(bench: &Bench, tools: &[(&str, PathBuf)], engines: &Engines<'_>) -> Result<String> {
    let root = bench.dir.join("asset");
    let asset = root.join(FILE);
    if !asset.is_file() {
        sources(bench, &root, FILES)?;
        fill(bench, &asset)?;
    }
    let context = root.join("target/context");
    let level = level(&bench.repository)?;
    let image = ["image", "--quiet", "--no-cache", "--platform", "linux/amd64"];
    let ours = |tool: &Path| bench.command(tool, &root).args(image);
    ours(Path::new(INSTALLED)).read()?;
    fill_context(&root, &context)?;
    engines.prepare(&context, &[FILE])?;
    // What is there of an image could be used again, and nothing is to be.
    let anew = |run: Run| {
        std::fs::remove_dir_all(root.join("dist")).context("remove dist/")?;
        run.time()
    };
    let one_core = |tool: &Path| {
        let run = bench.command(ONE_CORE[0], &root).args(&ONE_CORE[1..]).arg(tool);
        run.args(image)
    };
    let gzip = format!("gzip -{level} <{FILE} >/dev/null");
    // A layer has two digests: that of the tar, and that of what is compressed.
    let digests = format!("sha256sum <{FILE} & gzip -{level} <{FILE} | sha256sum; wait");
    let shell = |line: &str| bench.command("sh", &root).args(["-c", line]);
    let gzip_alone =
        || bench.command(ONE_CORE[0], &root).args(&ONE_CORE[1..]).args(["sh", "-c", &gzip]);
    let names = ["dockless, one core", "gzip, one core", "dockless", "gzip and sha256sum at once"];
    let installed = Path::new(INSTALLED);
    let ways = engines.ways();
    let mut contestants = vec![
        Contestant::new(names[0], || anew(one_core(installed))),
        Contestant::new(names[1], || gzip_alone().time()),
        Contestant::new(names[2], || anew(ours(installed))),
        Contestant::new(names[3], || shell(&digests).time()),
    ];
    for (name, tool) in &tools[1..] {
        contestants.push(Contestant::new(*name, || anew(ours(tool))));
    }
    for way in &ways {
        let run = || {
            engines.forget(*way, &context)?;
            time(engines.build(*way, &context, 1, &[FILE]))
        };
        let mut contestant = Contestant::new(way.name(), run);
        contestant.every = ROUNDS;
        contestants.push(contestant);
    }
    let times = race::run(ROUNDS, contestants, |_| Ok(()))?;
    let mut peers: Vec<(&str, &str)> = vec![("gzip", names[1]), ("both", names[3])];
    peers.extend(ways.iter().map(|way| (way.engine(), way.name())));
    let work = format!("an asset of 1 GiB, gzip level {level}, no cache");
    let mut text = page::table(&work, &times, &peers)?;
    for (index, (name, tool)) in tools.iter().enumerate() {
        text += &page::memory(name, ours(tool).peak()?, (index == 0).then_some(MEMORY));
    }
    for way in ways.iter().filter(|way| **way != Way::Docker) {
        engines.forget(*way, &context)?;
        let bytes = peak(engines.build(*way, &context, 1, &[FILE]))?;
        text += &page::memory(way.name(), bytes, None);
        engines.forget(*way, &context)?;
    }
    if let Some(share) = page::share(&times, names[0], "gzip", &peers)? {
        let what = "throughput of the whole command, of gzip's, on one core";
        text += &page::goal(what, Goal::AtLeast(1.0), 1.0 / share);
    }
    Ok(text)
}

/// Fills the file with the compiler's own libraries, over and over.
fn fill(bench: &Bench, path: &Path) -> Result<()> {
    let context = || format!("write {}", path.display());
    let mut out = File::create(path).with_context(context)?;
    let libraries = libraries(bench)?;
    let mut left = SIZE;
    while left > 0 {
        let before = left;
        for library in &libraries {
            let library = File::open(library).context("read a library")?;
            left -= std::io::copy(&mut library.take(left), &mut out).with_context(context)?;
        }
        if left == before {
            bail!("the compiler has no libraries to fill {} with", path.display());
        }
    }
    out.flush().with_context(context)
}

/// What engines build the same image of: the binary, the base as this tool made it,
/// and the asset.
fn fill_context(root: &Path, context: &Path) -> Result<()> {
    let explain = || format!("fill {}", context.display());
    std::fs::create_dir_all(context).with_context(explain)?;
    let layers = crate::layout::first(&root.join("dist/images").join(NAME))?;
    std::fs::write(context.join("rootfs.tar"), layers).with_context(explain)?;
    let binary = root.join("target/x86_64-unknown-linux-musl/dist").join(NAME);
    std::fs::copy(binary, context.join(format!("{NAME}-amd64"))).with_context(explain)?;
    match context.join(FILE).exists() {
        true => Ok(()),
        false => std::fs::hard_link(root.join(FILE), context.join(FILE)).with_context(explain),
    }
}

/// The level that this tool compresses at: the peer is to use the same.
fn level(repository: &Path) -> Result<u32> {
    let source = read(&repository.join("xtask/src/oci/layer.rs"))?;
    let (_, level) = source.split_once("const LEVEL: u32 = ").context("find LEVEL in layer.rs")?;
    let (level, _) = level.split_once(';').context("find LEVEL in layer.rs")?;
    level.parse().context("read LEVEL in layer.rs")
}
