//! What can go wrong between the tool and a registry, and what is left then. A proxy
//! before a real registry makes it go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::world::kept::shared_dir;
use crate::world::proxy::{Proxy, ask};
use crate::world::registries::{Registry, digest_at, encoded, write_logins};
use crate::world::running::{ended, start, unclear};
use crate::world::sketch::{INDEX, Layout, MANIFEST, TAR, file, index, tar};
use crate::world::{Run, World, sha256};

mod answers;
mod downloads;
mod early;
mod kills;
mod limits;
mod secrets;
mod signing;
mod table;
mod tls;
mod uploads;

/// Who may use the proxies that ask for logins.
const USER: &str = "me";
const PASSWORD: &str = "canary-hunter2";

/// An image in a folder.
struct Image {
    dir: PathBuf,
    digest: String,
}

impl Image {
    /// `oci:DIR`
    fn stored(&self) -> String {
        format!("oci:{}", self.dir.display())
    }

    fn read(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").unwrap();
        fs::read(self.dir.join("blobs/sha256").join(hex)).unwrap()
    }

    /// The digests of all blobs that are not manifests, with their sizes.
    fn blobs(&self) -> BTreeMap<String, u64> {
        let mut blobs = BTreeMap::new();
        let mut add = |of: &Value| {
            let digest = of["digest"].as_str().unwrap().to_owned();
            blobs.insert(digest, of["size"].as_u64().unwrap());
        };
        for digest in self.manifests() {
            let manifest: Value = serde_json::from_slice(&self.read(&digest)).unwrap();
            add(&manifest["config"]);
            manifest["layers"].as_array().unwrap().iter().for_each(&mut add);
        }
        blobs
    }

    /// The digests of the manifests of all platforms.
    fn manifests(&self) -> Vec<String> {
        let index: Value = serde_json::from_slice(&self.read(&self.digest)).unwrap();
        let Some(manifests) = index["manifests"].as_array() else {
            return vec![self.digest.clone()];
        };
        manifests.iter().map(|of| of["digest"].as_str().unwrap().to_owned()).collect()
    }
}

/// A small image for two platforms, made by the tool, in a layout that all tests share.
fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let world = World::empty();
        let more = "[package.metadata.dockless.image]\nbase = \"scratch\"\n\
                    files = [{ from = \"LICENSE\", to = \"/LICENSE\" }]\n";
        world.package("", "tool", "1.0.0", more);
        // So long that it can be cut.
        let license: String = (0..500_u32).map(|at| sha256(&at.to_le_bytes())).collect();
        world.file("LICENSE", &license).lock();
        let dir = shared_dir().join("image");
        let made = world.run(&format!("image -q --output oci:{}", dir.display()));
        let digest = made.ends_with(0).line().rsplit_once('@').unwrap().1.to_owned();
        Image { dir, digest }
    })
}

/// Another image for both, which tags may have pointed at before.
fn old_image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let layout = Layout::at(&shared_dir().join("old"));
        let images = ["amd64", "arm64"].map(|of| layout.image_for(of, &[&tar(&[file("of", of)])]));
        let descriptor = layout.json(INDEX, &index(&images));
        layout.name(std::slice::from_ref(&descriptor));
        Image { dir: layout.dir, digest: descriptor["digest"].as_str().unwrap().to_owned() }
    })
}

const MIB: u64 = 1 << 20;

/// An image with one layer of so many MiB, no eight bytes of which are the same: what
/// is put together in a wrong way is another layer.
fn large(name: &str, mib: u64) -> Image {
    let layout = Layout::at(&shared_dir().join(name));
    let content: Vec<u8> = (0..mib * MIB / 8).flat_map(u64::to_le_bytes).collect();
    let layer = tar(&[file("large", content)]);
    let config = layout.config(&[&layer]);
    let layers = [layout.put(TAR, &layer)];
    let descriptor = layout.manifest(&config, &layers);
    layout.name(std::slice::from_ref(&descriptor));
    Image { dir: layout.dir, digest: descriptor["digest"].as_str().unwrap().to_owned() }
}

/// A folder with settings that give up soon, and nothing to build.
fn impatient() -> World {
    with_retries(3)
}

/// The same with so many tries more than one.
fn with_retries(retries: u32) -> World {
    let network = format!("timeout = 1\nretries = {retries}\n");
    let metadata = format!("[workspace.metadata.dockless.network]\n{network}");
    World::workspace(&[("tool", "1.0.0")], &metadata)
}

/// The tool with a login for the proxy in its own folder of logins.
fn tool(world: &World, proxy: &Proxy, args: &str) -> Command {
    with_login(world, &proxy.host, (USER, PASSWORD), args)
}

/// The same with a login for any registry.
fn with_login(world: &World, host: &str, (user, password): (&str, &str), args: &str) -> Command {
    let logins = serde_json::json!({ "auths": { host: { "auth": encoded(user, password) } } });
    let folder = format!("logins/{}", host.replace(':', "-"));
    let file = write_logins(world, &folder, &logins.to_string());
    let mut tool = world.tool(args.split(' '));
    tool.env("DOCKER_CONFIG", file.parent().unwrap());
    tool
}

/// Requires one clear error.
#[track_caller]
fn fails(run: &Run) -> &Run {
    assert_eq!(unclear(run), None);
    run
}

/// What a tag points at.
fn tagged(host: &str, repository: &str, tag: &str) -> Option<String> {
    digest_at(host, &format!("{repository}:{tag}"))
}

/// Pushes an image without the tool.
fn push_by_hand(host: &str, repository: &str, tag: &str, image: &Image) {
    for digest in image.blobs().keys() {
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let begun = ask(host, "POST", &uploads, &[], b"");
        let location = begun.header("location").unwrap();
        let path = location.strip_prefix(&format!("http://{host}")).unwrap();
        let done = ask(host, "PUT", &format!("{path}&digest={digest}"), &[], &image.read(digest));
        assert_eq!(done.status, 201, "{done:?}");
    }
    let put = |reference: &str, digest: &str| {
        let bytes = image.read(digest);
        let parsed: Value = serde_json::from_slice(&bytes).unwrap();
        let kind = [("Content-Type", parsed["mediaType"].as_str().unwrap())];
        let done =
            ask(host, "PUT", &format!("/v2/{repository}/manifests/{reference}"), &kind, &bytes);
        assert_eq!(done.status, 201, "{done:?}");
    };
    for digest in image.manifests() {
        put(&digest, &digest);
    }
    put(tag, &image.digest);
}

/// Requires that a tag points at this image, and that all of it is there.
#[track_caller]
fn assert_pushed(world: &World, host: &str, repository: &str, tag: &str, image: &Image) {
    assert_eq!(tagged(host, repository, tag).as_ref(), Some(&image.digest), "{repository}:{tag}");
    let valid = world.run(&format!("image validate {host}/{repository}:{tag}"));
    assert_eq!(valid.ends_with(0).line(), image.digest);
}

/// The files below a folder that hold one of these texts.
fn holding(dir: &Path, secrets: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(holding(&path, secrets));
        } else if let Ok(bytes) = fs::read(&path) {
            let holds = |secret: &String| memchr::memmem::find(&bytes, secret.as_bytes()).is_some();
            found.extend(secrets.iter().any(holds).then_some(path));
        }
    }
    found
}
