//! Patterns as Go's `filepath.Match` has them, which is what krew asks. They differ
//! from the shell's, and from those of the `glob` crate: `*` takes names with a dot at
//! the beginning, a class is negated by `^` and not by `!`, a backslash takes the next
//! character as it is, and `**` and `{}` mean nothing of their own.
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

/// Whether a text holds what makes it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

impl Pattern {
    /// Reads what stands between two slashes; `None` for what Go takes for no pattern.
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

    /// Whether it is the pattern of this name. What is no UTF-8 counts as U+FFFD.
    pub fn matches(&self, name: &[u8]) -> bool {
        let name: Vec<char> = String::from_utf8_lossy(name).chars().collect();
        let (mut part, mut at) = (0, 0);
        // Where the last `*` stands, and up to where in the name it reaches so far. Only
        // the last one is ever tried again, so that no pattern takes more than the product
        // of the two lengths.
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

/// A class from behind its `[`, and what follows it.
fn class(text: &str) -> Option<(Part, &str)> {
    let (negated, mut rest) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        if let (false, Some(after)) = (ranges.is_empty(), rest.strip_prefix(']')) {
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

/// One end of a range, and what follows it. A class does not end with it.
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
