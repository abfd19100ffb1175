//! The clock of this machine: the time, the day, and the ages of files.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How far the clocks of this machine and of a file system may differ.
const SKEW: Duration = Duration::from_secs(300);

/// Whether a time is at most `within` ago. A time in the future was set by a wrong clock, so it
/// is not recent.
pub fn is_recent(of: SystemTime, within: Duration) -> bool {
    age(of) < within && until(of) < SKEW
}

/// How long ago a time was; zero for one in the future.
#[expect(clippy::disallowed_methods, reason = "the clock stands here, where ages are compared")]
pub fn age(of: SystemTime) -> Duration {
    SystemTime::now().duration_since(of).unwrap_or(Duration::ZERO)
}

/// How long until a time; zero for one in the past.
#[expect(clippy::disallowed_methods, reason = "the clock stands here, where ages are compared")]
pub fn until(then: SystemTime) -> Duration {
    then.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    age(SystemTime::UNIX_EPOCH).as_secs()
}

/// The time, to compare those of files with.
#[expect(clippy::disallowed_methods, reason = "the clock stands here, where ages are compared")]
pub fn clock_now() -> SystemTime {
    SystemTime::now()
}

/// Marks a file as written now, and not before `least`, whatever the clock says.
#[expect(clippy::disallowed_methods, reason = "the clock stands here, where ages are compared")]
pub fn renew(path: &Path, least: SystemTime) -> Result<()> {
    let context = || format!("set the time of {}", path.display());
    let file = fs::OpenOptions::new().append(true).open(path).with_context(context)?;
    file.set_modified(SystemTime::now().max(least)).with_context(context)
}

/// The day, in UTC.
pub fn today() -> Result<Date> {
    let seconds = i64::try_from(now()).context("read the clock")?;
    let now = Timestamp::from_second(seconds).context("read the clock")?;
    Ok(now.to_zoned(TimeZone::UTC).date())
}

/// Marks a file as used now, for caches that keep what was used recently.
#[expect(clippy::disallowed_methods, reason = "the clock stands here, where ages are compared")]
pub fn touch(file: &File) -> std::io::Result<()> {
    file.set_modified(SystemTime::now())
}

/// Marks a file as last used `age` ago.
#[expect(clippy::disallowed_methods, reason = "the clock stands here, where ages are compared")]
pub fn set_age(path: &Path, age: Duration) -> Result<()> {
    let context = || format!("touch {}", path.display());
    let file = fs::OpenOptions::new().append(true).open(path).with_context(context)?;
    file.set_modified(SystemTime::now() - age).with_context(context)
}
