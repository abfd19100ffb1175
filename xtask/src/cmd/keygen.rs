use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Common, World};
use crate::files;
use crate::finding::failure;
use crate::sign;

/// Make a key pair to sign with
///
/// The private key is encrypted with a password, which is read from COSIGN_PASSWORD or asked for on
/// the terminal. cosign reads both files too. Existing files are never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo dockless keygen                       write cosign.key and cosign.pub
  cargo dockless keygen --output keys/release
  gh secret set COSIGN_PRIVATE_KEY < cosign.key")]
pub struct Args {
    /// The names of the files, without `.key` and `.pub`
    #[arg(short, long, value_name = "PATH", default_value = "cosign")]
    output: PathBuf,
}

pub fn run(args: &Args, _: &Common, world: &World) -> Result<ExitCode> {
    let path = |ending: &str| {
        let mut name = args.output.clone().into_os_string();
        name.push(ending);
        world.dir.join(name)
    };
    let (private, public) = (path(".key"), path(".pub"));
    for path in [&private, &public] {
        if files::exists(path)? {
            let why = format!("{} exists already", path.display());
            return Err(failure(why, "move it away, or choose another name with --output"));
        }
    }
    let password = world.new_password()?;
    let key = sign::new_key(&password)?;
    files::write_secret(&private, key.private.expose().as_bytes()).context("keep the new key")?;
    files::write_new(&public, key.public.pem().as_bytes())?;
    world.term.step("make", format_args!("the key {}", key.public.fingerprint()));
    let shown = json!({
        "private": private,
        "public": public,
        "fingerprint": key.public.fingerprint(),
    });
    world.term.results(&shown, [private.display(), public.display()])?;
    Ok(ExitCode::SUCCESS)
}
