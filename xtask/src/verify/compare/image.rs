//! Where two images differ: the manifest, the config, or an entry of a layer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::entries::{self, Holder};
use super::{Found, UNKNOWN, json};
use crate::oci::{self, Image, Root};

/// Compares two images, or two indexes with all of their images.
pub fn compare(place: &str, published: &Root, rebuilt: &Root, found: &mut Found) {
    if published.digest() == rebuilt.digest() {
        damaged(place, published, found);
        return;
    }
    let before = found.len();
    match (published, rebuilt) {
        (Root::Index(ours), Root::Index(theirs)) => {
            // What an index says of an image that differs follows from the image.
            let follows = |pointer: &str| {
                pointer.starts_with("/manifests/")
                    && (pointer.ends_with("/digest") || pointer.ends_with("/size"))
            };
            let place_of = format!("{place}: index");
            let bytes = (&*ours.manifest.bytes, &*theirs.manifest.bytes);
            documents(&place_of, bytes.0, bytes.1, &follows, found);
            let mut others: BTreeMap<String, &Image> =
                theirs.images.iter().map(|(of, image)| (of.to_string(), image)).collect();
            for (platform, image) in &ours.images {
                let place = format!("{place}: {platform}");
                match others.remove(&platform.to_string()) {
                    Some(other) => one(&place, image, other, found),
                    None => found.add(&place, "only in the published one", UNKNOWN),
                }
            }
            for platform in others.keys() {
                found.add(&format!("{place}: {platform}"), "only in the rebuilt one", UNKNOWN);
            }
        }
        (Root::Image(ours), Root::Image(theirs)) => one(place, ours, theirs, found),
        _ => {
            let what = "an index of several images in one, and an image in the other";
            found.add(place, what, "other platforms");
        }
    }
    if found.len() == before {
        let what = format!("{} in the published one, {}", published.digest(), rebuilt.digest());
        found.add(place, what, UNKNOWN);
    }
}

/// Compares the images for one platform.
fn one(place: &str, published: &Image, rebuilt: &Image, found: &mut Found) {
    if published.manifest.digest() == rebuilt.manifest.digest() {
        return;
    }
    let before = found.len();
    // What a manifest says of a part that differs follows from the part.
    let follows = |pointer: &str| {
        let part = pointer.starts_with("/config/") || pointer.starts_with("/layers/");
        part && (pointer.ends_with("/digest") || pointer.ends_with("/size"))
    };
    let (ours, theirs) = (&published.manifest.bytes, &rebuilt.manifest.bytes);
    documents(&format!("{place}: manifest"), ours, theirs, &follows, found);
    let follows = |pointer: &str| pointer.starts_with("/rootfs/diff_ids/");
    let (ours, theirs) = (&published.config.bytes, &rebuilt.config.bytes);
    documents(&format!("{place}: config"), ours, theirs, &follows, found);
    for at in 0..published.layers.len().max(rebuilt.layers.len()) {
        let place = format!("{place}: layer {}", at + 1);
        match (published.layers.get(at), rebuilt.layers.get(at)) {
            (Some(a), Some(b)) if a.descriptor.digest != b.descriptor.digest => {
                entries::compare(&place, Holder::Layer(a), Holder::Layer(b), found);
            }
            (Some(_), None) => found.add(&place, "only in the published one", UNKNOWN),
            (None, Some(_)) => found.add(&place, "only in the rebuilt one", UNKNOWN),
            _ => {}
        }
    }
    if found.len() == before {
        let (ours, theirs) = (published.manifest.digest(), rebuilt.manifest.digest());
        let what = format!("the manifest {ours} in the published one, {theirs} in the rebuilt");
        found.add(place, what, UNKNOWN);
    }
}

/// Compares two documents of images, which are small.
fn documents(
    place: &str,
    published: &[u8],
    rebuilt: &[u8],
    follows: &dyn Fn(&str) -> bool,
    found: &mut Found,
) {
    if published == rebuilt {
        return;
    }
    let parsed = |bytes: &[u8]| oci::parse::<Value>(bytes, "the document");
    match (parsed(published), parsed(rebuilt)) {
        (Ok(ours), Ok(theirs)) if ours == theirs => {
            let what = "the same values, but other spaces, another order of keys, or a key twice";
            found.add(place, what, "another program wrote it");
        }
        (Ok(ours), Ok(theirs)) => json::compare(place, "", &ours, &theirs, follows, found),
        (Err(error), _) | (_, Err(error)) => {
            found.add(place, format!("it cannot be read: {error:#}"), UNKNOWN);
        }
    }
}

/// Finds blobs of the published image that do not have their digests: nothing else of an image
/// with the right digest can differ.
fn damaged(place: &str, published: &Root, found: &mut Found) {
    for (digest, size, blob) in published.blobs() {
        if let Err(error) = blob.copy(&digest, size, std::io::sink()) {
            let what = format!("the published one cannot be read: {error:#}");
            found.add(&format!("{place}: blob {digest}"), what, "it is damaged");
        }
    }
}
