//! The users that a Dockerfile makes, and those that every image knows.

use super::stages::Line;

/// Names and numbers.
pub struct Users(Vec<(String, String)>);

/// The users that the RUN instructions make with a number.
pub fn of(lines: &[Line<'_>]) -> Users {
    let mut users = vec![
        ("root".to_owned(), "0".to_owned()),
        ("nobody".to_owned(), "65534".to_owned()),
        ("nonroot".to_owned(), "65532".to_owned()),
    ];
    for line in lines.iter().filter(|it| it.instruction.name == "RUN") {
        // Variables of builds are replaced as far as they are known.
        let text = line.filled(&line.instruction.rest).unwrap_or(line.instruction.rest.clone());
        let words: Vec<&str> = text.split_whitespace().collect();
        let commands = words.split(|word| ["&&", "||", "|", ";"].contains(word));
        users.extend(commands.filter_map(made));
    }
    Users(users)
}

/// The user that a command makes: `useradd`, `adduser`, `addgroup` and `groupadd` have the same
/// form, and a group usually has the number of its user.
fn made(words: &[&str]) -> Option<(String, String)> {
    let at = words.iter().position(|it| {
        ["useradd", "adduser", "addgroup", "groupadd"]
            .contains(&it.rsplit('/').next().unwrap_or(it))
    })?;
    let words = &words[at + 1..];
    let number = words.iter().enumerate().find_map(|(at, word)| match *word {
        "-u" | "--uid" | "-g" | "--gid" | "-ou" | "-ru" => words.get(at + 1).copied(),
        _ => word.strip_prefix("--uid=").or_else(|| word.strip_prefix("--gid=")),
    });
    let number = number.map(|it| it.trim_end_matches(';')).filter(|it| is_number(it))?;
    let name = words.iter().rev().map(|it| it.trim_end_matches(';'));
    // BusyBox's adduser may name the group behind the user.
    let mut names = name.filter(|it| !it.is_empty() && !it.starts_with('-') && !is_number(it));
    names.next().map(|name| (name.to_owned(), number.to_owned()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Users {
    /// A user, with a group or without, as numbers.
    pub fn number(&self, text: &str) -> Option<String> {
        match text.split_once(':') {
            Some((user, group)) => Some(format!("{}:{}", self.one(user)?, self.one(group)?)),
            None => self.one(text),
        }
    }

    fn one(&self, name: &str) -> Option<String> {
        if is_number(name) {
            return name
                .parse::<u32>()
                .ok()
                .filter(|it| *it <= i32::MAX as u32)
                .map(|it| it.to_string());
        }
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, number)| number.clone())
    }
}
