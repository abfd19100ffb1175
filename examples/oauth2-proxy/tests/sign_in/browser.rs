//! Chromium, by `browser.mjs`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

pub struct Browser {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Browser {
    /// `key` is the hash of the one public key that it trusts.
    pub fn start(program: &Path, ingress: u16, provider: u16, key: &str) -> Browser {
        let mut node = Command::new("node");
        node.arg(super::site::beside("browser.mjs")).arg(program);
        node.args([ingress.to_string(), provider.to_string(), key.to_owned()]);
        node.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = node.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Browser { child, stdin, stdout }
    }

    pub fn ask(&mut self, ask: &Value) -> Value {
        writeln!(self.stdin.as_ref().unwrap(), "{ask}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let mut answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{ask}: it ended"));
        assert!(
            answer["failed"].is_null(),
            "{ask}: {}",
            answer["failed"].as_str().unwrap_or(&line)
        );
        answer["done"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends with its stdin, and Chromium with it.
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}
