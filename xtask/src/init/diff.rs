//! What changes in a text, line by line.

/// A line of two texts: in both, only in the first, or only in the second. Each with its end.
enum Line<'a> {
    Kept(&'a str, &'a str),
    Removed(&'a str),
    Added(&'a str),
}

/// The unchanged lines around a change that are shown.
const CONTEXT: usize = 3;

/// Longer texts are shown as replaced: the comparison takes the product of both lengths.
const COMPARED: usize = 4 << 20;

/// What changes, as `diff -u` writes it. `before` is `None` for a new file.
pub fn unified(path: &str, before: Option<&str>, after: &str) -> String {
    let old = before.map_or_else(|| "/dev/null".to_owned(), |_| format!("a/{path}"));
    let mut out = format!("--- {old}\n+++ b/{path}\n");
    let lines = lines(before.unwrap_or_default(), after, |old, new| old == new);
    let changed = |line: &Line<'_>| !matches!(line, Line::Kept(..));
    let mut from = 0;
    while let Some(first) = lines[from..].iter().position(changed) {
        let start = (from + first).saturating_sub(CONTEXT).max(from);
        // A hunk ends where more lines stay than two contexts show.
        let mut end = from + first + 1;
        let near = |end: usize| lines[end..].iter().take(2 * CONTEXT).any(changed);
        while end < lines.len() && near(end) {
            end += 1;
        }
        end = (end + CONTEXT).min(lines.len());
        out.push_str(&hunk(&lines, start, end));
        from = end;
    }
    out
}

fn hunk(lines: &[Line<'_>], start: usize, end: usize) -> String {
    let count = |lines: &[Line<'_>]| {
        lines.iter().fold((0, 0), |(old, new), line| match line {
            Line::Kept(..) => (old + 1, new + 1),
            Line::Removed(_) => (old + 1, new),
            Line::Added(_) => (old, new + 1),
        })
    };
    let (skipped, (old, new)) = (count(&lines[..start]), count(&lines[start..end]));
    let range = |skipped: usize, count: usize| match count {
        0 => format!("{skipped},0"),
        1 => format!("{}", skipped + 1),
        count => format!("{},{count}", skipped + 1),
    };
    let mut out = format!("@@ -{} +{} @@\n", range(skipped.0, old), range(skipped.1, new));
    for line in &lines[start..end] {
        let (sign, text) = match line {
            Line::Kept(_, text) => (' ', text),
            Line::Removed(text) => ('-', text),
            Line::Added(text) => ('+', text),
        };
        out.push(sign);
        out.push_str(trimmed(text));
        out.push('\n');
        if !text.ends_with('\n') {
            out.push_str("\\ No newline at end of file\n");
        }
    }
    out
}

/// `after`, whose lines end in LF, with the line ends that `before` has: each line that stays
/// keeps its own, and a new one ends as the line above it does.
pub fn keep_line_ends(before: &str, after: &str) -> String {
    let mut out = String::with_capacity(after.len() + after.len() / 16);
    let first = before.split_inclusive('\n').next().unwrap_or_default();
    let mut end = if first.ends_with("\r\n") { "\r\n" } else { "\n" };
    for line in lines(before, after, |old, new| trimmed(old) == trimmed(new)) {
        let text = match line {
            Line::Kept(old, new) => {
                if old.ends_with('\n') {
                    end = if old.ends_with("\r\n") { "\r\n" } else { "\n" };
                }
                new
            }
            Line::Added(new) => new,
            Line::Removed(_) => continue,
        };
        out.push_str(trimmed(text));
        out.push_str(if text.ends_with('\n') { end } else { "" });
    }
    out
}

fn trimmed(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The lines of both texts, with a longest common subsequence of them as what was kept.
fn lines<'a>(before: &'a str, after: &'a str, same: fn(&str, &str) -> bool) -> Vec<Line<'a>> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let equal = |(old, new): &(&&str, &&str)| same(old, new);
    let start = old.iter().zip(&new).take_while(equal).count();
    let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = rest.take_while(equal).count();
    let (a, b) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let kept = |(old, new): (&&'a str, &&'a str)| Line::Kept(old, new);
    let mut lines: Vec<Line<'a>> = old[..start].iter().zip(&new[..start]).map(kept).collect();
    lines.extend(between(a, b, same));
    let tail = old[old.len() - end..].iter().zip(&new[new.len() - end..]);
    lines.extend(tail.map(kept));
    lines
}

fn between<'a>(a: &[&'a str], b: &[&'a str], same: fn(&str, &str) -> bool) -> Vec<Line<'a>> {
    let (removed, added) =
        (|line: &&'a str| Line::Removed(line), |line: &&'a str| Line::Added(line));
    if a.is_empty() || b.is_empty() || a.len().saturating_mul(b.len()) > COMPARED {
        return a.iter().map(removed).chain(b.iter().map(added)).collect();
    }
    // The length of the longest common subsequence of what follows each pair of lines.
    let width = b.len() + 1;
    let mut longest = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if same(a[i], b[j]) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if same(a[i], b[j]) {
            lines.push(Line::Kept(a[i], b[j]));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] >= longest[i * width + j + 1] {
            lines.push(Line::Removed(a[i]));
            i += 1;
        } else {
            lines.push(Line::Added(b[j]));
            j += 1;
        }
    }
    lines.extend(a[i..].iter().map(removed));
    lines.extend(b[j..].iter().map(added));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_as_diff_writes_it() {
        let before = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
        let after = before.replace("b\n", "B\n").replace("k\n", "k\nK\n");
        let expected = "--- a/f\n+++ b/f\n@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n\
                        @@ -9,4 +9,5 @@\n i\n j\n k\n+K\n l\n";
        assert_eq!(unified("f", Some(before), &after), expected);
        assert_eq!(unified("f", None, "a\n"), "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n");
        assert_eq!(
            unified("f", Some("a"), "a\n"),
            "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
        );
    }

    #[test]
    fn line_ends_stay() {
        for (before, after, expected) in [
            ("a\r\nb\r\n", "a\nx\nb\n", "a\r\nx\r\nb\r\n"),
            ("a\nb\r\n", "a\nx\nb\ny\n", "a\nx\nb\r\ny\r\n"),
            ("a\nb\n", "a\n", "a\n"),
            ("", "a\n", "a\n"),
            ("a", "a\nb\n", "a\nb\n"),
        ] {
            assert_eq!(keep_line_ends(before, after), expected, "{before:?}");
        }
    }
}
