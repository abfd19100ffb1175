//! Who may ask for what, and what is answered of repositories and releases.

use serde_json::{Value, json};

use super::super::proxy::wire::Answer;
use super::state::{Release, State, Token};
use super::{API, Request, UPLOADS, assets, git, pulls, refused, said};

/// What may be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Read,
    Write,
}

/// Answers all but an upload.
pub fn answer(state: &mut State, request: &Request) -> Answer {
    if request.token == Some(Token::Unknown) {
        return refused(401, "Bad credentials", &[]);
    }
    if matches!(&*request.method, "POST" | "PATCH" | "PUT") && request.json().is_none() {
        return refused(400, "Problems parsing JSON", &[]);
    }
    let path = request.path.trim_start_matches('/').to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    match (&*request.method, &parts[..]) {
        ("GET", ["user"]) => user(request),
        (_, ["repos", owner, name, rest @ ..]) => {
            let repository = format!("{owner}/{name}");
            of_repository(state, request, &repository, rest)
        }
        ("GET", ["content", repository, id]) => {
            assets::content(state, request, &repository.replace(':', "/"), id)
        }
        _ => refused(404, "Not Found", &[]),
    }
}

fn user(request: &Request) -> Answer {
    match &request.token {
        Some(Token::Classic { login, .. } | Token::FineGrained { login, .. }) => {
            said(200, &json!({ "login": login, "type": "User" }))
        }
        Some(_) => refused(403, "Resource not accessible by integration", &[]),
        None => refused(401, "Requires authentication", &[]),
    }
}

/// Why the request may not be made; GitHub hides what one may not see.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#404-not-found-for-an-existing-resource>
pub fn refusal(state: &State, request: &Request, name: &str, right: Right) -> Option<Answer> {
    let hidden = || Some(refused(404, "Not Found", &[]));
    let Some(repository) = state.repositories.get(name) else { return hidden() };
    let writes = |login: &String| repository.writers.contains(login);
    let (reads, writes, says) = match &request.token {
        None | Some(Token::Unknown) => (!repository.private, false, "Requires authentication"),
        Some(Token::Classic { login, scopes }) => {
            let has = |scope: &str| scopes.iter().any(|it| it == scope);
            let scope = has("repo") || (has("public_repo") && !repository.private);
            let reads = !repository.private || (scope && writes(login));
            if right == Right::Write && !(scope && writes(login)) {
                return match scope && reads {
                    true => Some(refused(403, "Must have admin rights to Repository.", &[])),
                    false => hidden(),
                };
            }
            (reads, scope && writes(login), "")
        }
        Some(Token::FineGrained { login, repositories }) => {
            let own = repositories.iter().any(|it| it == name) && writes(login);
            (!repository.private || own, own, "Resource not accessible by personal access token")
        }
        Some(Token::Workflow { repository: own }) => (
            !repository.private || own == name,
            own == name,
            "Resource not accessible by integration",
        ),
    };
    match right {
        _ if !reads => hidden(),
        Right::Write if !writes => Some(refused(403, says, &[])),
        Right::Write if repository.archived => {
            Some(refused(403, "Repository was archived so is read-only.", &[]))
        }
        _ => None,
    }
}

fn of_repository(state: &mut State, request: &Request, name: &str, rest: &[&str]) -> Answer {
    // A fork that was just made is not there at once.
    if let Some(repository) = state.repositories.get_mut(name)
        && repository.hidden > 0
    {
        repository.hidden -= 1;
        return match rest {
            ["git", ..] => refused(409, "Git Repository is empty.", &[]),
            _ => refused(404, "Not Found", &[]),
        };
    }
    let pulls = matches!(rest, ["pulls", ..] | ["forks"]);
    let right = if request.method == "GET" || pulls { Right::Read } else { Right::Write };
    if let Some(refusal) = refusal(state, request, name, right) {
        return refusal;
    }
    match (&*request.method, rest) {
        ("GET", []) => said(200, &repository(state, request, name)),
        ("GET", ["immutable-releases"]) => immutable(state, request, name),
        (_, ["releases", rest @ ..]) => releases(state, request, name, rest),
        (_, ["git", rest @ ..]) => git::answer(state, request, name, rest),
        (_, ["contents", rest @ ..]) => git::contents(state, request, name, &rest.join("/")),
        ("POST", ["forks"]) => pulls::fork(state, request, name),
        (_, ["pulls", rest @ ..]) => pulls::answer(state, request, name, rest),
        _ => refused(404, "Not Found", &[]),
    }
}

/// A repository, as whoever asks sees it.
pub fn repository(state: &State, request: &Request, name: &str) -> Value {
    let own = &state.repositories[name];
    let login = match &request.token {
        Some(Token::Classic { login, .. } | Token::FineGrained { login, .. }) => Some(login),
        _ => None,
    };
    let push = login.is_some_and(|login| own.writers.contains(login));
    let mut body = json!({
        "full_name": name,
        "private": own.private,
        "archived": own.archived,
        "fork": own.parent.is_some(),
        "default_branch": "main",
        "html_url": format!("{}/{name}", request.base),
        "permissions": { "admin": push, "push": push, "pull": true },
    });
    if let Some(parent) = &own.parent {
        body["parent"] = json!({ "full_name": parent });
    }
    body
}

fn immutable(state: &State, request: &Request, name: &str) -> Answer {
    match refusal(state, request, name, Right::Write) {
        Some(_) => refused(404, "Not Found", &[]),
        None => said(200, &json!({ "enabled": state.repositories[name].immutable })),
    }
}

