//! What can befall a request.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::wire::{Answer, Framing, Head};

/// Which part of the conversation with a registry a request is.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Ping,
    Token,
    BlobHead,
    BlobGet,
    Mount,
    Post,
    Patch,
    Put,
    /// What of an upload has come.
    Status,
    ManifestHead,
    ManifestGet,
    /// By digest.
    ManifestPut,
    /// By tag.
    TagPut,
    TagsList,
    Referrers,
    /// GitHub's, by its method and the last fixed part of its path.
    GitHub(&'static str),
    Other,
}

/// The calls to GitHub that are steps, the special ones first: method, what the path
/// ends with or holds, and the name.
const GITHUB: [(&str, &str, &str); 23] = [
    ("GET", "/user", "who"),
    ("GET", "/immutable-releases", "frozen"),
    ("POST", "/assets", "upload"),
    ("GET", "/releases/*/assets", "files"),
    ("DELETE", "/releases/assets/*", "remove file"),
    ("GET", "/releases/assets/*", "content"),
    ("GET", "/releases/*", "release"),
    ("PATCH", "/releases/*", "publish"),
    ("DELETE", "/releases/*", "remove release"),
    ("GET", "/releases", "releases"),
    ("POST", "/releases", "draft"),
    ("GET", "/git/ref/tags/*", "tag"),
    ("GET", "/git/ref/heads/*", "branch"),
    ("GET", "/git/matching-refs/heads/*", "branches"),
    ("POST", "/git/refs", "make branch"),
    ("PATCH", "/git/refs/heads/*", "reset branch"),
    ("GET", "/contents/plugins/*", "entry"),
    ("PUT", "/contents/plugins/*", "put entry"),
    ("POST", "/forks", "fork"),
    ("GET", "/pulls", "pulls"),
    ("POST", "/pulls", "open pull"),
    ("PATCH", "/pulls/*", "close pull"),
    ("GET", "/git/tags/*", "tag object"),
];

/// The step that a call to GitHub is.
fn of_github(method: &str, path: &str) -> Step {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let fits = |pattern: &str| {
        let wanted: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
        let from = parts.len().checked_sub(wanted.len());
        from.is_some_and(|from| {
            parts[from..].iter().zip(&wanted).all(|(part, wanted)| *wanted == "*" || part == wanted)
        })
    };
    let known = |(of, pattern, _): &&(&str, &str, &str)| *of == method && fits(pattern);
    match GITHUB.iter().find(known) {
        Some((_, _, name)) => Step::GitHub(name),
        // What is left of a repository's own.
        None if method == "GET" && parts.len() == 5 => Step::GitHub("repository"),
        None => Step::Other,
    }
}

impl Step {
    /// The step that a request is, by its method and its path with the query.
    pub fn of(method: &str, target: &str) -> Step {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path.starts_with("/api/") {
            return of_github(method, path);
        }
        let Some(within) = path.strip_prefix("/v2/") else {
            return match path {
                "/v2" => Step::Ping,
                "/token" => Step::Token,
                _ => Step::Other,
            };
        };
        if within.is_empty() {
            return Step::Ping;
        }
        if within.contains("/blobs/uploads/") {
            let mounts = query.split('&').any(|part| part.starts_with("mount="));
            return match method {
                "POST" if mounts => Step::Mount,
                "POST" => Step::Post,
                "PATCH" => Step::Patch,
                "PUT" => Step::Put,
                "GET" | "HEAD" => Step::Status,
                _ => Step::Other,
            };
        }
        let by_digest = within.rsplit('/').next().is_some_and(|name| name.contains(':'));
        match (method, within.contains("/manifests/"), within.contains("/blobs/")) {
            ("HEAD", false, true) => Step::BlobHead,
            ("GET", false, true) => Step::BlobGet,
            ("HEAD", true, false) => Step::ManifestHead,
            ("GET", true, false) => Step::ManifestGet,
            ("PUT", true, false) if by_digest => Step::ManifestPut,
            ("PUT", true, false) => Step::TagPut,
            ("GET", false, false) if within.ends_with("/tags/list") => Step::TagsList,
            ("GET", false, false) if within.contains("/referrers/") => Step::Referrers,
            _ => Step::Other,
        }
    }
}

