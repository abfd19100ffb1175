//! Tables, as text for a terminal and as Markdown for a summary page.

use std::fmt;

use super::tame::{markdown, tame};

/// Rows of cells under a header.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(header: &[&'static str]) -> Table {
        Table { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as the header has. Each cell is one line.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.header.len());
        self.rows.push(cells.iter().map(|cell| tame(cell)).collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as GitHub-flavoured Markdown, under a heading.
    pub fn markdown(&self, heading: &str) -> String {
        format!("### {heading}\n\n{}", self.rows_in_markdown())
    }

    /// The same without a heading.
    pub fn rows_in_markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(self.header.iter().map(ToString::to_string).collect());
        text += &line(self.header.iter().map(|_| "---".to_owned()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| markdown(cell)).collect());
        }
        text + "\n"
    }
}

impl Table {
    /// The table for a terminal of so many columns, as wide as it likes for `None`. Where it does
    /// not fit, long texts are wrapped at spaces; where that is not enough, each row is a block.
    pub fn fit(&self, columns: Option<usize>) -> String {
        let natural = self.natural();
        match columns {
            Some(columns) if total(&natural) > columns => match self.narrowed(&natural, columns) {
                Some(widths) => self.lined_up(&widths),
                None => self.blocks(columns),
            },
            _ => self.lined_up(&natural),
        }
    }

    /// The width of each column's longest cell.
    fn natural(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| length(&row[column]));
            cells.chain([length(self.header[column])]).max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }

    /// Widths that fit, taken from the widest columns first; `None` where texts would be cut
    /// within a word, or become too narrow to be read.
    fn narrowed(&self, natural: &[usize], columns: usize) -> Option<Vec<usize>> {
        let least = |column: usize| {
            let words = self.rows.iter().flat_map(|row| row[column].split(' ')).map(length);
            let longest = words.chain([length(self.header[column])]).max().unwrap_or(0);
            natural[column].min(longest.max(READABLE))
        };
        let mut widths = natural.to_vec();
        for _ in columns..total(natural) {
            let wide = (0..widths.len()).filter(|&column| widths[column] > least(column));
            let widest = wide.max_by_key(|&column| widths[column])?;
            widths[widest] -= 1;
        }
        Some(widths)
    }

    fn lined_up(&self, widths: &[usize]) -> String {
        let mut text = String::new();
        let header: Vec<String> = self.header.iter().map(ToString::to_string).collect();
        for row in std::iter::once(&header).chain(&self.rows) {
            let cells: Vec<Vec<String>> =
                row.iter().zip(widths).map(|(cell, &width)| wrapped(cell, width)).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let cells = cells.iter().map(|cell| cell.get(line).map_or("", String::as_str));
                let padded = cells.zip(widths).map(|(cell, &width)| format!("{cell:width$}"));
                text += padded.collect::<Vec<_>>().join(GAP).trim_end();
                text.push('\n');
            }
        }
        text
    }

    /// A block for each row: its first cell, and below it the others by their names.
    fn blocks(&self, columns: usize) -> String {
        let mut text = format!("{}\n", self.header[0]);
        for row in &self.rows {
            text += &format!("{}\n", row[0]);
            for line in self.block(row, columns) {
                for (at, piece) in wrapped(&line, columns.saturating_sub(4)).iter().enumerate() {
                    let indent = if at == 0 { "  " } else { "    " };
                    text += &format!("{indent}{piece}\n");
                }
            }
        }
        text
    }

    /// The other cells of a row by their names, as many on a line as it takes.
    fn block(&self, row: &[String], columns: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for (name, cell) in self.header.iter().zip(row).skip(1).filter(|(_, it)| !it.is_empty()) {
            let item = if name.is_empty() { cell.clone() } else { format!("{name}: {cell}") };
            match lines.last_mut() {
                Some(line) if 2 + length(line) + GAP.len() + length(&item) <= columns => {
                    *line += GAP;
                    *line += &item;
                }
                _ => lines.push(item),
            }
        }
        lines
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fit(None))
    }
}

/// What stands between two columns.
const GAP: &str = "  ";
/// Narrower columns of prose are hard to read, in columns of the terminal.
const READABLE: usize = 24;

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The width of a line of such columns.
fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

/// The text in lines of at most `width`, broken at spaces. A longer word, such as a path, is not
/// broken: it can be copied as it is.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    if length(text) <= width {
        return vec![text.to_owned()];
    }
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out() -> Table {
        let mut table = Table::new(&["left out", "target", "why", "fix"]);
        table.row([
            "tool".into(),
            "aarch64-apple-darwin".into(),
            "zig, which links for macOS, is not installed".into(),
            "run `dockless setup --zig`".into(),
        ]);
        table
    }

    #[test]
    fn a_table_is_as_wide_as_its_terminal_and_no_word_is_cut() {
        let natural = "\
left out  target                why                                           fix
tool      aarch64-apple-darwin  zig, which links for macOS, is not installed  run `dockless setup --zig`
";
        for columns in [None, Some(120)] {
            assert_eq!(left_out().fit(columns), natural);
        }
        let wrapped = "\
left out  target                why                       fix
tool      aarch64-apple-darwin  zig, which links for      run `dockless setup
                                macOS, is not installed   --zig`
";
        assert_eq!(left_out().fit(Some(82)), wrapped);
        let blocks = "\
left out
tool
  target: aarch64-apple-darwin
  why: zig, which links for macOS, is
    not installed
  fix: run `dockless setup --zig`
";
        assert_eq!(left_out().fit(Some(40)), blocks);
        // Nothing is lost on any terminal, and only a word that is longer sticks out.
        let words = |text: &str| -> Vec<String> {
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        for columns in 1..130 {
            let text = left_out().fit(Some(columns));
            let in_block = |word: &String| !["target:", "why:", "fix:"].contains(&&**word);
            let shown: Vec<String> = words(&text).into_iter().filter(in_block).collect();
            let all = words(natural);
            assert!(shown.iter().all(|word| all.contains(word)), "{text}");
            assert!(words(natural)[..].iter().all(|word| text.contains(&**word)), "{text}");
            let fits = |line: &str| length(line) <= columns || line.trim().split(": ").count() < 3;
            assert!(text.lines().all(fits), "{columns}:\n{text}");
        }
    }

    #[test]
    fn a_table_of_names_and_values_needs_no_name_for_the_values() {
        let mut table = Table::new(&["image", ""]);
        table.row(["digest".into(), "sha256:0123456789".into()]);
        table.row(["size".into(), "1 B".into()]);
        let expected = "image\ndigest\n  sha256:0123456789\nsize\n  1 B\n";
        assert_eq!(table.fit(Some(20)), expected);
    }

    #[test]
    fn a_table_lines_up_and_its_markdown_cannot_be_broken_out_of() {
        let mut table = Table::new(&["artifact", "size"]);
        table.row(["a-long-name".into(), "1 B".into()]);
        table.row(["é|<b>".into(), "20 kB".into()]);
        assert_eq!(table.to_string(), "artifact     size\na-long-name  1 B\né|<b>        20 kB\n");
        let expected = "### Made\n\n| artifact | size |\n| --- | --- |\n| a-long-name | 1 B |\n| é\\|&lt;b> | 20 kB |\n\n";
        assert_eq!(table.markdown("Made"), expected);
    }
}
