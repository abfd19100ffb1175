//! Tags. They are moved last, when everything that they name exists.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Pushed, Registry, Site, Timing, status};
use crate::finding::Help;
use crate::parallel;
use crate::reference::{Reference, Tag};

/// A registry whose answers take so long is asked what the tag names before it has answered that
/// it was moved.
const FAR: Duration = Duration::from_millis(30);

/// The result of tagging an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagged {
    Moved(Reference),
    /// The tag named the image already.
    Unchanged(Reference),
}

impl Registry<'_> {
    /// Makes the tag name the pushed image. A tag that does so already is not written: some
    /// registries reject even an identical write.
    pub fn tag(&self, pushed: &Pushed, tag: &Tag) -> Result<Tagged> {
        let reference = pushed.repository().tagged(tag);
        let context = || format!("tag {reference}");
        let site = pushed.site();
        let before = match pushed.before(tag) {
            Some(known) => known,
            None => self.tagged(site, tag).with_context(context)?,
        };
        if before.as_ref() == Some(pushed.digest()) {
            return Ok(Tagged::Unchanged(reference));
        }
        let (put, is_confirmed) = self.put_and_ask(pushed, tag);
        let put = put.map_err(|error| match (before, status(&error)) {
            (Some(other), Some(400..=499)) => error.context(Help(format!(
                "the tag names {other} and may not be moved: use another tag"
            ))),
            _ => error,
        });
        put.with_context(context)?;
        if !is_confirmed {
            let confirmed = self.confirm_tag(site, tag, pushed.digest(), before.as_ref());
            confirmed.with_context(context)?;
        }
        Ok(Tagged::Moved(reference))
    }

    /// Puts the manifest under the tag. Returns too whether the registry has said meanwhile that
    /// the tag names it: one that is far away is asked a little after the manifest was sent, so
    /// that both answers come at about the same time. A question that came too early is no harm.
    fn put_and_ask(&self, pushed: &Pushed, tag: &Tag) -> (Result<()>, bool) {
        let site = pushed.site();
        let put = || self.put_own(pushed, &site.tag(tag));
        let trip = self.http.round_trip(&site.server.origin).filter(|trip| *trip >= FAR);
        let Some(trip) = trip else { return (put(), false) };
        thread::scope(|scope| {
            let (running, ended) = mpsc::channel::<()>();
            let asked = scope.spawn(move || {
                let is_running = ended.recv_timeout(trip / 4) == Err(RecvTimeoutError::Timeout);
                let site = Site { timing: Timing::Early, ..site.clone() };
                is_running
                    && matches!(self.tagged(&site, tag), Ok(Some(it)) if it == *pushed.digest())
            });
            let put = put();
            drop(running);
            (put, asked.join().unwrap_or(false))
        })
    }

    /// Does so for several tags at once. The results are in their order. After a failure no later
    /// tag begins, but earlier ones end, so that the first failure in their order is returned.
    pub fn tag_all(&self, tags: &[(&Pushed, &Tag)]) -> Result<Vec<Tagged>> {
        let failed = AtomicUsize::new(tags.len());
        let tags: Vec<_> = tags.iter().enumerate().collect();
        let ended = parallel::map(&tags, self.jobs, |(at, (pushed, tag))| {
            if *at > failed.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let tagged = self.tag(pushed, tag);
            if tagged.is_err() {
                failed.fetch_min(*at, Ordering::Relaxed);
            }
            Ok(Some(tagged))
        })?;
        ended.into_iter().flatten().collect()
    }

    /// The version of the image that a tag names, if that is not the pushed image.
    pub fn version_of_other(&self, pushed: &Pushed, tag: &Tag) -> Result<Option<String>> {
        // Another release may have moved the tag while this one was pushed.
        match self.tagged(pushed.site(), tag)? {
            Some(other) if other != *pushed.digest() => {
                Ok(self.pull(&pushed.repository().at(&other), &[])?.root.version())
            }
            _ => Ok(None),
        }
    }
}
