//! Images that were made, and those that were pushed.

use std::time::Duration;

use anyhow::Result;

use crate::oci::Root;
use crate::plan::ImagePlan;
use crate::reference::Repository;
use crate::registry::{Naming, Pushed, Registry};

/// An image that was made of a plan.
#[derive(Clone, Debug)]
pub struct Image {
    pub plan: ImagePlan,
    pub root: Root,
    /// How long it took to make.
    pub time: Duration,
}

impl Image {
    /// Pushes it to each of its repositories; `own` says when its own manifest goes up.
    pub fn push(&self, registry: &Registry<'_>, own: Naming) -> Result<PushedImage<'_>> {
        let mut at: Vec<Pushed> = Vec::new();
        for to in self.plan.destinations() {
            let others: Vec<Repository> = at.iter().map(|it| it.repository().clone()).collect();
            at.push(registry.push(&self.root, to, &self.plan.tags(to), &others, own)?);
        }
        Ok(PushedImage { image: self, at })
    }
}

/// An image and where it was pushed, which only a push can say.
#[derive(Debug)]
pub struct PushedImage<'a> {
    image: &'a Image,
    at: Vec<Pushed>,
}

impl<'a> PushedImage<'a> {
    pub fn image(&self) -> &'a Image {
        self.image
    }

    /// One for each repository.
    pub fn at(&self) -> &[Pushed] {
        &self.at
    }
}
