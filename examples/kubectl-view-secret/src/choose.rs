//! A choice on the terminal, drawn on stderr so that stdout stays a pipe's.
//!
//! The cursor stays visible and the terminal is raw only while a key is read:
//! however the program ends, the terminal is as it was.

use std::io::{self, IsTerminal};

use anyhow::{Context, Result, bail};
use console::{Key, Term};

/// Asks for one of `items`, of which there is at least one, and returns its
/// index. Without a terminal on stdin and stderr it fails at once with `instead`,
/// which says how to do without one.
pub fn choose(title: &str, items: &[&str], instead: &str) -> Result<usize> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        bail!("no terminal to choose on; {instead}");
    }
    ask(&Term::buffered_stderr(), title, items)
        .context("cannot ask on the terminal")?
        .context("nothing chosen")
}

/// A line that names what there is, fit for a terminal.
pub fn available(items: &[&str]) -> String {
    format!("available: {}", printable(&items.join(", ")))
}

/// `text` without what a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn ask(term: &Term, title: &str, items: &[&str]) -> io::Result<Option<usize>> {
    let mut choice = Choice { items, filter: String::new(), marked: 0 };
    loop {
        let drawn = draw(term, title, &choice)?;
        let step = term.read_key_raw().map(|key| choice.press(key));
        term.move_cursor_up(drawn)?;
        term.clear_to_end_of_screen()?;
        term.flush()?;
        match step? {
            Step::Stay => {}
            Step::Take(index) => return Ok(Some(index)),
            Step::Leave => return Ok(None),
        }
    }
}

/// Draws the title, a page of items and, where the cursor rests, what was
/// typed. Returns how many lines the cursor went down.
fn draw(term: &Term, title: &str, choice: &Choice) -> io::Result<usize> {
    let (rows, columns) = term.size();
    let fit = |line: &str| {
        printable(line).chars().take(usize::from(columns).saturating_sub(1)).collect::<String>()
    };
    let page = usize::from(rows).saturating_sub(3).max(1);
    let matches = choice.matches();

    let mut lines = vec![fit(title)];
    for (place, &index) in matches.iter().enumerate().skip(choice.marked / page * page).take(page) {
        let mark = if place == choice.marked { '>' } else { ' ' };
        lines.push(fit(&format!("{mark} {}", choice.items[index])));
    }
    let place = if matches.is_empty() { 0 } else { choice.marked + 1 };
    lines.push(fit(&format!(
        "{place}/{} (type to filter, Esc to leave): {}",
        matches.len(),
        choice.filter
    )));
    term.write_str(&lines.join("\n"))?;
    term.flush()?;
    Ok(lines.len() - 1)
}

/// What a key press leads to.
#[derive(Debug, PartialEq)]
enum Step {
    Stay,
    Take(usize),
    Leave,
}

struct Choice<'a> {
    items: &'a [&'a str],
    /// Only items that contain it are shown, whatever their case.
    filter: String,
    /// The marked item's place among those shown.
    marked: usize,
}

impl Choice<'_> {
    /// The indices of the items that are shown.
    fn matches(&self) -> Vec<usize> {
        let filter = self.filter.to_lowercase();
        (0..self.items.len())
            .filter(|&index| self.items[index].to_lowercase().contains(&filter))
            .collect()
    }

    fn press(&mut self, key: Key) -> Step {
        let matches = self.matches();
        let last = matches.len().saturating_sub(1);
        match key {
            Key::Escape | Key::CtrlC => return Step::Leave,
            Key::Enter => {
                return matches.get(self.marked).map_or(Step::Stay, |&index| Step::Take(index));
            }
            Key::ArrowDown | Key::Tab => {
                self.marked = if self.marked < last { self.marked + 1 } else { 0 }
            }
            Key::ArrowUp | Key::BackTab => self.marked = self.marked.checked_sub(1).unwrap_or(last),
            Key::PageDown => self.marked = last.min(self.marked + 10),
            Key::PageUp => self.marked = self.marked.saturating_sub(10),
            Key::Home => self.marked = 0,
            Key::End => self.marked = last,
            Key::Backspace => {
                self.filter.pop();
                self.marked = 0;
            }
            Key::Char(c) if !c.is_control() => {
                self.filter.push(c);
                self.marked = 0;
            }
            _ => {}
        }
        Step::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_move_filter_and_take() {
        use Key::{
            ArrowDown as Down, ArrowUp as Up, Backspace, Char, CtrlC, End, Enter, Escape, Home,
        };
        let items = ["all", "password", "user", "User-2"];
        let cases: [(&[Key], Step); 12] = [
            (&[Enter], Step::Take(0)),
            (&[Down, Down, Enter], Step::Take(2)),
            (&[Up, Enter], Step::Take(3)),
            (&[Up, Down, Enter], Step::Take(0)),
            (&[End, Home, Down, Enter], Step::Take(1)),
            (&[Char('U'), Char('s'), Down, Enter], Step::Take(3)),
            (&[Down, Char('u'), Enter], Step::Take(2)),
            (&[Char('x'), Enter], Step::Stay),
            (&[Char('x'), Down, Up, End, Enter], Step::Stay),
            (&[Char('x'), Backspace, Enter], Step::Take(0)),
            (&[Down, Escape], Step::Leave),
            (&[CtrlC], Step::Leave),
        ];
        for (keys, expected) in cases {
            let mut choice = Choice { items: &items, filter: String::new(), marked: 0 };
            let mut step = Step::Stay;
            for key in keys {
                assert_eq!(step, Step::Stay, "{keys:?} goes on after its end");
                step = choice.press(key.clone());
            }
            assert_eq!(step, expected, "{keys:?}");
        }
    }

    #[test]
    fn nothing_printed_is_obeyed_by_the_terminal() {
        assert_eq!(available(&["a", "\u{1b}[2Jb\n"]), "available: a, \u{fffd}[2Jb\u{fffd}");
    }
}
