//! Branches, tags, and the files in commits.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::proxy::wire::Answer;
use super::answers::page;
use super::state::State;
use super::{Request, refused, said};
use crate::world::sha256;

/// git's name of a file, as far as anybody here can tell.
fn blob(text: &str) -> String {
    sha256(text.as_bytes())[..40].to_owned()
}

fn reference(state: &State, repository: &str, name: &str) -> Option<Value> {
    let own = &state.repositories[repository];
    let object = own.refs.get(name)?;
    let kind = if own.tags.contains_key(object) { "tag" } else { "commit" };
    Some(json!({ "ref": format!("refs/{name}"), "object": { "sha": object, "type": kind } }))
}

pub fn answer(state: &mut State, request: &Request, name: &str, rest: &[&str]) -> Answer {
    let asked = request.json().unwrap_or_default();
    match (&*request.method, rest) {
        ("GET", ["ref", rest @ ..]) => match reference(state, name, &rest.join("/")) {
            Some(found) => said(200, &found),
            None => refused(404, "Not Found", &[]),
        },
        ("GET", ["matching-refs", rest @ ..]) => {
            let start = rest.join("/");
            let names = state.repositories[name].refs.keys().filter(|it| it.starts_with(&start));
            let all: Vec<Value> = names.filter_map(|it| reference(state, name, it)).collect();
            page(state, request, &all)
        }
        ("GET", ["tags", object]) => match state.repositories[name].tags.get(*object) {
            Some(commit) => said(200, &json!({ "object": { "sha": commit, "type": "commit" } })),
            None => refused(404, "Not Found", &[]),
        },
        ("POST", ["refs"]) => {
            let full = asked["ref"].as_str().unwrap_or_default();
            let Some(short) = full.strip_prefix("refs/").map(str::to_owned) else {
                return refused(422, "Reference name must start with 'refs/'.", &[]);
            };
            let commit = asked["sha"].as_str().unwrap_or_default().to_owned();
            if state.files(name, &commit).is_none() {
                return refused(422, "Object does not exist", &[]);
            }
            if state.repositories[name].refs.contains_key(&short) {
                return refused(422, "Reference already exists", &[]);
            }
            state.repository(name).refs.insert(short.clone(), commit);
            said(201, &reference(state, name, &short).unwrap())
        }
        ("PATCH", ["refs", rest @ ..]) => {
            let short = rest.join("/");
            let commit = asked["sha"].as_str().unwrap_or_default().to_owned();
            if !state.repositories[name].refs.contains_key(&short) {
                return refused(422, "Reference does not exist", &[]);
            }
            if asked["force"] != true || state.files(name, &commit).is_none() {
                return refused(422, "Update is not a fast forward", &[]);
            }
            state.repository(name).refs.insert(short.clone(), commit);
            said(200, &reference(state, name, &short).unwrap())
        }
        _ => refused(404, "Not Found", &[]),
    }
}

/// A file, read or written.
/// <https://docs.github.com/en/rest/repos/contents>
pub fn contents(state: &mut State, request: &Request, name: &str, path: &str) -> Answer {
    if request.method == "GET" {
        let at = request.value("ref").unwrap_or("main");
        let branch = state.repositories[name].refs.get(&format!("heads/{at}"));
        let commit = branch.cloned().unwrap_or_else(|| at.to_owned());
        let text = state.files(name, &commit).and_then(|files| files.get(path));
        return match text {
            Some(text) => {
                // Lines of sixty, as GitHub has them.
                let packed: Vec<u8> = BASE64_STANDARD.encode(text).into_bytes();
                let lines: Vec<&str> =
                    packed.chunks(60).map(|line| std::str::from_utf8(line).unwrap()).collect();
                let content = lines.join("\n") + "\n";
                said(
                    200,
                    &json!({ "path": path, "sha": blob(text), "encoding": "base64", "content": content }),
                )
            }
            None => refused(404, "Not Found", &[]),
        };
    }
    let asked = request.json().unwrap_or_default();
    let branch = asked["branch"].as_str().unwrap_or("main").to_owned();
    if !state.repositories[name].refs.contains_key(&format!("heads/{branch}")) {
        return refused(404, &format!("Branch {branch} not found"), &[]);
    }
    let before = state.text(name, &branch, path);
    match (before.as_deref().map(blob), asked["sha"].as_str()) {
        (Some(_), None) => {
            return refused(422, "Invalid request.\n\n\"sha\" wasn't supplied.", &[]);
        }
        (there, Some(named)) if there.as_deref() != Some(named) => {
            return refused(409, &format!("{path} does not match {named}"), &[]);
        }
        _ => {}
    }
    let bytes = BASE64_STANDARD.decode(asked["content"].as_str().unwrap_or_default());
    let Ok(text) = bytes.map_err(|_| ()).and_then(|it| String::from_utf8(it).map_err(|_| ()))
    else {
        return refused(422, "content is not valid Base64", &[]);
    };
    // The parent's commits are a fork's too.
    let at = state.repositories[name].refs[&format!("heads/{branch}")].clone();
    let files = state.files(name, &at).cloned().unwrap_or_default();
    state.repository(name).commits.insert(at, files);
    let commit = state.commit(name, &branch, path, &text);
    said(200, &json!({ "content": { "sha": blob(&text) }, "commit": { "sha": commit } }))
}