/// When the client is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nobody knows of the request.
    Before,
    /// The upstream has half of what the request brings.
    InBody,
    /// The upstream has answered.
    After,
}

/// What becomes of a Location.
#[derive(Clone, Debug)]
pub enum Place {
    Missing,
    /// Without scheme and host, which is lawful.
    Relative,
    /// At another origin, which is lawful too.
    Foreign(String),
    /// An upload that nobody has begun.
    Unknown,
    /// No address at all.
    Garbage,
}

/// What befalls a request. Where nothing else is said, the upstream never hears of it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset, and as many new ones after it.
    Refused(u32),
    /// The connection is reset before anything is read.
    Reset,
    /// It is reset when the upstream has so many bytes of a body that is longer.
    ResetInBody(u64),
    /// The upstream does what was asked, and the connection ends without its answer.
    AnswerLost,
    /// The connection ends after the answer, which does not say so.
    Closes,
    /// It ends in the middle of the answer's head.
    CutHead,
    /// It ends in the middle of the answer's body.
    ShortBody,
    /// It ends when so many bytes of the answer's body are sent.
    CutBody(u64),
    /// One bit in the middle of the answer's body is another.
    Flip,
    /// A byte a second of the answer's head, for ever.
    DripHead,
    /// A byte a second of the answer's body, for ever.
    DripBody,
    /// Some kB a second of the answer's body, for ever.
    Trickle,
    /// Nothing is answered.
    Silence,
    Answer(Answer),
    /// The same before the request's body was read; then the connection ends.
    Early(Answer),
    /// The upstream takes no larger body than this, in bytes.
    TooLarge(u64),
    /// An answer of this status whose body has no end.
    Endless(u16),
    /// The upstream's answer with a digest that is another's.
    WrongDigest,
    /// The upstream's answer without any.
    NoDigest,
    /// The upstream's answer with another Location.
    Location(Place),
    /// The token that came with it is worth nothing any more.
    Expired,
    /// Sent on to itself.
    RedirectLoop,
    /// Sent on to the same path of another origin.
    RedirectTo(String),
    Kill(Moment),
    /// It waits for others, and then passes.
    Meet(Arc<Barrier>),
    /// Its answer waits for others.
    AnswerMeets(Arc<Barrier>),
    /// It passes after this time, as from far away.
    Late(Duration),
}

/// The digest of something that nobody has.
pub const WRONG_DIGEST: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

impl Fault {
    /// An error as registries answer it.
    pub fn status(status: u16) -> Fault {
        Fault::Answer(refusal(status, "UNKNOWN", "a fault of the test"))
    }

    /// Whether it is of any meaning for this request.
    pub fn can_befall(&self, request: &Head) -> bool {
        match (self, request.request_framing()) {
            (Fault::ResetInBody(most) | Fault::TooLarge(most), Framing::Length(length)) => {
                length > *most
            }
            (Fault::ResetInBody(_) | Fault::TooLarge(_), Framing::None) => false,
            _ => true,
        }
    }

    /// An error with its code.
    pub fn refusal(status: u16, code: &str) -> Fault {
        Fault::Answer(refusal(status, code, "a fault of the test"))
    }

    /// Too many requests, with a wait that is asked for.
    pub fn retry_after(when: &str) -> Fault {
        let mut answer = refusal(429, "TOOMANYREQUESTS", "a fault of the test");
        answer.headers.push(("Retry-After".to_owned(), when.to_owned()));
        Fault::Answer(answer)
    }

    /// Too many requests until a date, so far from now.
    pub fn retry_at(wait: Duration) -> Fault {
        let at = jiff::Timestamp::now() + wait;
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        Fault::retry_after(&printer.timestamp_to_rfc9110_string(&at).unwrap())
    }
}

/// An error as registries answer it.
pub fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    Answer::new(status, &[("Content-Type", "application/json")], body.to_string())
}
