//! What was seen, case by case.

use std::{
    fmt::{self, Write as _},
    sync::{Mutex, PoisonError},
};

/// The rows so far; several threads may add to it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Mutex<Vec<Row>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    peer: &'static str,
    case: String,
    value: String,
    is_good: bool,
}

impl Table {
    /// Adds a row.
    pub(crate) fn add(
        &self,
        peer: &'static str,
        case: &str,
        is_good: bool,
        value: impl Into<String>,
    ) {
        let row = Row {
            peer,
            case: case.to_owned(),
            value: value.into(),
            is_good,
        };
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(row);
    }

    /// Prints the rows in the order of `expected`, and once more those that are not good; says whether all
    /// are there and good.
    pub(crate) fn finish(&self, expected: &[(&'static str, String)]) -> (String, bool) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<Row> = Vec::new();
        for (peer, case) in expected {
            let found = rows
                .iter()
                .filter(|row| row.peer == *peer && row.case == *case);
            let before = shown.len();
            shown.extend(found.cloned());
            if shown.len() == before {
                let (peer, case) = (*peer, case.clone());
                shown.push(Row {
                    peer,
                    case,
                    value: "MISSING".to_owned(),
                    is_good: false,
                });
            }
        }
        let is_expected = |row: &&Row| {
            expected
                .iter()
                .any(|(peer, case)| row.peer == *peer && row.case == *case)
        };
        for row in rows.iter().filter(|row| !is_expected(row)) {
            let value = format!("NOT IN THE LIST OF CASES: {}", row.value);
            shown.push(Row {
                value,
                is_good: false,
                ..row.clone()
            });
        }
        let mut text = Shown(&shown).to_string();
        shown.retain(|row| !row.is_good);
        if !shown.is_empty() {
            text.push('\n');
            text.push_str(&Shown(&shown).to_string());
        }
        (text, shown.is_empty())
    }
}

struct Shown<'a>(&'a [Row]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Row) -> &str, title: &str| {
            let widths = self.0.iter().map(|row| text(row).chars().count());
            widths.chain([title.len()]).max().unwrap_or(0)
        };
        let (peer, case) = (
            width(|row| row.peer, "peer"),
            width(|row| &row.case, "case"),
        );
        let mut line = |a: &str, b: &str, verdict: &str, value: &str| {
            let mut text = String::new();
            write!(text, "| {a:peer$} | {b:case$} | {verdict:6} | {value}")?;
            writeln!(f, "{}", text.trim_end())
        };
        line("peer", "case", "", "value seen")?;
        line(&"-".repeat(peer), &"-".repeat(case), "------", "----------")?;
        for row in self.0 {
            line(
                row.peer,
                &row.case,
                if row.is_good { "ok" } else { "FAILED" },
                &row.value,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Vec<(&'static str, String)> {
        vec![("a", "one".to_owned()), ("a", "two".to_owned())]
    }

    #[test]
    fn all_rows_good_is_good() {
        let table = Table::default();
        table.add("a", "two", true, "2");
        table.add("a", "one", true, "1");
        let (text, is_good) = table.finish(&expected());
        assert!(is_good);
        assert!(text.find("one").unwrap() < text.find("two").unwrap());
    }

    #[test]
    fn a_row_that_is_missing_bad_or_unknown_is_a_failure() {
        let table = Table::default();
        table.add("a", "one", true, "1");
        let (text, is_good) = table.finish(&expected());
        assert!(!is_good && text.contains("MISSING"));
        table.add("a", "two", false, "-1");
        assert!(!table.finish(&expected()).1);
        let table = Table::default();
        for case in ["one", "two", "three"] {
            table.add("a", case, true, "");
        }
        let (text, is_good) = table.finish(&expected());
        assert!(!is_good && text.contains("NOT IN THE LIST"));
    }
}
