//! Images that are small and take much: memory, or time.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::world::running::within;
use crate::world::sha256;

/// In KiB of address space: what a run may take, which reads no more than some MiB of each.
const SPACE: u64 = 1_500_000;

fn commands(world: &World, layout: &Layout) -> [String; 3] {
    let (image, out) = (layout.dir.display(), world.outside("out"));
    [
        format!("image validate oci:{image}"),
        format!("image inspect oci:{image}"),
        format!("image copy oci:{image} oci:{}", out.display()),
    ]
}

/// An index that names the same image so many times.
fn repeated(layout: &Layout, image: &Value, times: usize) {
    let mut entry = image.clone();
    entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    layout.name(&[layout.json(INDEX, &index(&vec![entry; times]))]);
}

#[test]
fn an_index_that_names_much_takes_no_memory() {
    let world = World::empty();
    let long = "y".repeat(4_000_000);
    let large_config = |layout: &Layout| {
        let config = json!({
            "os": "linux", "architecture": "amd64", "config": { "Labels": { "x": long } },
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        layout.json(CONFIG, &config)
    };
    type Case<'a> = (&'a str, &'a dyn Fn(&Layout), Option<&'a str>);
    let cases: &[Case<'_>] = &[
        (
            "one large manifest with a large config",
            &|layout| {
                let mut of = manifest(&large_config(layout), &[]);
                of["annotations"] = json!({ "x": long });
                repeated(layout, &layout.json(MANIFEST, &of), 1000);
            },
            Some("more than 33554432 bytes together"),
        ),
        (
            "one large config",
            &|layout| {
                let of = layout.json(MANIFEST, &manifest(&large_config(layout), &[]));
                repeated(layout, &of, 1000);
            },
            Some("more than 33554432 bytes together"),
        ),
        (
            "different manifests with one config",
            &|layout| {
                let config = large_config(layout);
                let all: Vec<Value> = (0..100)
                    .map(|at| {
                        let mut of = manifest(&config, &[]);
                        of["annotations"] = json!({ "at": at.to_string() });
                        layout.json(MANIFEST, &of)
                    })
                    .collect();
                layout.name(&[layout.json(INDEX, &index(&all))]);
            },
            Some("more than 33554432 bytes together"),
        ),
        (
            "sizes that are not so",
            &|layout| {
                let mut of = layout.image(&[&tar(&[file("a", "a")])]);
                of["size"] = u64::MAX.into();
                repeated(layout, &of, 3);
            },
            Some("bytes"),
        ),
        (
            "steps of nothing",
            &|layout| {
                let history = vec![json!({}); 1_300_000];
                let config = json!({
                    "os": "linux", "architecture": "amd64", "history": history,
                    "rootfs": { "type": "layers", "diff_ids": [] },
                });
                let of = manifest(&layout.json(CONFIG, &config), &[]);
                repeated(layout, &layout.json(MANIFEST, &of), 7);
            },
            None,
        ),
        (
            "a usual image, as often as may be",
            &|layout| repeated(layout, &layout.image(&[&tar(&[file("a", "a")])]), 1000),
            None,
        ),
    ];
    for (what, make, why) in cases {
        let layout = Layout::at(&world.outside("layout"));
        make(&layout);
        for args in commands(&world, &layout) {
            let run = run(&mut within(&world.tool(args.split(' ')), SPACE));
            match why {
                Some(why) => {
                    assert_eq!(run.code, Some(1), "{what}: {args}: {}", run.stderr);
                    run.says(why);
                }
                None => assert_eq!(run.code, Some(0), "{what}: {args}: {}", run.stderr),
            }
        }
        fs::remove_dir_all(&layout.dir).unwrap();
        fs::remove_dir_all(world.outside("out")).ok();
    }
}

/// Layers of zeros, a thousand bytes for each of theirs.
#[test]
fn a_layer_that_gives_more_than_any_is_not_read_to_its_end() {
    let world = World::empty();
    let mut one = GzEncoder::new(Vec::new(), Compression::best());
    one.write_all(&vec![0; 64 << 20]).unwrap();
    let one = one.finish().unwrap();
    for (what, members, layers, works) in [
        ("a layer of some zeros", 4, 1, true),
        ("a layer of zeros", 30, 1, false),
        ("many of them", 10, 6, false),
    ] {
        let layout = Layout::at(&world.outside("layout"));
        let blobs: Vec<Vec<u8>> = (0..layers)
            .map(|at| [vec![one.clone(); members].concat(), gzip(&[at])].concat())
            .collect();
        let mut diff_ids = Vec::new();
        for at in 0..layers {
            let plain = [vec![0; members * (64 << 20)], vec![at]].concat();
            diff_ids.push(format!("sha256:{}", sha256(&plain)));
        }
        let config = json!({
            "os": "linux", "architecture": "amd64",
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let layers: Vec<Value> = blobs.iter().map(|blob| layout.put(GZIP, blob)).collect();
        let of = manifest(&layout.json(CONFIG, &config), &layers);
        layout.name(&[layout.json(MANIFEST, &of)]);
        let args = format!("image validate oci:{}", layout.dir.display());
        let run = run(&mut within(&world.tool(args.split(' ')), SPACE));
        match works {
            true => drop(run.ends_with(0)),
            false => drop(run.ends_with(1).says("unpacks to more than 200 times its size")),
        }
        fs::remove_dir_all(&layout.dir).unwrap();
        assert!(!what.is_empty());
    }
}
