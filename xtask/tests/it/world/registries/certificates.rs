//! Certificates of the tests, made by openssl once for all tests of a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::world::kept::{Kept, new_dir, or_missing};
use crate::world::{judge, run};

/// What openssl is told of all of them. The server plays those of others, too; 0.0.0.0 is this machine, too, by an address that
/// is not known as its own.
const CONFIG: &str = "
[req]
distinguished_name = subject
prompt = no
[subject]
CN = dockless tests
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
subjectAltName = DNS:registry.test, DNS:example.org, DNS:ghcr.io, DNS:registry-1.docker.io, IP:127.0.0.1, IP:0.0.0.0, IP:::1
extendedKeyUsage = serverAuth
[client]
extendedKeyUsage = clientAuth
";

/// Two authorities, a server that the first one vouches for, and a signer of tokens.
pub struct Certificates {
    kept: Kept,
}

impl Certificates {
    pub fn shared() -> Option<&'static Certificates> {
        static SHARED: OnceLock<Result<Certificates, String>> = OnceLock::new();
        let openssl = judge("openssl")?;
        or_missing(SHARED.get_or_init(|| Ok(Certificates::make(&openssl))))
    }

    fn make(openssl: &Path) -> Certificates {
        let made = Certificates { kept: Kept::folder(new_dir()) };
        fs::write(made.file("openssl.cnf"), CONFIG).unwrap();
        for dir in ["trust", "mistrust"] {
            fs::create_dir(made.file(dir)).unwrap();
        }
        let ec = "ec -pkeyopt ec_paramgen_curve:prime256v1";
        let issued = "-CA trust/ca.crt -CAkey ca.key";
        for (name, kind, key, more) in [
            ("trust/ca.crt", "ca", ec, "-keyout ca.key"),
            ("mistrust/ca.crt", "ca", ec, "-keyout other.key"),
            ("server.crt", "server", ec, &format!("-keyout server.key {issued}")),
            ("client.crt", "client", ec, &format!("-keyout client.key {issued}")),
            // RS256 is what openssl signs as tokens want it.
            ("tokens.crt", "ca", "rsa:2048", "-keyout tokens.key"),
        ] {
            let args = format!(
                "req -x509 -config openssl.cnf -days 2 -nodes -out {name} -extensions {kind} \
                 -newkey {key} {more}"
            );
            let mut command = Command::new(openssl);
            command.args(args.split_whitespace()).current_dir(&made.kept.dir);
            run(&mut command).ends_with(0);
        }
        made
    }

    /// One of the files that are made above.
    pub fn file(&self, name: &str) -> PathBuf {
        self.kept.dir.join(name)
    }

    /// The authority that vouches for the server.
    pub fn ca(&self) -> PathBuf {
        self.file("trust/ca.crt")
    }

    /// One that vouches for nothing here.
    pub fn other_ca(&self) -> PathBuf {
        self.file("mistrust/ca.crt")
    }
}
