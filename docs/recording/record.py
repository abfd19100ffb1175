#!/usr/bin/env python3
"""Records a run of dockless as run.svg, which README shows.

It makes a small project, runs the commands in a pseudo-terminal of 80 columns, follows what the
terminal would show, and draws that, each line when it came. Only Python's library is used:

    cargo build -p dockless && docs/recording/record.py target/debug/cargo-dockless
"""

import fcntl
import html
import os
import pathlib
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time

COLUMNS, ROWS = 80, 24
COMMANDS = [
    "cargo dockless release --snapshot",
    "cd dist && tar -xzf *x86_64*.tar.gz && ./mytool",
]
MAIN = """fn main() {
    println!("mytool {}", option_env!("DOCKLESS_VERSION").unwrap_or(env!("CARGO_PKG_VERSION")));
}
"""
MANIFEST = """[package]
name = "mytool"
version = "1.2.3"
edition = "2024"
license = "MIT"
"""
# How long the reader waits for what took longer.
LONGEST_PAUSE = 1.2
TYPED_IN = 0.03


class Terminal:
    """What is on the screen, and above it: cells of (character, style)."""

    def __init__(self):
        self.lines, self.row, self.column, self.style = [[]], 0, 0, ""
        self.pending = ""

    def feed(self, text):
        text, self.pending = self.pending + text, ""
        position = 0
        while position < len(text):
            if text[position] == "\x1b":
                found = re.compile(r"\x1b(\[[?0-9;]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[78=>()].?)").match(text, position)
                if not found:
                    self.pending = text[position:]
                    return
                self.control(found.group(1))
                position = found.end()
            else:
                self.put(text[position])
                position += 1

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.down()
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character >= " ":
            if self.column == COLUMNS:
                self.column = 0
                self.down()
            line = self.lines[self.row]
            line.extend([(" ", "")] * (self.column + 1 - len(line)))
            line[self.column] = (character, self.style)
            self.column += 1

    def down(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def control(self, code):
        if code[0] != "[" or code[1:2] == "?":
            return
        kind, first = code[-1], code[1:-1].split(";")[0]
        count = int(first or 1) if (first or "1").isdigit() else 1
        line = self.lines[self.row]
        if kind == "A":
            self.row = max(0, self.row - count)
        elif kind == "B":
            for _ in range(count):
                self.down()
        elif kind == "G":
            self.column = count - 1
        elif kind == "C":
            self.column += count
        elif kind == "K":
            del line[0 if first == "2" else self.column :]
        elif kind == "J":
            del line[self.column :]
            del self.lines[self.row + 1 :]
        elif kind == "m":
            self.sgr(code[1:-1])

    def sgr(self, codes):
        words = set(self.style.split())
        for code in (codes or "0").split(";"):
            if code in ("", "0"):
                words = set()
            elif code == "1":
                words.add("b")
            elif code == "2":
                words.add("d")
            elif code in ("22",):
                words -= {"b", "d"}
            elif code == "39":
                words = {word for word in words if not word.startswith("c")}
            elif re.fullmatch(r"[39][0-7]", code):
                words = {word for word in words if not word.startswith("c")} | {"c" + code[1]}
        self.style = " ".join(sorted(words))

    def shown(self):
        return [tuple(line) for line in self.lines]


def project(folder):
    (folder / "src").mkdir(parents=True)
    (folder / "src/main.rs").write_text(MAIN)
    (folder / "Cargo.toml").write_text(MANIFEST)
    (folder / ".gitignore").write_text("/target\n/dist\n")
    (folder / "LICENSE").write_text("free\n")
    own = ["-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "commit.gpgsign=false"]
    time_of = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    subprocess.run(["cargo", "generate-lockfile", "--offline", "--quiet"], cwd=folder, check=True)
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a tool"], ["tag", "v1.2.3"]):
        subprocess.run(["git", *own, *args], cwd=folder, check=True, env={**os.environ, **time_of})


def record(folder, environment):
    """Types the commands; returns what was shown, and when. Where the project is is nobody's matter."""
    terminal, shown, now = Terminal(), [], 0.0

    def keep():
        shown.append((now, terminal.shown()))

    for command in COMMANDS:
        terminal.style = "p"
        terminal.feed("$ ")
        terminal.style = "b"
        for character in command:
            terminal.feed(character)
            now += TYPED_IN
            keep()
        terminal.style = ""
        terminal.feed("\r\n")
        now += 0.3
        child, master = pty.fork()
        if child == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "-euo", "pipefail", "-c", command], environment)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        last = time.monotonic()
        while True:
            select.select([master], [], [])
            try:
                read = os.read(master, 65536)
            except OSError:
                break
            if not read:
                break
            pause, last = time.monotonic() - last, time.monotonic()
            now += min(pause, LONGEST_PAUSE)
            terminal.feed(read.decode("utf-8", "replace").replace(str(folder.parent), "~"))
            keep()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(master)
        if status:
            sys.exit(f"{command} ended with {status}:\n" + "\n".join("".join(c for c, _ in line) for line in terminal.shown()))
        now += 0.8
        keep()
    return shown


