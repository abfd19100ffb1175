//! Errors of requests. Retries and token renewals match on them.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::HeaderMap;

use super::url::Origin;
use crate::term::tame;

/// A request that failed.
#[derive(Debug)]
pub struct HttpError {
    /// Method and URL without the query.
    pub call: String,
    pub fault: Fault,
    /// How often it was tried.
    pub tries: u32,
}

/// How long a refusal asks to wait because too much was asked of the server; `None` where it
/// refuses for another reason. Servers have rules of their own for this.
pub type RateLimit = fn(&HttpError) -> Option<Duration>;

#[derive(Debug)]
pub enum Fault {
    /// A response with a status of 400 and above.
    Status {
        status: u16,
        from: Origin,
        headers: Box<HeaderMap>,
        body: Vec<u8>,
        rate_limit: RateLimit,
    },
    /// No complete response. Another try may succeed.
    Transient(String),
    /// Another try would fail too.
    Permanent(String),
}

impl Fault {
    /// Adds the variable that names the proxy.
    pub fn through(self, proxy: Option<&str>) -> Fault {
        let Some(name) = proxy else { return self };
        let through = |why: String| format!("{why} (through the proxy of {name})");
        match self {
            Fault::Transient(why) => Fault::Transient(through(why)),
            Fault::Permanent(why) => Fault::Permanent(through(why)),
            answered @ Fault::Status { .. } => answered,
        }
    }
}

/// Why the requests of other threads fail after [`super::Http::stop`].
pub const GIVEN_UP: &str = "it was given up";

impl HttpError {
    /// Whether it failed because another thread's work did.
    pub fn was_given_up(&self) -> bool {
        match &self.fault {
            Fault::Transient(why) | Fault::Permanent(why) => why.contains(GIVEN_UP),
            Fault::Status { .. } => false,
        }
    }

    pub fn status(&self) -> Option<u16> {
        let Fault::Status { status, .. } = &self.fault else { return None };
        Some(*status)
    }

    /// Whether the certificate is not trusted, or the server has no TLS.
    pub fn is_of_tls(&self) -> bool {
        matches!(&self.fault, Fault::Permanent(why) if why.starts_with("TLS: "))
    }

    /// The origin that answered. A redirect or a `Location` may have led to another one.
    pub fn answered_by(&self) -> Option<&Origin> {
        let Fault::Status { from, .. } = &self.fault else { return None };
        Some(from)
    }

    /// A header of the response.
    pub fn header(&self, name: &str) -> Option<&str> {
        let Fault::Status { headers, .. } = &self.fault else { return None };
        headers.get(name)?.to_str().ok()
    }

    /// All values of a header of the response.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let Fault::Status { headers, .. } = &self.fault else { return Vec::new() };
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Whether another try may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match &self.fault {
            Fault::Status { status, .. } => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504 | 522 | 524)
                    || (*status == 403 && self.header("retry-after").is_some())
                    || self.rate_limit().is_some()
            }
            Fault::Transient(_) => true,
            Fault::Permanent(_) => false,
        }
    }

    /// How long a rate limit asks to wait; `None` where the refusal is no rate limit.
    pub fn rate_limit(&self) -> Option<Duration> {
        match &self.fault {
            Fault::Status { rate_limit, .. } => rate_limit(self),
            Fault::Transient(_) | Fault::Permanent(_) => None,
        }
    }

    /// Whether the body contains this error code, of the distribution specification or of
    /// GitHub.
    /// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
    pub fn names(&self, code: &str) -> bool {
        let Fault::Status { body, .. } = &self.fault else { return false };
        match serde_json::from_slice::<Message>(body).map(|said| said.errors) {
            Ok(Errors::Items(items)) => items.iter().any(|it| it.code == code),
            _ => false,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.call)?;
        match &self.fault {
            Fault::Status { status, body, .. } => {
                let known = ureq::http::StatusCode::from_u16(*status).ok();
                write!(f, "{status}")?;
                if let Some(reason) = known.and_then(|status| status.canonical_reason()) {
                    write!(f, " {reason}")?;
                }
                server_message(body).iter().try_for_each(|text| write!(f, ": {text}"))?;
            }
            Fault::Transient(why) | Fault::Permanent(why) => f.write_str(why)?,
        }
        if self.tries > 1 {
            write!(f, " (after {} tries)", self.tries)?;
        }
        Ok(())
    }
}

