//! The patterns of Go's `filepath.Match`. They differ from the shell's and from those of the
//! `glob` crate: `*` also matches names that begin with a dot, `^` and not `!` negates a class,
//! a backslash escapes the next character, and `**` and `{}` have no meaning of their own.
//! <https://pkg.go.dev/path/filepath#Match>

/// A pattern for the names of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `*`: any characters, or none.
    Any,
    /// `?`: one character.
    One,
    /// `[a-z]`: one of these, or with `^` one that is none of these.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Char(char),
}

/// Whether a text has a character that makes it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The pattern of each part of a path; `None` where one is malformed.
pub fn patterns(path: &[Vec<u8>]) -> Option<Vec<Pattern>> {
    path.iter().map(|part| Pattern::parse(&String::from_utf8_lossy(part))).collect()
}

impl Pattern {
    /// Parses one part of a path; `None` for what Go calls a bad pattern.
    pub fn parse(text: &str) -> Option<Pattern> {
        let mut chars = text.chars();
        let mut parts = Vec::new();
        while let Some(next) = chars.next() {
            parts.push(match next {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Char(chars.next()?),
                '[' => {
                    let (class, rest) = class(chars.as_str())?;
                    chars = rest.chars();
                    class
                }
                other => Part::Char(other),
            });
        }
        Some(Pattern(parts))
    }

    /// Whether the pattern matches a name. Bytes that are not UTF-8 count as U+FFFD.
    pub fn matches(&self, name: &[u8]) -> bool {
        let name: Vec<char> = String::from_utf8_lossy(name).chars().collect();
        let (mut part, mut at) = (0, 0);
        // The place of the last `*`, and how far in the name it reaches so far. Only the last
        // one is tried again, so the time is at most the product of the two lengths.
        let mut star = None;
        while at < name.len() {
            match self.0.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(one) if one.takes(name[at]) => {
                    part += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let Some((of, reached)) = star else { return false };
            star = Some((of, reached + 1));
            (part, at) = (of + 1, reached + 1);
        }
        self.0[part..].iter().all(|part| *part == Part::Any)
    }
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Part::Any => false,
            Part::One => true,
            Part::Char(one) => *one == character,
            Part::Class { negated, ranges } => {
                let within = |(low, high): &(char, char)| (*low..=*high).contains(&character);
                ranges.iter().any(within) != *negated
            }
        }
    }
}

/// Parses a class whose `[` was read; returns it and the rest of the text.
fn class(text: &str) -> Option<(Part, &str)> {
    let (negated, mut rest) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty()
            && let Some(after) = rest.strip_prefix(']')
        {
            return Some((Part::Class { negated, ranges }, after));
        }
        let (low, after) = bound(rest)?;
        let (high, after) = match after.strip_prefix('-') {
            Some(after) => bound(after)?,
            None => (low, after),
        };
        ranges.push((low, high));
        rest = after;
    }
}

/// Parses one end of a range; returns it and the rest, which is not empty: a class goes on.
fn bound(text: &str) -> Option<(char, &str)> {
    let text = match text.chars().next()? {
        '-' | ']' => return None,
        '\\' => &text[1..],
        _ => text,
    };
    let bound = text.chars().next()?;
    let rest = &text[bound.len_utf8()..];
    (!rest.is_empty()).then_some((bound, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Go's own table, without what has a slash.
    /// <https://github.com/golang/go/blob/master/src/path/filepath/match_test.go>
    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, name, expected) in [
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*", ".hidden", Some(true)),
            ("**", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "a", Some(true)),
            ("a*", "abc", Some(true)),
            ("a*b*c*d*e*", "axbxcxdxe", Some(true)),
            ("a*b*c*d*e*", "axbxcxdxexxx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Some(false)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^b-d]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("ab[!c]", "abd", Some(false)),
            ("ab[!c]", "ab!", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a☺b", Some(true)),
            ("a[^a]b", "a☺b", Some(true)),
            ("a???b", "a☺b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[\\-]", "-", Some(true)),
            ("[x\\-]", "x", Some(true)),
            ("[x\\-]", "z", Some(false)),
            ("[\\-x]", "-", Some(true)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[x-]", "x", None),
            ("[-x]", "x", None),
            ("\\", "a", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^", "a", None),
            ("[^bc", "a", None),
            ("a[", "a", None),
            ("a[", "ab", None),
            ("a[\\", "x", None),
            ("*x", "xxx", Some(true)),
            ("{a,b}", "a", Some(false)),
            ("", "", Some(true)),
            ("", "a", Some(false)),
        ] {
            let found = Pattern::parse(pattern).map(|it| it.matches(name.as_bytes()));
            assert_eq!(found, expected, "{pattern:?} on {name:?}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&"a*".repeat(500)).unwrap();
        assert!(!pattern.matches(format!("{}b", "a".repeat(499)).as_bytes()));
    }
}
