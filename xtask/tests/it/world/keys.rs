//! Keys of these tests alone, and the judge of what is signed with them.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{World, slow_judge};

/// A private key without a password, and its public key.
pub const KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgOJZRkbXYinGkSn3G\n\
/YHKIgEZdtMUKlv6XjvWNCH2ECqhRANCAAQL8Oi2MFZtDxX1kMar9uayA58ilgUl\n\
1HvdsFJhAHH10KaktSQTOCMok5Jt/OLPsmlGWtrcdnHVBReiLk1rGd6G\n\
-----END PRIVATE KEY-----\n";
/// A part of it, which nobody may see.
pub const KEY_PART: &str = "AgEGCCqGSM49AwEHBG0wawIBAQQgOJ";
pub const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC/DotjBWbQ8V9ZDGq/bmsgOfIpYF\n\
JdR73bBSYQBx9dCmpLUkEzgjKJOSbfziz7JpRlra3HZx1QUXoi5Naxnehg==\n\
-----END PUBLIC KEY-----\n";

/// Another pair.
pub const OTHER_KEY: &str = "\
-----BEGIN EC PARAMETERS-----\n\
BggqhkjOPQMBBw==\n\
-----END EC PARAMETERS-----\n\
-----BEGIN EC PRIVATE KEY-----\n\
MHcCAQEEIOKa5Qjv+KPney2bgGrNw7NyyVY/cYaclN36i7RKR/4MoAoGCCqGSM49\n\
AwEHoUQDQgAENJcvx3wGSHZrRbsEG6ZSx0H3+99tZQk5RlXY1yl1OzMUeiksj7c2\n\
2WBPxFxMGl3hQO8xTHBxYUELaftxG3Jgew==\n\
-----END EC PRIVATE KEY-----\n";
pub const OTHER_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENJcvx3wGSHZrRbsEG6ZSx0H3+99t\n\
ZQk5RlXY1yl1OzMUeiksj7c22WBPxFxMGl3hQO8xTHBxYUELaftxG3Jgew==\n\
-----END PUBLIC KEY-----\n";

/// Writes a text beside the project, and returns its path.
pub fn outside(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.outside(name);
    fs::write(&path, text).unwrap();
    path
}

/// The tool with the key.
pub fn signing(world: &World, args: &str) -> Command {
    let mut tool = world.tool(args.split(' '));
    tool.env("COSIGN_PRIVATE_KEY", KEY);
    tool
}

/// `verify` with the public key of [`KEY`].
pub fn verify(world: &World, subject: &str) -> Command {
    let key = outside(world, "key.pub", PUBLIC);
    world.tool(["verify", "--key", key.to_str().unwrap(), subject])
}

/// cosign, with what a registry wants to see; `None` where it is missing.
pub fn cosign(world: &World, args: &str, vars: &[(&str, OsString)]) -> Option<Command> {
    let mut cosign = world.with(slow_judge("cosign")?, args.split(' '));
    cosign.envs(vars.iter().map(|(name, value)| (name, value))).env("COSIGN_PASSWORD", "pass");
    Some(cosign)
}

/// The option by which cosign signs without its log and its clock.
pub fn without_log(world: &World) -> String {
    let text = "{\"mediaType\":\"application/vnd.dev.sigstore.signingconfig.v0.2+json\"}";
    format!("--signing-config {}", outside(world, "signing.json", text).display())
}