def appearance(shown):
    """The last lines, and from when on each was as it is at the end."""
    end = shown[-1][1]
    while end and not any(c.strip() for c, _ in end[-1]):
        end = end[:-1]
    since = []
    for at, line in enumerate(end):
        when = shown[-1][0]
        for moment, lines in reversed(shown):
            if at >= len(lines) or lines[at] != line:
                break
            when = moment
        since.append(when)
    return list(zip(end, since))


STYLE = """
  .paper { fill: #ffffff; stroke: #d0d7de; } text { fill: #1f2328; font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
  .p { fill: #0969da; } .b { font-weight: 600; } .d { opacity: .7; }
  .c1 { fill: #cf222e; } .c2 { fill: #1a7f37; } .c3 { fill: #9a6700; } .c4 { fill: #0969da; } .c5 { fill: #8250df; } .c6 { fill: #1b7c83; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #30363d; } text { fill: #e6edf3; } .p { fill: #58a6ff; }
    .c1 { fill: #ff7b72; } .c2 { fill: #3fb950; } .c3 { fill: #d29922; } .c4 { fill: #58a6ff; } .c5 { fill: #bc8cff; } .c6 { fill: #39c5cf; }
  }
  @media (prefers-reduced-motion: no-preference) { g { opacity: 0; animation: come 1ms forwards; } }
  @keyframes come { to { opacity: 1; } }
"""


def draw(lines):
    line_height, left, top, letter = 18, 14, 24, 7.83
    width, height = round(COLUMNS * letter + 2 * left), top + line_height * len(lines) + 2
    drawn = []
    for at, (line, when) in enumerate(lines):
        spans, start = [], 0
        while start < len(line):
            end = start
            while end < len(line) and line[end][1] == line[start][1]:
                end += 1
            text, style = "".join(c for c, _ in line[start:end]), line[start][1]
            if text.strip():
                place = f'x="{left + start * letter:g}" textLength="{len(text) * letter:.5g}"'
                name = f' class="{style}"' if style else ""
                spans.append(f"<tspan {place}{name}>{html.escape(text)}</tspan>")
            start = end
        if spans:
            y = top + line_height * at
            drawn.append(f'<g style="animation-delay:{when:.2f}s"><text y="{y}" xml:space="preserve">{"".join(spans)}</text></g>')
    title = "A run of cargo dockless release --snapshot in a terminal"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="paper" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def main():
    tool = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as temporary:
        home = pathlib.Path(temporary).resolve()
        folder = home / "mytool"
        project(folder)
        (home / "bin").mkdir()
        (home / "bin/cargo-dockless").symlink_to(tool)
        kept = ("HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {
            "PATH": f"{home}/bin:{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "DOCKLESS_CACHE": str(home / "cache"),
            "CARGO_NET_OFFLINE": "true",
        }
        drawing = draw(appearance(record(folder, environment)))
    if re.search(r"/(tmp|home|root|work|Users)/", drawing):
        sys.exit("a path of this machine is in the recording")
    pathlib.Path(__file__).with_name("run.svg").write_text(drawing)


if __name__ == "__main__":
    main()
