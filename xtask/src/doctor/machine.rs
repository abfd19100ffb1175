//! What is asked of the machine: room, cache, certificates, proxies, and the clock.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::{Row, fix};
use crate::cache::Cache;
use crate::files;
use crate::finding::{Finding, Place};
use crate::http::{Http, NamedProxy, Network};
use crate::oci;
use crate::preflight;
use crate::process::Env;
use crate::term;

/// How long a proxy may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How far a clock may be off before anybody minds.
const SKEW: Duration = Duration::from_secs(300);
/// After so many days certificates and time zones are likely to have changed.
const OLD: i32 = 365;

/// The machine, as it was found.
pub struct Here<'a> {
    /// The folders that builds and releases write to.
    pub folders: Vec<&'a Path>,
    pub cache: &'a Cache,
    pub http: &'a Http<'a>,
    pub network: Network,
    /// Whether the environment names the certificates.
    pub ca_is_named: bool,
}

pub fn look(here: &Here<'_>) -> Vec<Row> {
    let mut rows = room(&here.folders);
    rows.push(cache(here.cache));
    rows.push(certificates(here));
    rows.extend(proxies(here));
    rows
}

fn room(folders: &[&Path]) -> Vec<Row> {
    let row = |folder: &&Path| {
        let name = format!("disk of {}", folder.display());
        match preflight::room(folder) {
            Ok((_, Some(finding))) => Row::of(name, &finding),
            Ok((Some(left), None)) => Row::ok(name, format!("{} free", term::size(left))),
            Ok((None, None)) => Row::not_looked_at(name, "the system does not tell"),
            Err(error) => Row::of(name, &Finding::of("disk", Place::default(), &error)),
        }
    };
    folders.iter().map(row).collect()
}

fn cache(cache: &Cache) -> Row {
    match cache.look() {
        Ok((root, size)) => {
            Row::ok("cache", format!("{}, {}, writable", root.display(), term::size(size)))
        }
        Err(error) => {
            let why = format!("nothing is kept for later runs: {error:#}");
            let fix = match std::env::consts::OS {
                "windows" => "set DOCKLESS_CACHE to a folder that can be written",
                _ => "run `export DOCKLESS_CACHE=\"$(mktemp -d)\"`, or name a folder that stays",
            };
            Row::warning("cache", why, fix)
        }
    }
}

fn certificates(here: &Here<'_>) -> Row {
    match here.http.trust() {
        Ok((count, of)) => Row::ok("CA certificates", format!("{count}, of {of}")),
        Err(error) => {
            let fix = match here.ca_is_named {
                true => "run `unset SSL_CERT_FILE`, or name a file with PEM certificates",
                false => "correct the file, or name another one as `ca`",
            };
            Row::error("CA certificates", format!("{error:#}"), fix)
        }
    }
}

/// The proxies of the environment, each with its address, which others may see, and no login.
fn proxies(here: &Here<'_>) -> Vec<Row> {
    let named = here.http.proxies().named();
    if named.is_empty() {
        return vec![Row::ok("proxy", "none is set")];
    }
    let row = |proxy: &NamedProxy| {
        let variable = proxy.variable;
        let name = format!("proxy of {variable}");
        let fix = format!("run `unset {variable}`, or set it to a proxy that works");
        let place = match &proxy.place {
            Ok(place) => place,
            Err(error) => return Row::error(name, format!("{error:#}"), fix),
        };
        if here.network == Network::Offline {
            return Row::not_looked_at(name, format!("{place}; --offline forbids connecting"));
        }
        match proxy.reach(CONNECT) {
            Ok(()) => Row::ok(name, format!("{place} accepts connections")),
            Err(error) => Row::error(name, format!("{error:#}"), fix),
        }
    };
    named.iter().map(row).collect()
}

/// How old the lists are that images and programs get from this one.
pub fn lists() -> Vec<Row> {
    let row = |(label, version): (String, String)| {
        let name = match &*label {
            "dockless.tzdata" => "builtin time zones",
            _ => "builtin CA list",
        };
        // `webpki-root-certs 1.0.11 (2026-10-23)`, or IANA's `2026a`.
        let day = version.rsplit_once(" (").map_or(&*version, |(_, day)| day.trim_end_matches(')'));
        let row = match age(day) {
            Some(days) if days > OLD => Row::warning(
                name,
                format!("{days} days old; images on the builtin base get it"),
                "run `cargo install dockless`, or `cargo update dockless` where it is a dependency",
            ),
            Some(days) => Row::ok(name, format!("{version}, {days} days old at most")),
            None => Row::ok(name, version.clone()),
        };
        row.version(day)
    };
    oci::builtin_labels().into_iter().map(row).collect()
}

/// The age in days of a list of `2026-10-23`, or of IANA's `2026a`, whose year is known.
fn age(version: &str) -> Option<i32> {
    let year =
        || version.get(..4)?.parse().ok().and_then(|year| jiff::civil::Date::new(year, 1, 1).ok());
    let day = version.parse().ok().or_else(year)?;
    files::today().ok()?.since(day).ok().map(|span| span.get_days())
}

/// The clock: against the last server that said its time, and against the last commit.
pub fn clock(http: &Http<'_>, commit: Option<Timestamp>, env: &Env) -> Row {
    if let Some(time) = commit.map(SystemTime::from).filter(|time| files::until(*time) > SKEW) {
        let why = format!("the last commit is {} in the future", span(files::until(time)));
        return Row::warning("clock", why, fix::clock(env));
    }
    let Some(clock) = http.clock() else {
        let commit = if commit.is_some() { "; it is not before the last commit" } else { "" };
        return Row::not_looked_at("clock", format!("no server said its time{commit}"));
    };
    let (late, early) = (files::until(clock.time), files::age(clock.time));
    let off = late.max(early);
    if off <= SKEW {
        return Row::ok("clock", format!("as {} says", clock.origin));
    }
    let way = if late > early { "behind" } else { "ahead of" };
    let why = format!("it is {} {way} that of {}", span(off), clock.origin);
    Row::warning("clock", format!("{why}: logins and certificates may be refused"), fix::clock(env))
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_of_days_and_of_years() {
        assert!(age("2020-01-01").unwrap() > 2000);
        assert!(age("2020a").unwrap() >= age("2020-01-01").unwrap());
        for version in ["", "x", "20", "éééé"] {
            assert_eq!(age(version), None, "{version}");
        }
    }

    #[test]
    fn spans_read_well() {
        for (seconds, expected) in [(600, "10 min"), (7200, "2 h"), (864_000, "10 days")] {
            assert_eq!(span(Duration::from_secs(seconds)), expected);
        }
    }
}