impl std::error::Error for HttpError {}

/// The error body of registries, token servers and GitHub.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    errors: Errors,
    message: String,
    details: String,
}

/// The details of an error. GitHub has three forms of them.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed>
#[derive(Deserialize)]
#[serde(untagged)]
enum Errors {
    Items(Vec<Item>),
    Texts(Vec<String>),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Default for Errors {
    fn default() -> Errors {
        Errors::Items(Vec::new())
    }
}

impl Errors {
    fn texts(&self) -> Vec<String> {
        let item = |it: &Item| {
            if it.message.is_empty() {
                [&*it.field, &*it.code].join(" ").trim().to_owned()
            } else {
                it.message.clone()
            }
        };
        match self {
            Errors::Items(items) => items.iter().map(item).collect(),
            Errors::Texts(texts) => texts.clone(),
            Errors::Text(text) => vec![text.clone()],
            Errors::Other(_) => Vec::new(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    code: String,
    message: String,
    field: String,
}

/// The server's message, shortened to one line. A web page has none.
fn server_message(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 300;
    let text = match serde_json::from_slice(body) {
        Ok(Message { errors, message, details }) => {
            let all = errors.texts().into_iter().chain([message, details]);
            all.filter(|text| !text.is_empty()).collect::<Vec<_>>()
        }
        Err(_) => {
            let text = String::from_utf8_lossy(body).trim().to_owned();
            let page = text.starts_with(['<', '{', '[']);
            let line = text.lines().next().filter(|_| !page);
            line.map(str::to_owned).into_iter().collect()
        }
    };
    let text = text.join("; ");
    let short: String = tame(&text).chars().take(LONGEST).collect();
    Some(short).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> HttpError {
        let from = Origin::new(crate::http::Scheme::Https, "x").unwrap();
        let (headers, body) = (Box::default(), body.into());
        let fault = Fault::Status { status, from, headers, body, rate_limit: |_| None };
        HttpError { call: "GET https://x/v2/".into(), fault, tries: 1 }
    }

    #[test]
    fn the_servers_words_are_shown_and_tamed() {
        for (status, body, expected) in [
            (404, "", "404 Not Found"),
            (599, "", "599"),
            (
                403,
                r#"{"errors":[{"code":"DENIED","message":"no\u001b[2J"}]}"#,
                "403 Forbidden: no\u{fffd}[2J",
            ),
            (403, r#"{"errors":[{"code":"DENIED","detail":{"x":1}}]}"#, "403 Forbidden: DENIED"),
            (
                422,
                r#"{"message":"Validation Failed"}"#,
                "422 Unprocessable Entity: Validation Failed",
            ),
            (
                422,
                r#"{"message":"Validation Failed","errors":[{"resource":"Release","code":"already_exists","field":"tag_name"}]}"#,
                "422 Unprocessable Entity: tag_name already_exists; Validation Failed",
            ),
            (422, r#"{"message":"No","errors":["a","b"]}"#, "422 Unprocessable Entity: a; b; No"),
            (422, r#"{"message":"No","errors":"a"}"#, "422 Unprocessable Entity: a; No"),
            (422, r#"{"message":"No","errors":{"a":1}}"#, "422 Unprocessable Entity: No"),
            (502, "<html>bad</html>", "502 Bad Gateway"),
            (500, "plain\nmore", "500 Internal Server Error: plain"),
        ] {
            let shown = refused(status, body).to_string();
            assert_eq!(shown, format!("GET https://x/v2/: {expected}"));
        }
        assert!(refused(500, &"x".repeat(9999)).to_string().len() < 400);
        assert!(refused(404, r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#).names("NAME_UNKNOWN"));
    }
}
