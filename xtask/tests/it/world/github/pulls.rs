//! Forks and pull requests.

use serde_json::{Value, json};

use super::super::proxy::wire::Answer;
use super::answers::{page, repository};
use super::state::{Pull, Repository, State, Token};
use super::{Request, refused, said};

/// <https://docs.github.com/en/rest/repos/forks#create-a-fork>
pub fn fork(state: &mut State, request: &Request, of: &str) -> Answer {
    let login = match &request.token {
        Some(Token::Classic { login, scopes })
            if scopes.iter().any(|it| it == "repo" || it == "public_repo") =>
        {
            login.clone()
        }
        Some(Token::FineGrained { .. }) => {
            return refused(403, "Resource not accessible by personal access token", &[]);
        }
        Some(Token::Workflow { .. }) => {
            return refused(403, "Resource not accessible by integration", &[]);
        }
        _ => return refused(404, "Not Found", &[]),
    };
    let (_, name) = of.split_once('/').unwrap_or_default();
    let there = state.repositories.iter().find(|(known, it)| {
        known.starts_with(&format!("{login}/")) && it.parent.as_deref() == Some(of)
    });
    let fork = match there {
        Some((known, _)) => known.clone(),
        None => {
            let plain = format!("{login}/{name}");
            let taken = state.repositories.contains_key(&plain);
            let fork = if taken { format!("{plain}-1") } else { plain };
            let parent = &state.repositories[of];
            let made = Repository {
                parent: Some(of.to_owned()),
                refs: parent.refs.clone(),
                hidden: state.forking,
                writers: [login].into(),
                ..Repository::default()
            };
            state.repositories.insert(fork.clone(), made);
            fork
        }
    };
    said(202, &repository(state, request, &fork))
}

fn pull(request: &Request, name: &str, of: &Pull) -> Value {
    let state = if of.open { "open" } else { "closed" };
    json!({ "number": of.number, "title": of.title, "body": of.body, "state": state,
            "head": { "label": of.head }, "base": { "ref": of.base },
            "html_url": format!("{}/{name}/pull/{}", request.base, of.number) })
}

pub fn answer(state: &mut State, request: &Request, name: &str, rest: &[&str]) -> Answer {
    let asked = request.json().unwrap_or_default();
    let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
    match (&*request.method, rest) {
        ("GET", []) => {
            let (head, open) = (request.value("head"), request.value("state") != Some("all"));
            let fits = |it: &&Pull| head.is_none_or(|head| it.head == head) && (it.open || !open);
            let all = state.repositories[name].pulls.iter().filter(fits);
            let all: Vec<Value> = all.map(|it| pull(request, name, it)).collect();
            page(state, request, &all)
        }
        ("POST", []) => {
            open(state, request, name, &text("head"), &text("base"), text("title"), text("body"))
        }
        ("PATCH", [number]) => {
            let login = match &request.token {
                Some(Token::Classic { login, .. }) => login.clone(),
                _ => return refused(403, "Resource not accessible by personal access token", &[]),
            };
            let all = &mut state.repository(name).pulls;
            let Some(found) = all.iter_mut().find(|it| it.number.to_string() == *number) else {
                return refused(404, "Not Found", &[]);
            };
            if found.by != login {
                return refused(403, "Must have admin rights to Repository.", &[]);
            }
            found.open = found.open && asked["state"] != "closed";
            let changed = found.clone();
            said(200, &pull(request, name, &changed))
        }
        _ => refused(404, "Not Found", &[]),
    }
}

/// <https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request>
fn open(
    state: &mut State,
    request: &Request,
    name: &str,
    head: &str,
    base: &str,
    title: String,
    body: String,
) -> Answer {
    let by = match &request.token {
        Some(Token::Classic { login, .. }) => login.clone(),
        Some(Token::Workflow { .. }) => {
            return refused(403, "Resource not accessible by integration", &[]);
        }
        _ => return refused(403, "Resource not accessible by personal access token", &[]),
    };
    let (owner, branch) = head.split_once(':').unwrap_or_default();
    let own = &state.repositories;
    let from = own.iter().find(|(known, it)| {
        known.starts_with(&format!("{owner}/"))
            && (it.parent.as_deref() == Some(name) || **known == name)
    });
    let commit = from.and_then(|(_, it)| it.refs.get(&format!("heads/{branch}"))).cloned();
    let Some(commit) = commit else {
        let invalid = ("PullRequest", "invalid", "head");
        return refused(422, "Validation Failed", &[invalid]);
    };
    if own[name].refs.get(&format!("heads/{base}")) == Some(&commit) {
        let none = format!("No commits between {base} and {head}");
        return refused(422, "Validation Failed", &[("PullRequest", "custom", &none)]);
    }
    if own[name].pulls.iter().any(|it| it.head == head && it.open) {
        let there = format!("A pull request already exists for {head}.");
        return refused(422, "Validation Failed", &[("PullRequest", "custom", &there)]);
    }
    let number = state.next();
    let (head, base) = (head.to_owned(), base.to_owned());
    let new = Pull { number, by, head, base, title, body, open: true, commit };
    let told = pull(request, name, &new);
    state.repository(name).pulls.push(new);
    said(201, &told)
}
