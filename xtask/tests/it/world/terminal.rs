//! A real terminal of a width: what a person sees there, and what a person types.

use std::path::Path;
use std::process::Command;

use super::{World, judge, run};

/// Opens a terminal, starts a program in it as a shell does, types what is to be typed once the
/// program has said a text, and passes on what appears.
const TERMINAL: &str = r#"
import fcntl, os, pty, struct, subprocess, sys, termios
columns, after, typed, command = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
own, other = pty.openpty()
fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
take = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)
child = subprocess.Popen(command, stdin=other, stdout=other, stderr=other,
                         start_new_session=True, preexec_fn=take)
os.close(other)
seen = b""
while True:
    try:
        piece = os.read(own, 65536)
    except OSError:
        break
    if not piece:
        break
    seen += piece
    if typed and after.encode() in seen:
        os.write(own, typed.encode().decode("unicode_escape").encode())
        typed = ""
sys.stdout.buffer.write(seen)
sys.exit(child.wait() % 256)
"#;

/// What a run showed on a terminal, and how it ended.
pub struct Shown {
    pub code: i32,
    pub text: String,
}

/// Runs the command in a terminal of so many columns. `typed` is typed once it has said `after`.
/// `None` where this machine has no Python.
pub fn in_terminal(
    columns: u16,
    command: &Command,
    (after, typed): (&str, &str),
    world: &World,
) -> Option<Shown> {
    let python = judge("python3")?;
    let mut terminal = Command::new(python);
    terminal.args(["-c", TERMINAL, &columns.to_string(), after, typed]);
    terminal.arg(command.get_program()).args(command.get_args()).env_clear();
    terminal.env("TERM", "xterm-256color");
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal.current_dir(command.get_current_dir().unwrap_or(Path::new("/")));
    let ran = run(&mut terminal);
    assert_eq!(ran.stderr, "");
    let text = ran.stdout.replace("\r\n", "\n");
    let text = text.replace(world.root().to_str().unwrap(), "ROOT");
    Some(Shown { code: ran.code.unwrap(), text })
}
