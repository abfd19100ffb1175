//! How long to wait before another try, and when to give up.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use jiff::fmt::rfc2822;
use ureq::http::HeaderMap;

use super::limits::{LONGEST_WAIT, TOTAL_WAIT};
use super::{Fault, Http, HttpError, locked};
use crate::files;

/// The wait before the second try. It doubles with each further try.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait that no server asked for.
const LONGEST: Duration = Duration::from_secs(10);

/// The tries that are left for one piece of work.
pub struct Patience<'a> {
    http: &'a Http<'a>,
    all: u32,
    used: u32,
}

impl<'a> Patience<'a> {
    pub fn new(http: &'a Http<'a>) -> Patience<'a> {
        Patience { http, all: http.settings.retries, used: 0 }
    }

    /// Allows all tries again, after progress.
    pub fn renew(&mut self) {
        self.used = 0;
    }

    /// Waits even if the error is not transient, provided that the caller has `mended` its
    /// cause.
    pub fn wait_if(&mut self, mended: bool, error: HttpError) -> Result<(), HttpError> {
        if !mended || self.used >= self.all || error.is_transient() {
            return self.wait(error);
        }
        self.http.sleep(backoff(self.used, random()));
        self.used += 1;
        Ok(())
    }

    /// Waits before another try. Returns the error if no try is left or none can help.
    pub fn wait(&mut self, error: HttpError) -> Result<(), HttpError> {
        let error = HttpError { tries: self.used + 1, ..error };
        if !error.is_transient() || self.used >= self.all || self.http.stopped() {
            return Err(error);
        }
        let own = backoff(self.used, random());
        let asked = error.wait_asked();
        if let Some(asked) = asked
            && (asked > LONGEST_WAIT || !locked(&self.http.waits).take(asked, Instant::now()))
        {
            let why = if asked > LONGEST_WAIT {
                format!("the server asks to wait for {} s", asked.as_secs())
            } else {
                format!("servers asked to wait for {} s together", TOTAL_WAIT.as_secs())
            };
            let why = format!("{why}: run again after that");
            return Err(HttpError { fault: Fault::Permanent(why), ..error });
        }
        self.used += 1;
        let wait = asked.unwrap_or(own).max(own);
        match asked {
            Some(_) => self.http.term.step(
                "wait",
                format_args!("{:.0} s, as asked: {error}", wait.as_secs_f64().ceil()),
            ),
            None => {
                self.http.term.detail(format_args!("again in {} ms: {error}", wait.as_millis()))
            }
        }
        self.http.sleep(wait);
        Ok(())
    }
}

/// The waits that servers asked for in this run. Concurrent ones count once.
#[derive(Default)]
pub struct Waits {
    until: Option<Instant>,
    all: Duration,
}

impl Waits {
    /// Adds a wait, and returns whether the total is within the limit.
    fn take(&mut self, wait: Duration, now: Instant) -> bool {
        let end = now + wait;
        let begin = self.until.map_or(now, |until| until.max(now));
        self.all += end.saturating_duration_since(begin);
        self.until = Some(begin.max(end));
        self.all <= TOTAL_WAIT
    }
}

/// A random wait from half of the step to all of it, so that clients do not retry together.
fn backoff(used: u32, random: u64) -> Duration {
    let step = FIRST.saturating_mul(1 << used.min(10)).min(LONGEST);
    step.mul_f64(0.5 + (random % 1000) as f64 / 2000.0)
}

/// The random seed of the standard library's maps. It suffices to spread waits.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl HttpError {
    /// How long the server asks to wait, where it does.
    pub fn wait_asked(&self) -> Option<Duration> {
        self.rate_limit().or_else(|| match self.status() {
            Some(403 | 429 | 503) => self.retry_after(),
            _ => None,
        })
    }

    /// The header Retry-After: seconds, or until a date.
    /// <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        Some(self.time_until(date(text)?))
    }

    /// The time until then by the server's clock, which this machine's may not agree with.
    pub fn time_until(&self, then: SystemTime) -> Duration {
        match self.header("date").and_then(date) {
            Some(from) => then.duration_since(from).unwrap_or(Duration::ZERO),
            None => files::until(then),
        }
    }
}

/// The time that a server says it is.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1>
pub fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    date(headers.get("date")?.to_str().ok()?)
}

fn date(text: &str) -> Option<SystemTime> {
    let zoned = rfc2822::parse(text.trim()).ok()?;
    Some(SystemTime::from(zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use ureq::http::{HeaderName, HeaderValue};

    use super::super::{Origin, Scheme};
    use super::*;

    #[test]
    fn waits_grow_and_are_spread() {
        for (used, low, high) in [(0, 100, 200), (1, 200, 400), (3, 800, 1600), (30, 5000, 10000)] {
            for random in [0, 1, 999, u64::MAX] {
                let wait = backoff(used, random).as_millis();
                assert!((low..=high).contains(&wait), "{used}: {wait}");
            }
        }
    }

    #[test]
    fn waits_have_an_end_however_they_are_asked_for() {
        let (now, minute) = (Instant::now(), Duration::from_secs(60));
        let mut waits = Waits::default();
        // Many threads wait at the same time.
        assert!((0..1000).all(|_| waits.take(minute, now)));
        // One after the other.
        let granted = (1..100).take_while(|at| waits.take(minute, now + minute * *at)).count();
        assert_eq!(granted as u64, TOTAL_WAIT.as_secs() / 60 - 1);
    }

    fn refused(status: u16, headers: &[(&'static str, &'static str)]) -> HttpError {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        let from = Origin::new(Scheme::Https, "x").unwrap();
        let (headers, body) = (headers.into(), Vec::new());
        let fault = Fault::Status { status, from, headers, body, rate_limit: |_| None };
        HttpError { call: String::new(), fault, tries: 1 }
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let asked = |headers: &[(&'static str, &'static str)]| {
            refused(429, headers).retry_after().map(|it| it.as_secs())
        };
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(asked(&[("retry-after", "7")]), Some(7));
        assert_eq!(asked(&[("retry-after", later), ("date", date)]), Some(60));
        assert_eq!(asked(&[("retry-after", date), ("date", later)]), Some(0));
        assert_eq!(asked(&[("retry-after", date)]), Some(0));
        for text in ["", "-1", "soon", "99999999999999999999999"] {
            assert_eq!(asked(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(asked(&[]), None);
    }
}
