//! Tags, which are moved last: by then all is there that they point at.

use anyhow::{Context, Result};

use super::{Access, Pushed, Registry, status};
use crate::finding::Help;
use crate::reference::{Reference, Tag};

/// What became of a tag that was to name an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagged {
    Moved(Reference),
    /// It named the image already.
    Unchanged(Reference),
}

impl Registry<'_> {
    /// Makes the tag name the pushed image, unless it does so already: some registries
    /// let no tag be written twice, not even with the same.
    pub fn tag(&self, pushed: &Pushed, tag: &Tag) -> Result<Tagged> {
        let reference = pushed.repository().tagged(tag);
        let context = || format!("tag {reference}");
        let site = self.site(pushed.repository(), Access::Push, &[]).with_context(context)?;
        let before = match pushed.before(tag) {
            Some(known) => known,
            None => self.tagged(&site, tag).with_context(context)?,
        };
        if before.as_ref() == Some(pushed.digest()) {
            return Ok(Tagged::Unchanged(reference));
        }
        let put = self.put_at(&site, pushed.manifest(), &site.tag(tag));
        let put = put.map_err(|error| match (before, status(&error)) {
            (Some(other), Some(400..=499)) => error.context(Help(format!(
                "the tag names {other} and may not be moved there: use another tag"
            ))),
            _ => error,
        });
        put.with_context(context)?;
        let there = self.confirm_tag(&site, tag, pushed.digest(), before.as_ref());
        there.with_context(context)?;
        Ok(Tagged::Moved(reference))
    }

    /// The version that another image than the pushed one, under a tag beside it, says
    /// that it has.
    pub fn version_of_other(&self, pushed: &Pushed, tag: &Tag) -> Result<Option<String>> {
        // Asked only now: another release may have been made while this one was pushed.
        let site = self.site(pushed.repository(), Access::Push, &[])?;
        let there = self.tagged(&site, tag)?;
        match there {
            Some(there) if there != *pushed.digest() => {
                Ok(self.pull(&pushed.repository().at(&there), &[])?.root.version())
            }
            _ => Ok(None),
        }
    }
}
