//! The finished program from a server, as a workflow brings it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::bench::{self, Bench, INSTALLED};

/// As the step of a generated workflow does it: download, compare the digest, unpack, run.
const STEP: &str = r#"set -euo pipefail
curl --fail --silent --show-error --output tool.tar.gz "$URL"
echo "$SHA256  tool.tar.gz" | sha256sum --check --quiet
tar -xzf tool.tar.gz
./cargo-dockless --version
"#;

pub fn prebuilt(bench: &Bench) -> Result<String> {
    let packed = bench.dir.join("packed");
    std::fs::create_dir_all(&packed)?;
    std::fs::copy(INSTALLED, packed.join("cargo-dockless")).context("copy the program")?;
    let pack = ["-czf", "tool.tar.gz", "cargo-dockless"];
    bench.command("strip", &packed).arg("cargo-dockless").read()?;
    bench.command("tar", &packed).args(pack).read()?;
    let sha256 = bench.command("sha256sum", &packed).arg("tool.tar.gz").read()?;
    let sha256 = sha256.split(' ').next().unwrap_or_default().to_owned();
    let archive = std::fs::read(packed.join("tool.tar.gz")).context("read the archive")?;
    let size = archive.len();
    let url = serve(archive)?;
    let mut times = Vec::new();
    for round in 0..5 {
        let dir = bench.dir.join(format!("prebuilt-{round}"));
        bench::write(&dir.join("step.sh"), STEP)?;
        let step = bench.command("bash", &dir).arg("step.sh");
        let started = Instant::now();
        step.env("URL", &url).env("SHA256", &sha256).read()?;
        times.push(started.elapsed());
    }
    times.sort();
    let median = times[times.len() / 2];
    let said = if median < Duration::from_secs(3) { "reached" } else { "MISSED" };
    Ok(format!(
        "the finished program ({:.1} MB packed), from the download to its first output: {:.2} s (asked: 3 s, {said})\n",
        size as f64 / 1e6,
        median.as_secs_f64()
    ))
}

/// Serves one file at any path, for as long as this program runs.
fn serve(file: Vec<u8>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("open a port")?;
    let url = format!("http://{}/tool.tar.gz", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = || -> std::io::Result<()> {
                let mut stream = stream?;
                let _ = stream.read(&mut [0; 4096])?;
                let length = file.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                )?;
                stream.write_all(&file)
            };
            if let Err(error) = answer() {
                eprintln!("serve the archive: {error}");
            }
        }
    });
    Ok(url)
}
