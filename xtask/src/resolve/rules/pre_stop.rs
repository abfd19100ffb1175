//! How long a `preStop` handler takes.

use crate::yaml::Node;

/// What is known of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreStop<'a> {
    /// It takes that many seconds, rounded down, as the node says.
    Sleeps(u64, &'a Node),
    /// It calls a program or a page, and nobody knows from here how long that takes.
    Unknown,
}

/// Programs that read a script after `-c`.
const SHELLS: [&str; 6] = ["sh", "bash", "ash", "dash", "ksh", "zsh"];

/// The words after which a script's next word is a command.
const BEFORE_COMMANDS: [&str; 8] = ["exec", "then", "do", "else", "command", "{", "(", "!"];

/// Reads the handler at `lifecycle.preStop`.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#lifecycle-1>
pub fn read(handler: &Node) -> PreStop<'_> {
    if let Some(seconds) = handler.get("sleep").and_then(|sleep| sleep.get("seconds")) {
        let number = seconds.text().and_then(|text| text.parse().ok());
        return number.map_or(PreStop::Unknown, |number| PreStop::Sleeps(number, seconds));
    }
    let command = handler.get("exec").and_then(|exec| exec.get("command"));
    let Some(command) = command else { return PreStop::Unknown };
    let millis = words(command).and_then(|words| slept(&words));
    millis.map_or(PreStop::Unknown, |millis| PreStop::Sleeps(millis / 1000, command))
}

/// The words of a command, where all are texts.
pub fn words(command: &Node) -> Option<Vec<&str>> {
    command.items()?.iter().map(Node::text).collect()
}

/// How long a command sleeps, in milliseconds; `None` where it does not, or nobody knows.
fn slept(words: &[&str]) -> Option<u64> {
    let (program, mut args) = words.split_first()?;
    let mut program = file_name(program);
    if program == "busybox" {
        let (applet, rest) = args.split_first()?;
        (program, args) = (*applet, rest);
    }
    if program == "sleep" {
        return total(args.iter().copied());
    }
    if !SHELLS.contains(&program) {
        return None;
    }
    let option = |word: &&str| word.starts_with('-') && word[1..].ends_with('c');
    let script = args.iter().position(option)?;
    in_script(args.get(script + 1)?)
}

/// The sum of what a shell's script sleeps.
fn in_script(script: &str) -> Option<u64> {
    let tokens = tokens(script);
    let mut sum: Option<u64> = None;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or(";", |before| tokens[before]);
        let is_command = is_operator(before) || BEFORE_COMMANDS.contains(&before);
        if file_name(token) != "sleep" || !is_command {
            continue;
        }
        let args = tokens[at + 1..].iter().copied().take_while(|token| !is_operator(token));
        // What runs in the background is not waited for.
        if tokens.get(at + 1 + args.clone().count()) == Some(&"&") {
            continue;
        }
        sum = Some(sum.unwrap_or(0).saturating_add(total(args)?));
    }
    sum
}

/// The words and operators of a script, near enough: quotes are part of a word.
fn tokens(script: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let is_break = |c: char| c.is_whitespace() || ";&|()".contains(c);
        let length = match first {
            '&' if rest.starts_with("&&") => 2,
            '|' if rest.starts_with("||") => 2,
            c if is_break(c) => c.len_utf8(),
            _ => rest.find(is_break).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        if token == "\n" || !token.trim().is_empty() {
            tokens.push(token);
        }
        rest = after;
    }
    tokens
}

fn is_operator(token: &str) -> bool {
    [";", "&", "&&", "|", "||", ")", "\n"].contains(&token)
}

/// The sum of times such as `10`, `0.5`, `1m`, in milliseconds. Several are added up.
/// <https://www.gnu.org/software/coreutils/manual/html_node/sleep-invocation.html>
fn total<'a>(times: impl Iterator<Item = &'a str>) -> Option<u64> {
    let mut sum = None;
    for time in times {
        // A redirection is no time.
        if time.contains(['<', '>']) {
            continue;
        }
        let time = time.trim_matches(['"', '\'']);
        let (number, unit) = match time.char_indices().last()? {
            (at, 's') => (&time[..at], 1.0),
            (at, 'm') => (&time[..at], 60.0),
            (at, 'h') => (&time[..at], 3600.0),
            (at, 'd') => (&time[..at], 86_400.0),
            _ => (time, 1.0),
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds: f64 = number.parse().ok().filter(|_| is_number)?;
        sum = Some(sum.unwrap_or(0_u64).saturating_add((seconds * unit * 1000.0) as u64));
    }
    sum
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
