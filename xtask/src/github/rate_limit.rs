//! How GitHub says that it was asked too much.
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::http::{Fault, HttpError};

/// What GitHub wants where it counts requests and says no more.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately>
const DEFAULT: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

/// How long a rate limit asks to wait. GitHub has a primary limit, which headers tell, and
/// secondary ones, which the message tells, and answers either with 403 or 429.
pub fn rate_limit(error: &HttpError) -> Option<Duration> {
    let Fault::Status { status: status @ (403 | 429), body, .. } = &error.fault else {
        return None;
    };
    let used_up = error.header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
    let says_so = || {
        let refusal: Result<Refusal, _> = serde_json::from_slice(body);
        refusal.is_ok_and(|it| it.message.contains("rate limit"))
    };
    let is_limit =
        used_up || (*status == 403 && error.header("retry-after").is_some()) || says_so();
    if !is_limit {
        return None;
    }
    let wait = error.retry_after().or_else(|| reset(error).filter(|_| used_up));
    Some(wait.unwrap_or(DEFAULT))
}

/// The time until GitHub counts anew: it names seconds since 1970, by its own clock.
fn reset(error: &HttpError) -> Option<Duration> {
    let seconds = error.header("x-ratelimit-reset")?.trim().parse().ok()?;
    let then = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(error.time_until(then))
}

#[cfg(test)]
mod tests {
    use ureq::http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::http::{Origin, Scheme};

    fn refused(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> HttpError {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        let from = Origin::new(Scheme::Https, "x").unwrap();
        let (headers, body) = (headers.into(), body.into());
        let fault = Fault::Status { status, from, headers, body, rate_limit };
        HttpError { call: String::new(), fault, tries: 1 }
    }

    #[test]
    fn a_rate_limit_is_waited_for_and_a_refusal_is_not() {
        let said = |status: u16, headers: &[(&'static str, &'static str)], body: &str| {
            let error = refused(status, headers, body);
            (error.is_transient(), error.wait_asked().map(|it| it.as_secs()))
        };
        let date = ("date", "Thu, 01 Jan 1970 00:10:00 GMT");
        let used_up = ("x-ratelimit-remaining", "0");
        let secondary = r#"{"message":"You have exceeded a secondary rate limit."}"#;
        let denied = r#"{"message":"Resource not accessible by integration"}"#;
        for (status, headers, body, expected) in [
            (403, &[("retry-after", "7")][..], secondary, (true, Some(7))),
            (403, &[], secondary, (true, Some(60))),
            (403, &[used_up, ("x-ratelimit-reset", "630"), date], "", (true, Some(30))),
            (403, &[used_up, ("x-ratelimit-reset", "1"), date], "", (true, Some(0))),
            (
                403,
                &[("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", "630")],
                denied,
                (false, None),
            ),
            (429, &[], "", (true, None)),
            (429, &[], secondary, (true, Some(60))),
            (404, &[("retry-after", "7")], secondary, (false, None)),
        ] {
            assert_eq!(said(status, headers, body), expected, "{status} {headers:?} {body}");
        }
    }
}
