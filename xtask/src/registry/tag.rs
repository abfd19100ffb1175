//! Tags. They are moved last, when everything that they name exists.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use super::{Pushed, Registry, status};
use crate::finding::Help;
use crate::parallel;
use crate::reference::{Reference, Tag};

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
        let put = self.put_own(pushed, &site.tag(tag));
        let put = put.map_err(|error| match (before, status(&error)) {
            (Some(other), Some(400..=499)) => error.context(Help(format!(
                "the tag names {other} and may not be moved: use another tag"
            ))),
            _ => error,
        });
        put.with_context(context)?;
        let confirmed = self.confirm_tag(site, tag, pushed.digest(), before.as_ref());
        confirmed.with_context(context)?;
        Ok(Tagged::Moved(reference))
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
