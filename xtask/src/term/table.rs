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
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("### {heading}\n\n");
        text += &line(self.header.iter().map(ToString::to_string).collect());
        text += &line(self.header.iter().map(|_| "---".to_owned()).collect());
        for row in &self.rows {
            text += &line(row.iter().map(|cell| markdown(cell)).collect());
        }
        text + "\n"
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.header[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut line = |cells: &[String]| -> fmt::Result {
            let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            let text: Vec<String> = padded.collect();
            writeln!(f, "{}", text.join("  ").trim_end())
        };
        line(&self.header.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        self.rows.iter().try_for_each(|row| line(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
