//! The binaries of a run, and which of them is meant.

use anyhow::{Context, Result};

use super::Binary;
use crate::target::Target;

/// All that was built and proved.
#[derive(Clone, Debug, Default)]
pub struct Binaries(pub Vec<Binary>);

impl Binaries {
    /// The binary of a package for a target, by its name.
    pub fn get(&self, package: &str, target: &Target, bin: &str) -> Result<&Binary> {
        let named = self.of(package, target).find(|binary| binary.compiled().bin() == bin);
        named.with_context(|| format!("no binary {bin} of {package} was made for {target}"))
    }

    /// All binaries of a package for a target.
    pub fn of(&self, package: &str, target: &Target) -> impl Iterator<Item = &Binary> {
        self.0.iter().filter(move |binary| {
            let compiled = binary.compiled();
            compiled.package() == package && compiled.target() == target
        })
    }

    /// Whether a package was built for a target.
    pub fn has(&self, package: &str, target: &Target) -> bool {
        self.of(package, target).next().is_some()
    }

    /// What they take together, in bytes.
    pub fn size(&self) -> u64 {
        self.0.iter().map(Binary::size).sum()
    }
}
