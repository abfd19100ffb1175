//! Keys that do not sign: a release says so before it makes anything.

use super::*;

/// A release with these variables must be refused for this, and have made nothing.
#[track_caller]
fn refused(world: &World, vars: &[(&str, &str)], why: &str) {
    let mut tool = world.tool(["release", "--snapshot"]);
    let said = run(tool.envs(vars.iter().copied()));
    said.ends_with(1).no_result().says(why).never_says("Compiling").says("  help: ");
    assert!(!world.dist().exists());
    for (_, value) in vars.iter().filter(|(_, value)| value.len() > 30) {
        said.never_says(value);
    }
}

#[test]
fn a_key_that_cannot_sign_stops_a_release_before_anything_is_made() {
    let world = World::quick("1.0.0");
    let make = |name: &str, password: &str| {
        let path = world.outside(name);
        let mut keygen = world.tool(["keygen", "--output", path.to_str().unwrap()]);
        run(keygen.env("COSIGN_PASSWORD", password)).ends_with(0);
        fs::read_to_string(path.with_extension("key")).unwrap()
    };
    let (locked, empty) = (make("locked", "right"), make("empty", ""));
    let (key, password) = ("COSIGN_PRIVATE_KEY", "COSIGN_PASSWORD");
    refused(&world, &[(key, &locked)], "neither COSIGN_PASSWORD nor a terminal");
    refused(&world, &[(key, &locked), (password, "wrong")], "the password does not decrypt it");
    refused(&world, &[(key, &locked), (password, "")], "the password does not decrypt it");
    refused(&world, &[(key, "cosign.key")], "it has 0 keys in PEM form");
    refused(&world, &[(key, PUBLIC)], "it is a public key");
    // Costs that take all memory are refused before anything is derived.
    let body: String = locked.lines().filter(|line| !line.starts_with('-')).collect();
    let json = String::from_utf8(STANDARD.decode(body).unwrap()).unwrap();
    let hostile = STANDARD.encode(json.replace("\"N\":65536", "\"N\":1073741824"));
    let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
    let hostile = format!("-----BEGIN {label}-----\n{hostile}\n-----END {label}-----\n");
    refused(&world, &[(key, &hostile), (password, "right")], "its costs are N = 1073741824");
    // An empty password is a password.
    let mut tool = world.tool(["release", "--snapshot"]);
    run(tool.env(key, &empty).env(password, "")).ends_with(0).says(" sign checksums.txt");
    assert!(world.dist().join("checksums.txt.sigstore.json").exists());
}

#[test]
fn settings_of_signatures_are_checked() {
    let world = World::quick("1.0.0");
    let manifest = world.read("Cargo.toml");
    let with = |line: &str| {
        let table = format!("[workspace]\n[workspace.metadata.dockless.sign]\n{line}\n");
        world.file("Cargo.toml", &format!("{manifest}{table}"));
        world.run("release --snapshot")
    };
    let unknown = with("files = \"some\"");
    unknown.ends_with(1).says("[workspace.metadata.dockless.sign] files: \"some\" is neither");
    with("key = \"no.key\"").ends_with(1).no_result().says("no.key");
    assert!(!world.dist().exists());
    world.file("Cargo.toml", &manifest);
    let unsigned = world.run("sign Cargo.toml");
    unsigned.ends_with(1).no_result().says("there is no key to sign with").says("keygen");
    assert!(!world.path("Cargo.toml.sigstore.json").exists());
}
