//! Images in folders and files, with the names that skopeo and podman use.
//! <https://github.com/containers/image/blob/main/docs/containers-transports.5.md>

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use super::{Reference, Tag};
use crate::digest::Digest;

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A folder. <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>
    Layout,
    /// The same folder as a tar file.
    OciArchive,
    /// A tar file as `docker save` writes it.
    DockerArchive,
}

impl Form {
    /// How the names of images begin that are stored so.
    fn prefix(self) -> &'static str {
        match self {
            Form::Layout => "oci:",
            Form::OciArchive => "oci-archive:",
            Form::DockerArchive => "docker-archive:",
        }
    }
}

/// `oci:DIR`, `oci-archive:FILE` or `docker-archive:FILE`, and one of the images there: `:TAG`,
/// `@sha256:…`, or the only one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub form: Form,
    pub path: PathBuf,
    pub tag: Option<Tag>,
    pub digest: Option<Digest>,
}

impl Stored {
    /// Parses the name of a stored image; `None` where the text has none of its prefixes.
    pub fn parse(text: &str) -> Option<Result<Stored>> {
        let mut forms = Form::value_variants().iter();
        let (form, rest) =
            forms.find_map(|form| Some((*form, text.strip_prefix(form.prefix())?)))?;
        Some(Stored::of(form, rest))
    }

    fn of(form: Form, rest: &str) -> Result<Stored> {
        let (rest, digest) = match rest.rsplit_once("@sha256:") {
            Some((rest, hex)) => (rest, Some(Digest::parse(&format!("sha256:{hex}"))?)),
            None => (rest, None),
        };
        // The part after the last colon belongs to the path if it has a slash, or if only one
        // letter precedes the colon: a drive of Windows.
        let tagged = rest
            .rsplit_once(':')
            .filter(|(path, tag)| !tag.contains(['/', '\\']) && (path.len() > 1 || !cfg!(windows)));
        let (path, tag) = match tagged {
            Some((path, tag)) => (path, Some(Tag::parse(tag)?)),
            None => (rest, None),
        };
        ensure!(!path.is_empty(), "no path is named; one looks like oci:build/image");
        Ok(Stored { form, path: PathBuf::from(path), tag, digest })
    }

    /// The only image at a path.
    pub fn at(form: Form, path: &Path) -> Stored {
        Stored { form, path: path.to_owned(), tag: None, digest: None }
    }

    /// The same with its path relative to `dir`.
    pub fn anchored(self, dir: &Path) -> Stored {
        Stored { path: dir.join(&self.path), ..self }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.form.prefix(), self.path.display())?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// Any place of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    Stored(Stored),
    Registry(Reference),
}

impl Location {
    /// Parses the name of a stored image or of one in a registry, which may begin with skopeo's
    /// `docker://`.
    pub fn parse(text: &str) -> Result<Location> {
        if let Some(stored) = Stored::parse(text) {
            return stored.map(Location::Stored);
        }
        let name = text.strip_prefix("docker://").unwrap_or(text);
        Reference::parse(name).map(Location::Registry)
    }

    /// The same with its path, if it has one, relative to `dir`.
    pub fn anchored(self, dir: &Path) -> Location {
        match self {
            Location::Stored(stored) => Location::Stored(stored.anchored(dir)),
            registry @ Location::Registry(_) => registry,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Stored(stored) => stored.fmt(f),
            Location::Registry(reference) => reference.fmt(f),
        }
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_image_is_read_as_it_is_written() {
        let hex = "ab".repeat(32);
        let digest = format!("oci:x/y:1.0@sha256:{hex}");
        for text in [
            "oci:dist/images/tool",
            "oci:/abs/x:1.2.3",
            "oci-archive:a b.tar:latest",
            "docker-archive:../x.tar",
            "oci:dir:with/colon",
            &digest,
        ] {
            assert_eq!(Stored::parse(text).unwrap().unwrap().to_string(), text);
        }
        let of = |text| Stored::parse(text).unwrap().unwrap();
        assert_eq!(of("oci:x:1").tag, Some(Tag::parse("1").unwrap()));
        assert_eq!(of("oci:x:1/y").path, Path::new("x:1/y"));
        for text in ["alpine", "docker://alpine", "oci", "ghcr.io/oci:1"] {
            assert!(Stored::parse(text).is_none(), "{text}");
        }
        for text in ["oci:", "oci::tag", "oci:x:..", "oci:x@sha256:12"] {
            assert!(Stored::parse(text).unwrap().is_err(), "{text}");
        }
    }
}
