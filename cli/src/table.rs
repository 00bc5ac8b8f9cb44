//! Aligned columns, for people.

use std::io::{self, Write};

use crate::failure::one_line;
use crate::screen::Paint;

/// Spaces between two columns.
const GAP: &str = "  ";

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// What colour a cell has on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// The terminal's own.
    #[default]
    Plain,
    /// What is right.
    Good,
    /// What needs a look.
    Odd,
    /// What is wrong.
    Bad,
}

/// A text in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in a colour.
    #[must_use]
    pub fn toned(text: impl ToString, tone: Tone) -> Self {
        Self { text: one_line(&text.to_string()), tone }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// Rows under a header.
///
/// ```
/// use trilog_cli::screen::Paint;
/// use trilog_cli::table::Table;
///
/// let mut table = Table::new(["TOPIC", ">PARTITIONS"]);
/// table.row(["orders".into(), 12.into()]);
/// let mut text = Vec::new();
/// table.write(&mut text, Paint::NONE)?;
/// assert_eq!(text, b"TOPIC   PARTITIONS\norders          12\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<String>,
    sides: Vec<Side>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings. One that begins with `>` has its column stand on the right, as numbers do.
    #[must_use]
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut header, mut sides) = (Vec::new(), Vec::new());
        for heading in headings {
            let right = heading.strip_prefix('>');
            sides.push(if right.is_some() { Side::Right } else { Side::Left });
            header.push(right.unwrap_or(heading).to_owned());
        }
        Self { header, sides, rows: Vec::new() }
    }

    /// Adds a row: a cell a column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the header and all rows.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write, paint: Paint) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let texts =
                cells.map(|cell| cell.text.as_str()).chain(self.header.get(column).map(String::as_str));
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.sides.len()).map(width).collect();
        let header: Vec<Cell> = self.header.iter().map(Cell::from).collect();
        writeln!(out, "{}", self.aligned(&header, &widths, |cell| paint.bold(&cell.text)))?;
        for row in &self.rows {
            let painted = |cell: &Cell| match cell.tone {
                Tone::Plain => cell.text.clone(),
                Tone::Good => paint.green(&cell.text),
                Tone::Odd => paint.yellow(&cell.text),
                Tone::Bad => paint.red(&cell.text),
            };
            writeln!(out, "{}", self.aligned(row, &widths, painted))?;
        }
        Ok(())
    }

    fn aligned(&self, cells: &[Cell], widths: &[usize], painted: impl Fn(&Cell) -> String) -> String {
        let mut line = String::new();
        let last = cells.len().saturating_sub(1);
        for (column, ((cell, width), side)) in cells.iter().zip(widths).zip(&self.sides).enumerate() {
            let blank = " ".repeat(width - cell.text.chars().count());
            if column > 0 {
                line.push_str(GAP);
            }
            match side {
                Side::Right => line.push_str(&format!("{blank}{}", painted(cell))),
                Side::Left if column == last => line.push_str(&painted(cell)),
                Side::Left => line.push_str(&format!("{}{blank}", painted(cell))),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out, Paint::NONE).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_lines_do_not_end_in_blanks() {
        let mut table = Table::new(["NAME", ">N", "STATE"]);
        table.row(["a-long-name".into(), 7.into(), "up".into()]);
        table.row(["ü".into(), 12_345.into(), Cell::toned("down", Tone::Bad)]);
        let wanted = "NAME             N  STATE\na-long-name      7  up\nü            12345  down\n";
        assert_eq!(text(&table), wanted);
    }

    #[test]
    fn a_cell_cannot_break_the_table() {
        let mut table = Table::new(["NAME"]);
        table.row(["a\nb\x1b[31m".into()]);
        assert_eq!(text(&table), "NAME\na b?[31m\n");
    }

    #[test]
    fn an_empty_last_cell_leaves_no_blanks() {
        let mut table = Table::new(["A", "ERROR"]);
        table.row(["x".into(), "".into()]);
        assert_eq!(text(&table), "A  ERROR\nx\n");
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        let table = Table::new(["A", "B"]);
        assert!(table.is_empty());
        assert_eq!(text(&table), "A  B\n");
    }
}
