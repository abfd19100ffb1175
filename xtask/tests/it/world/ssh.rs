//! Another machine, played by this one: an sshd with keys of its own.

use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::kept::{Kept, new_dir};
use super::{World, judge, missing, run, write_program};

/// A machine that ssh's settings call `box`. It is gone when this is dropped.
pub struct Sshd {
    kept: Kept,
    port: u16,
}

impl Sshd {
    /// With these variables for who logs in, and these lines before the other settings of sshd.
    /// `None`, said aloud, where this machine has no sshd.
    pub fn start(vars: &[(&str, OsString)], settings: &str) -> Option<Sshd> {
        Sshd::started(vars, settings, &[])
    }

    /// With a folder `small` that has room for so many MiB. `DIR` in variables is its folder.
    pub fn with_small_disk(size: u32, vars: &[(&str, OsString)]) -> Option<Sshd> {
        let mount = format!(
            "mkdir \"$0/small\" && mount -t tmpfs -o size={size}m none \"$0/small\" && exec \"$@\""
        );
        Sshd::started(vars, "", &["unshare", "--mount", "sh", "-c", &mount])
    }

    fn started(vars: &[(&str, OsString)], settings: &str, wrapper: &[&str]) -> Option<Sshd> {
        let (sshd, keygen) = (judge("sshd")?, judge("ssh-keygen")?);
        judge("ssh")?;
        match Sshd::begin([&sshd, &keygen], vars, settings, wrapper) {
            Ok(sshd) => Some(sshd),
            Err(why) => {
                missing(&why);
                None
            }
        }
    }

    fn begin(
        [sshd, keygen]: [&Path; 2],
        vars: &[(&str, OsString)],
        settings: &str,
        wrapper: &[&str],
    ) -> Result<Sshd, String> {
        // sshd wants its folder, which its package makes when the machine starts.
        fs::create_dir_all("/run/sshd").map_err(|error| format!("make /run/sshd: {error}"))?;
        let dir = new_dir();
        for key in ["host_key", "key"] {
            let mut made = Command::new(keygen);
            run(made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key))).ends_with(0);
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let of_session: String = vars
            .iter()
            .map(|(name, value)| format!(" \"{name}={}\"", value.to_str().unwrap()))
            .collect();
        let folder = dir.to_str().unwrap().to_owned();
        let of_session = of_session.replace("DIR", &folder);
        // The first of two settings counts.
        let config = format!(
            "{settings}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n\
             PidFile {folder}/pid\nAuthorizedKeysFile {folder}/key.pub\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nLogLevel ERROR\n\
             SetEnv \"HOME={folder}\"{of_session}\n",
        );
        let user = run(Command::new("id").arg("-un")).line().to_owned();
        let client = format!(
            "Host box\nHostName 127.0.0.1\nPort {port}\nUser {user}\n\
             Host *\nIdentityFile {folder}/key\nIdentitiesOnly yes\nGlobalKnownHostsFile none\n\
             UserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking ask\n",
        );
        let key = fs::read_to_string(dir.join("host_key.pub")).unwrap();
        let known = format!("[127.0.0.1]:{port} {key}");
        for (name, text) in [("sshd_config", &config), ("config", &client), ("known_hosts", &known)]
        {
            fs::write(dir.join(name), text).unwrap();
        }
        // A shell that greets everybody, as some do.
        fs::write(dir.join(".bashrc"), "echo welcome\n").unwrap();
        // ssh finds its settings by the user's account and not by HOME.
        let program = format!("#!/bin/sh\nexec /usr/bin/ssh -F {folder}/config \"$@\"\n");
        fs::create_dir(dir.join("bin")).unwrap();
        write_program(&dir.join("bin/ssh"), program.as_bytes());
        let args = ["-D".into(), "-e".into(), "-f".into(), dir.join("sshd_config").into()];
        let mut wrapper = wrapper.to_vec();
        if !wrapper.is_empty() {
            wrapper.push(&folder);
        }
        let kept = Kept::start(dir, &wrapper, sshd, &args);
        kept.until(|| TcpStream::connect(("127.0.0.1", port)).ok().map(drop))?;
        Ok(Sshd { kept, port })
    }

    /// A file of its own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.kept.dir.join(name)
    }

    /// PATH with an ssh that knows this machine.
    pub fn client_path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = std::iter::once(self.path("bin")).chain(std::env::split_paths(&path));
        std::env::join_paths(dirs).unwrap()
    }

    /// The tool with that ssh, and with no engine of this machine.
    pub fn tool(&self, world: &World, args: &str) -> Command {
        let mut tool = world.tool(args.split(' '));
        tool.env("PATH", self.client_path()).env("DOCKER_HOST", "unix:///nowhere");
        tool.env("CONTAINERD_ADDRESS", "/nowhere").env("CONTAINERS_STORAGE_CONF", "/nowhere");
        tool
    }

    /// Breaks off all connections.
    pub fn cut(&self) {
        let below = self.connections();
        assert!(!below.is_empty(), "nobody is logged in");
        run(Command::new("kill").arg("-KILL").args(below.split_whitespace())).ends_with(0);
    }

    /// Whether nobody is logged in any more.
    pub fn is_left(&self) -> bool {
        self.connections().is_empty()
    }

    /// The numbers of the processes that serve them.
    fn connections(&self) -> String {
        let own = fs::read_to_string(self.path("pid")).unwrap();
        let own = own.trim();
        fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap()
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}
