//! A cache of compilations that checkouts share: what one compiled, the next one takes.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{World, contents, judge, run, said};

/// A real Redis on loopback, gone when dropped.
struct Redis {
    child: Child,
    port: u16,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Redis {
    fn start(world: &World) -> Redis {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let child = command.current_dir(world.root()).stdout(Stdio::null()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "redis-server does not answer");
            sleep(Duration::from_millis(20));
        }
        Redis { child, port }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Releases a clone of its own through sccache and returns what sccache counted.
fn release(world: &World, redis: &Redis, name: &str) -> Value {
    let clone = world.outside(name);
    world.git([
        "clone",
        "--quiet",
        "--no-hardlinks",
        world.root().to_str().unwrap(),
        clone.to_str().unwrap(),
    ]);
    let port = free_port().to_string();
    let vars = [
        ("SCCACHE_REDIS_ENDPOINT", format!("redis://127.0.0.1:{}", redis.port)),
        ("SCCACHE_SERVER_PORT", port),
        ("SCCACHE_IDLE_TIMEOUT", "60".to_owned()),
        ("RUSTC_WRAPPER", "sccache".to_owned()),
        ("CARGO_NET_OFFLINE", "false".to_owned()),
    ];
    let tool = world.tool(["release", "--snapshot", "--skip", "image"]);
    let sccache = |arg: &str| {
        let mut command = world.with("sccache", [arg, "--stats-format", "json"]);
        run(command.envs(vars.clone()))
    };
    let mut command = world.with(tool.get_program(), tool.get_args());
    run(command.current_dir(&clone).envs(vars.clone())).ends_with(0);
    let stats = sccache("--show-stats").ends_with(0).json();
    run(world.with("sccache", ["--stop-server"]).envs(vars.clone()));
    stats
}

fn count(stats: &Value, what: &str) -> u64 {
    let counts = stats["stats"][what]["counts"].as_object().unwrap();
    counts.values().map(|count| count.as_u64().unwrap()).sum()
}

#[test]
fn a_second_checkout_compiles_no_crate_again() {
    if judge("sccache").is_none() || judge("redis-server").is_none() {
        return;
    }
    let world = World::empty();
    let crates = "[dependencies]\nitoa = \"=1.0.19\"\nsmallvec = \"=1.16.6\"\nsemver = \"=1.0.28\"\n\
                  hashbrown = { version = \"=0.15.5\", default-features = false }\n";
    world.package("", "app", "1.0.0", crates);
    world.file("LICENSE", "free\n");
    run(world.with("cargo", ["generate-lockfile", "--quiet"]).env("CARGO_NET_OFFLINE", "false"))
        .ends_with(0);
    world.commit();
    let redis = Redis::start(&world);
    let first = release(&world, &redis, "first");
    assert!(count(&first, "cache_misses") >= 8, "{first}");
    let second = release(&world, &redis, "second");
    let (hits, misses) = (count(&second, "cache_hits"), count(&second, "cache_misses"));
    let rate = hits as f64 / (hits + misses) as f64;
    said(&format!("sccache, second checkout: {hits} hits, {misses} misses, a rate of {rate:.2}"));
    assert!(rate > 0.9, "{second}");
    // What comes out of the cache is what a compiler makes, of any checkout.
    let third = world.outside("third");
    let (from, to) = (world.root().to_str().unwrap(), third.to_str().unwrap());
    world.git(["clone", "--quiet", "--no-hardlinks", from, to]);
    let tool = world.tool(["release", "--snapshot", "--skip", "image"]);
    let mut command = world.with(tool.get_program(), tool.get_args());
    run(command.current_dir(&third).env("CARGO_NET_OFFLINE", "false")).ends_with(0);
    let made = contents(&third.join("dist"));
    for place in ["first", "second"] {
        assert_eq!(contents(&world.outside(place).join("dist")), made, "{place}");
    }
    fs::remove_dir_all(&third).unwrap();
}
