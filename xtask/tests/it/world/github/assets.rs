//! The files of releases. While one is on its way it is there by its name, and so it stays
//! when the way ends too early.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::proxy::wire::Answer;
use super::answers::{Right, page, refusal};
use super::state::{Asset, State, Token};
use super::{API, Request, refused, said};
use crate::world::sha256;

pub fn asset(state: &State, of: &Asset) -> Value {
    let told = of.whole && !state.no_digests;
    let digest = if told { format!("sha256:{}", of.digest).into() } else { Value::Null };
    let state = if of.whole { "uploaded" } else { "starter" };
    json!({ "id": of.id, "name": of.name, "state": state, "size": of.bytes.len(), "digest": digest })
}

pub fn list(state: &State, request: &Request, name: &str, id: u64) -> Answer {
    let found = state.repositories[name].releases.iter().find(|it| it.id == id);
    match found {
        Some(found) => {
            let all: Vec<Value> = found.assets.iter().map(|it| asset(state, it)).collect();
            page(state, request, &all)
        }
        None => refused(404, "Not Found", &[]),
    }
}

/// One file: what is said of it, what is in it, or its end.
pub fn answer(state: &mut State, request: &Request, name: &str, id: u64) -> Answer {
    let all = &state.repositories[name].releases;
    let found = all.iter().find_map(|release| {
        let asset = release.assets.iter().find(|it| it.id == id)?;
        Some((release.id, release.tag.clone(), release.draft, release.immutable, asset.clone()))
    });
    let Some((release, tag, draft, immutable, found)) = found else {
        return refused(404, "Not Found", &[]);
    };
    match &*request.method {
        "GET" if request.accept == "application/octet-stream" => {
            // What is in it is elsewhere, where nobody is to show a token.
            let (_, port) = request.base.rsplit_once(':').unwrap_or_default();
            let at =
                format!("http://localhost:{port}{API}/content/{}/{id}", name.replace('/', ":"));
            Answer::new(302, &[("Location", &at)], "")
        }
        "GET" => said(200, &asset(state, &found)),
        "DELETE" if immutable => refused(422, "Cannot delete asset from an immutable release", &[]),
        "DELETE" => {
            if !draft && found.whole {
                state.violations.push(format!("{} was deleted from {tag}", found.name));
            }
            let own = state.repository(name);
            let of = own.releases.iter_mut().find(|it| it.id == release).unwrap();
            of.assets.retain(|it| it.id != id);
            Answer::new(204, &[], "")
        }
        _ => refused(404, "Not Found", &[]),
    }
}

/// What is in a file, at another host.
pub fn content(state: &mut State, request: &Request, name: &str, id: &str) -> Answer {
    if request.token.is_some() {
        state.violations.push("a token came to the host of contents".to_owned());
    }
    let all = state.repositories.get(name).into_iter().flat_map(|it| &it.releases);
    let found = all.flat_map(|it| &it.assets).find(|it| it.id.to_string() == id);
    match found {
        Some(found) => {
            Answer::new(200, &[("Content-Type", "application/octet-stream")], found.bytes.to_vec())
        }
        None => refused(404, "Not Found", &[]),
    }
}

/// A file that is on its way.
pub struct Begun {
    repository: String,
    release: u64,
    asset: u64,
}

/// <https://docs.github.com/en/rest/releases/assets#upload-a-release-asset>
pub fn begin(state: &mut State, request: &Request) -> Result<Begun, Answer> {
    if request.token == Some(Token::Unknown) {
        return Err(refused(401, "Bad credentials", &[]));
    }
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let ["repos", owner, repository, "releases", release, "assets"] = parts[..] else {
        return Err(refused(404, "Not Found", &[]));
    };
    let repository = format!("{owner}/{repository}");
    if let Some(refusal) = refusal(state, request, &repository, Right::Write) {
        return Err(refusal);
    }
    let id = state.next();
    let renames = state.renames;
    let all = &mut state.repository(&repository).releases;
    let Some(of) = all.iter_mut().find(|it| it.id.to_string() == release) else {
        return Err(refused(404, "Not Found", &[]));
    };
    if of.immutable {
        return Err(refused(422, "Cannot upload assets to an immutable release.", &[]));
    }
    let name = renamed(request.value("name").unwrap_or_default());
    if of.assets.iter().any(|it| it.name == name) {
        let taken = ("ReleaseAsset", "already_exists", "name");
        return Err(refused(422, "Validation Failed", &[taken]));
    }
    let name = if renames { format!("renamed.{name}") } else { name };
    of.assets.push(Asset { id, name, whole: false, bytes: Arc::default(), digest: String::new() });
    Ok(Begun { release: of.id, repository, asset: id })
}

/// What GitHub makes of a name: what is special becomes a point.
fn renamed(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
    name.chars().map(|c| if plain(c) { c } else { '.' }).collect()
}

pub fn end(shared: &Mutex<State>, request: &Request, begun: Begun, body: Vec<u8>) -> Answer {
    // Others are not made to wait for it.
    let digest = sha256(&body);
    let state = &mut *shared.lock().unwrap();
    let own = state.repository(&begun.repository);
    let release = own.releases.iter_mut().find(|it| it.id == begun.release);
    let asset = release.and_then(|it| it.assets.iter_mut().find(|it| it.id == begun.asset));
    // Somebody removed it while it came.
    let Some(found) = asset else { return refused(404, "Not Found", &[]) };
    if body.is_empty() {
        return refused(400, "Bad Content-Length: 0", &[]);
    }
    (found.bytes, found.whole, found.digest) = (Arc::new(body), true, digest);
    let found = found.clone();
    let mut told = self::asset(state, &found);
    told["browser_download_url"] = format!("{}/{}", request.base, found.name).into();
    said(201, &told)
}
