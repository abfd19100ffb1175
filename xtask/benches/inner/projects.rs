//! The programs that are edited.

use std::path::PathBuf;

use anyhow::Result;

use crate::bench::{Bench, Run, write};
use crate::cargo;

pub const TARGET: &str = "x86_64-unknown-linux-musl";
pub const PLATFORM: &str = "linux/amd64";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A server of the standard library alone.
    Small,
    /// One with the crates of a usual service.
    Large,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Small => "a small server",
            Size::Large => "a server of many crates",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Dist,
    Dev,
}

/// A Rust project.
pub struct Rust {
    pub dir: PathBuf,
    size: Size,
}

const MANIFEST: &str = r#"[package]
name = "server"
version = "0.1.0"
edition = "2024"
license = "Apache-2.0"
description = "Answers"

[profile.release]
panic = "abort"
strip = true

[dependencies]
"#;

/// What a usual service depends on. All of it is among what this repository depends on, so that
/// the sources are on this machine.
const MANY: &str = r#"anyhow = "1"
clap = { version = "4", features = ["derive", "env"] }
http-body-util = "0.1"
hyper = { version = "1", features = ["http1", "server"] }
hyper-util = { version = "0.1", features = ["tokio"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
tokio = { version = "1", features = ["io-util", "macros", "net", "rt-multi-thread", "signal", "sync", "time"] }
"#;

const SMALL: &str = r#"use std::io::{Read, Write};

const EDIT: u64 = 0;

fn main() {
    let listener = std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        let mut head = [0; 4096];
        if stream.read(&mut head).is_ok() {
            let body = format!("hello {EDIT}");
            let length = body.len();
            drop(write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"));
        }
    }
}
"#;

const LARGE: &str = r#"use std::convert::Infallible;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

const EDIT: u64 = 0;

#[derive(Parser)]
struct Args {
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    listen: String,
}

#[derive(serde::Serialize)]
struct Answer {
    edit: u64,
    path: String,
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = Answer { edit: EDIT, path: request.uri().path().to_owned() };
    let text = serde_json::to_string(&answer).unwrap_or_default();
    Ok(Response::new(Full::new(Bytes::from(text))))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(Args::parse().listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            drop(connection.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
        });
    }
}
"#;

/// cargo links with the toolchain's own linker, as the tool makes it do.
const CARGO_CONFIG: &str = "[target.x86_64-unknown-linux-musl]\nlinker = \"rust-lld\"\n";

impl Rust {
    pub fn make(bench: &Bench, size: Size, name: &str) -> Result<Rust> {
        let dir = bench.dir.join(format!("{size:?}").to_lowercase()).join(name);
        let many = if size == Size::Large { MANY } else { "" };
        write(&dir.join("Cargo.toml"), &format!("{MANIFEST}{many}"))?;
        write(&dir.join(".cargo/config.toml"), CARGO_CONFIG)?;
        write(&dir.join(".gitignore"), "/target\n/dist\n")?;
        write(&dir.join("LICENSE"), "free\n")?;
        let rust = Rust { dir, size };
        rust.edit(0)?;
        let dir = &rust.dir;
        bench.command("cargo", dir).args(["generate-lockfile", "--offline", "--quiet"]).read()?;
        bench.command("git", dir).args(["init", "--quiet", "--initial-branch", "main"]).read()?;
        bench.command("git", dir).args(["add", "--all"]).read()?;
        bench.commit(dir, "The server")?;
        Ok(rust)
    }

    /// Saves the program with another number in it.
    pub fn edit(&self, number: u64) -> Result<()> {
        let text = if self.size == Size::Large { LARGE } else { SMALL };
        let text = text.replace("EDIT: u64 = 0", &format!("EDIT: u64 = {number}"));
        write(&self.dir.join("src/main.rs"), &text)
    }

    /// The call of cargo that the tool makes.
    pub fn build(&self, bench: &Bench, profile: Profile) -> Result<Run> {
        let build = ["build", "--package", "server@0.1.0", "--bin", "server", "--locked"];
        let messages = ["--message-format", "json-render-diagnostics", "--target", TARGET];
        let run = cargo::call(bench, &self.dir)?.args(build).args(messages);
        Ok(match profile {
            Profile::Dev => run,
            Profile::Dist => {
                run.args(["--profile", "dist", "--config", "profile.dist.inherits=\"release\""])
            }
        })
    }
}

/// A Go project.
pub struct Go {
    dir: PathBuf,
}

const MAIN_GO: &str = r#"package main

import (
	"fmt"
	"net/http"
)

const edit = 0

func main() {
	http.HandleFunc("/", func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(out, "hello %d", edit)
	})
	fmt.Println(http.ListenAndServe(":8080", nil))
}
"#;

impl Go {
    pub fn make(bench: &Bench, name: &str) -> Result<Go> {
        let go = Go { dir: bench.dir.join(name) };
        write(&go.dir.join("go.mod"), "module server\n\ngo 1.19\n")?;
        go.edit(0)?;
        Ok(go)
    }

    pub fn edit(&self, number: u64) -> Result<()> {
        let text = MAIN_GO.replace("edit = 0", &format!("edit = {number}"));
        write(&self.dir.join("main.go"), &text)
    }

    /// As ko calls it.
    pub fn build(&self, bench: &Bench) -> Run {
        let run = bench.command("go", &self.dir).args(["build", "-trimpath", "-o", "server", "."]);
        run.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false").env("GOTOOLCHAIN", "local")
    }

    /// On a base that is in the registry.
    pub fn push(&self, bench: &Bench, base: &str, to: &str) -> Run {
        let args = ["build", "--bare", "--sbom=none", "--platform", PLATFORM, "."];
        let run = bench.command("ko", &self.dir).args(args);
        run.env("KO_DOCKER_REPO", to)
            .env("KO_DEFAULTBASEIMAGE", base)
            .env("KOCACHE", bench.dir.join("kocache"))
            .env("GOFLAGS", "-buildvcs=false")
            .env("GOTOOLCHAIN", "local")
    }
}
