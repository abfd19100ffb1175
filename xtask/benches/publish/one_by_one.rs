//! The simplest way of publishing: one request after the other.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::world::proxy::wire::{Answer, pass, read_head};

/// A connection that is kept.
struct Line {
    host: String,
    stream: TcpStream,
}

impl Line {
    fn to(host: &str) -> Result<Line> {
        let stream = TcpStream::connect(host).with_context(|| format!("connect to {host}"))?;
        stream.set_nodelay(true)?;
        Ok(Line { host: host.to_owned(), stream })
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer> {
        let mut head = Answer::new(0, headers, "").head();
        head.start = format!("{method} {path} HTTP/1.1");
        head.set("Host", &*self.host);
        head.set("User-Agent", "bench");
        head.set("Content-Length", body.len().to_string());
        self.stream.write_all(&head.to_bytes())?;
        self.stream.write_all(body)?;
        let head = read_head(&mut self.stream)?;
        let mut body = Vec::new();
        pass(&mut self.stream, head.answer_framing(method), u64::MAX, |piece, of_body| {
            body.extend(if of_body == 0 { &[] } else { piece });
            Ok(())
        })?;
        let answer = Answer { status: head.status(), headers: head.headers, body };
        ensure!(answer.status < 400, "{method} {path}: {}", answer.status);
        Ok(answer)
    }
}

/// What a release has: everything of dist/ but what describes dist/ itself.
pub fn files(dist: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dist).with_context(|| format!("list {}", dist.display()))? {
        let path = entry?.path();
        let describes = path.ends_with("artifacts.json") || path.ends_with("metadata.json");
        if path.is_file() && !describes {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A draft, its files, and the release.
pub fn release(host: &str, repository: &str, token: &str, files: &[PathBuf]) -> Result<()> {
    let mut line = Line::to(host)?;
    let bearer = format!("Bearer {token}");
    let authorization = [("Authorization", &*bearer), ("Content-Type", "application/octet-stream")];
    let draft = json!({ "tag_name": "v1.0.0", "name": "v1.0.0", "body": "", "draft": true });
    let releases = format!("/api/v3/repos/{repository}/releases");
    let made = line.ask("POST", &releases, &authorization, draft.to_string().as_bytes())?;
    let made: Value = serde_json::from_slice(&made.body).context("read the draft")?;
    let id = made["id"].as_u64().context("read the draft's number")?;
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let to = format!("/api/uploads/repos/{repository}/releases/{id}/assets?name={name}");
        let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        line.ask("POST", &to, &authorization, &bytes)?;
    }
    let publish = json!({ "draft": false }).to_string();
    line.ask("PATCH", &format!("{releases}/{id}"), &authorization, publish.as_bytes())?;
    Ok(())
}

/// An image of a layout, with all that it is made of, and its tags.
pub fn push(host: &str, folder: &str, layout: &Path) -> Result<()> {
    let mut line = Line::to(host)?;
    let name = format!("{folder}/tool-0");
    let blob = |digest: &str| {
        let path = layout.join("blobs").join(digest.replace(':', "/"));
        std::fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).context("read a manifest");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let top = read(&std::fs::read(layout.join("index.json"))?)?["manifests"][0].clone();
    let index = blob(&text(&top["digest"]))?;
    for manifest in read(&index)?["manifests"].as_array().into_iter().flatten() {
        let bytes = blob(&text(&manifest["digest"]))?;
        let parts = read(&bytes)?;
        let all = parts["layers"].as_array().into_iter().flatten().chain([&parts["config"]]);
        for part in all {
            let digest = text(&part["digest"]);
            let begun = line.ask("POST", &format!("/v2/{name}/blobs/uploads/"), &[], b"")?;
            let to = begun.header("location").context("read where the upload goes")?;
            let to = to.split_once(host).map_or(to, |(_, path)| path);
            line.ask("PUT", &format!("{to}&digest={digest}"), &[], &blob(&digest)?)?;
        }
        let kind = text(&manifest["mediaType"]);
        let at = format!("/v2/{name}/manifests/{}", text(&manifest["digest"]));
        line.ask("PUT", &at, &[("Content-Type", &kind)], &bytes)?;
    }
    for tag in ["1.0.0", "latest"] {
        let kind = text(&top["mediaType"]);
        line.ask(
            "PUT",
            &format!("/v2/{name}/manifests/{tag}"),
            &[("Content-Type", &kind)],
            &index,
        )?;
    }
    Ok(())
}