/// A page of a list, with where it goes on.
/// <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>
pub fn page(state: &State, request: &Request, all: &[Value]) -> Answer {
    let asked = request.value("per_page").and_then(|it| it.parse().ok()).unwrap_or(30);
    let size = state.page.unwrap_or(100).min(asked).max(1);
    let number: usize = request.value("page").and_then(|it| it.parse().ok()).unwrap_or(1);
    let pages: Vec<&[Value]> = all.chunks(size).collect();
    let here = pages.get(number - 1).copied().unwrap_or_default();
    let mut answer = said(200, &json!(here));
    if number < pages.len() {
        let query: String = request
            .query
            .iter()
            .filter(|(name, _)| name != "page")
            .map(|(name, value)| format!("{name}={value}&"))
            .collect();
        let at = format!("{}{API}{}?{query}", request.base, request.path);
        let links = format!(
            "<{at}page={}>; rel=\"next\", <{at}page={}>; rel=\"last\"",
            number + 1,
            pages.len()
        );
        answer.headers.push(("Link".to_owned(), links));
    }
    answer
}

fn release(state: &State, request: &Request, name: &str, of: &Release) -> Value {
    let uploads = state.uploads_to.clone().unwrap_or_else(|| request.base.clone());
    let page = if of.draft { format!("untagged-{}", of.id) } else { of.tag.clone() };
    json!({
        "id": of.id,
        "tag_name": of.tag,
        "name": of.name,
        "body": of.body,
        "draft": of.draft,
        "prerelease": of.prerelease,
        "immutable": of.immutable,
        "target_commitish": "main",
        "html_url": format!("{}/{name}/releases/tag/{page}", request.base),
        "upload_url": format!("{uploads}{UPLOADS}/repos/{name}/releases/{}/assets{{?name,label}}", of.id),
        "assets": of.assets.iter().map(|it| assets::asset(state, it)).collect::<Vec<_>>(),
    })
}

fn releases(state: &mut State, request: &Request, name: &str, rest: &[&str]) -> Answer {
    let writes = refusal(state, request, name, Right::Write).is_none();
    let id = |text: &str| text.parse::<u64>().unwrap_or(0);
    match (&*request.method, rest) {
        ("GET", []) => {
            let own = &state.repositories[name];
            // Drafts are shown to those who may write.
            let all = own.releases.iter().rev().filter(|it| !it.draft || writes);
            let all: Vec<Value> = all.map(|it| release(state, request, name, it)).collect();
            page(state, request, &all)
        }
        ("POST", []) => create(state, request, name),
        (_, ["assets", asset]) => assets::answer(state, request, name, id(asset)),
        ("GET", [of, "assets"]) => assets::list(state, request, name, id(of)),
        (method, [of]) => {
            let found = state.repositories[name].releases.iter().find(|it| it.id == id(of));
            let Some(found) = found.filter(|it| !it.draft || writes).cloned() else {
                return refused(404, "Not Found", &[]);
            };
            match method {
                "GET" => said(200, &release(state, request, name, &found)),
                "PATCH" => change(state, request, name, found.id),
                "DELETE" => {
                    if !found.draft {
                        state.violations.push(format!("{} was deleted", found.tag));
                    }
                    state.repository(name).releases.retain(|it| it.id != found.id);
                    Answer::new(204, &[], "")
                }
                _ => refused(404, "Not Found", &[]),
            }
        }
        _ => refused(404, "Not Found", &[]),
    }
}

const TAKEN: (&str, &str, &str) = ("Release", "already_exists", "tag_name");

/// <https://docs.github.com/en/rest/releases/releases#create-a-release>
fn create(state: &mut State, request: &Request, name: &str) -> Answer {
    let asked = request.json().unwrap_or_default();
    let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
    let tag = text("tag_name");
    let draft = asked["draft"] == true;
    if text("body").chars().count() > 125_000 {
        let long = ("Release", "custom", "body is too long (maximum is 125000 characters)");
        return refused(422, "Validation Failed", &[long]);
    }
    // Where workflows differ from those of the main branch, which here they always do.
    let workflow = matches!(request.token, Some(Token::Workflow { .. }));
    if workflow && !text("target_commitish").is_empty() {
        return refused(403, "Resource not accessible by integration", &[]);
    }
    let taken = state.repositories[name].releases.iter().any(|it| it.tag == tag && !it.draft);
    if taken && !draft {
        return refused(422, "Validation Failed", &[TAKEN]);
    }
    let new = Release {
        id: state.next(),
        name: text("name"),
        body: text("body"),
        draft: true,
        prerelease: asked["prerelease"] == true,
        immutable: false,
        latest: false,
        published: 0,
        assets: Vec::new(),
        tag,
    };
    let id = new.id;
    state.repository(name).releases.push(new);
    if !draft {
        state.publish(name, id, asked["prerelease"] == true, true);
    }
    let made = state.repositories[name].releases.last().cloned().unwrap();
    said(201, &release(state, request, name, &made))
}

/// <https://docs.github.com/en/rest/releases/releases#update-a-release>
fn change(state: &mut State, request: &Request, name: &str, id: u64) -> Answer {
    let asked = request.json().unwrap_or_default();
    let all = &state.repositories[name].releases;
    let Some(before) = all.iter().find(|it| it.id == id).cloned() else {
        return refused(404, "Not Found", &[]);
    };
    if asked["draft"] == false && before.draft {
        if all.iter().any(|it| it.tag == before.tag && !it.draft) {
            return refused(422, "Validation Failed", &[TAKEN]);
        }
        let latest = asked["make_latest"] != "false";
        state.publish(name, id, asked["prerelease"] == true, latest);
    }
    let own = state.repository(name);
    let changed = own.releases.iter_mut().find(|it| it.id == id).unwrap();
    if let Some(body) = asked["body"].as_str() {
        changed.body = body.to_owned();
    }
    let changed = changed.clone();
    said(200, &release(state, request, name, &changed))
}
