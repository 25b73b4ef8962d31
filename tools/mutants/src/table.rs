//! The table of mutants, written and read.
//!
//! A mutant is known by its file, its function and what is changed there, not by its line, so that a table stays good while lines
//! move, and a run over some files takes the place of their rows only.

use std::collections::HashMap;
use std::fmt::Write;

use crate::models::Verdict;
use crate::scan::Mutant;

/// What came of a mutant: now, or in an earlier run.
#[derive(Clone)]
pub struct Row {
    /// The mutant.
    pub mutant: Mutant,
    /// The cell of the table, without arguments; `None` if it was never run.
    pub outcome: Option<String>,
}

impl Row {
    /// From a run.
    pub fn new(verdict: Verdict, mutant: Mutant) -> Self {
        let outcome = match verdict {
            Verdict::Killed(model) => format!("{KILLED}`{model}`"),
            Verdict::TimedOut(model) => format!("**out of time** in `{model}`"),
            Verdict::Survived => "**survives**".into(),
            Verdict::Unreached => "**no model comes here**".into(),
        };
        Self { mutant, outcome: Some(outcome) }
    }

    /// By a model.
    pub fn is_killed(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.starts_with(KILLED))
    }

    /// Neither killed nor argued.
    pub fn is_unexplained(&self) -> bool {
        !self.is_killed() && (self.outcome.is_none() || self.mutant.argument.is_none())
    }
}

const KILLED: &str = "killed by ";

/// Stands before an argument in a cell.
const ARGUED: &str = " argued: ";

/// One line of counts.
pub fn summary(rows: &[Row]) -> String {
    let killed = rows.iter().filter(|row| row.is_killed()).count();
    let unexplained = rows.iter().filter(|row| row.is_unexplained()).count();
    let argued = rows.len() - killed - unexplained;
    format!("{} mutants: {killed} killed, {argued} argued, {unexplained} unexplained", rows.len())
}

/// The page.
pub fn markdown(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Mutants\n\n\
         Every ordering weakened, every fence, barrier and re-check removed, one at a time, under the loom models of its room.\n\
         Written by `cargo run -p mutants -- --write`; one room: `--file queue`; quick for what was changed: `--changed`;\n\
         whether this page is of the sources as they are: `--check`. An argument is the comment at the line.\n\n",
    );
    let _ = writeln!(page, "{}.", summary(rows));
    let mut file = None;
    for row in rows {
        let mutant = &row.mutant;
        if file != Some(&mutant.file) {
            file = Some(&mutant.file);
            let _ = write!(
                page,
                "\n## {}\n\n| function | mutant | outcome |\n|---|---|---|\n",
                mutant.file.display()
            );
        }
        let outcome = row.outcome.as_deref().unwrap_or("**not run**");
        let argument = match &mutant.argument {
            Some(argument) if !row.is_killed() => format!(";{ARGUED}{argument}"),
            _ => String::new(),
        };
        let _ = writeln!(page, "| `{}` | {} | {outcome}{argument} |", mutant.within, mutant.what());
    }
    page
}

/// The outcomes of a page, by file, function and change.
pub fn outcomes(page: &str) -> HashMap<String, String> {
    let mut file = "";
    let mut outcomes = HashMap::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            file = name;
        } else if let Some(cells) = line.strip_prefix("| `").and_then(|line| line.strip_suffix(" |")) {
            let cells: Vec<&str> = cells.splitn(3, " | ").collect();
            if let [within, what, outcome] = cells[..] {
                let outcome = outcome.split(&format!(";{ARGUED}")).next().unwrap_or_default();
                if outcome != "**not run**" {
                    outcomes.insert(format!("{file} `{within} {what}"), outcome.to_owned());
                }
            }
        }
    }
    outcomes
}

/// The key of a mutant among [`outcomes`].
pub fn key(mutant: &Mutant) -> String {
    format!("{} `{}` {}", mutant.file.display(), mutant.within, mutant.what())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn mutant(argument: Option<&str>) -> Mutant {
        Mutant {
            file: PathBuf::from("src/a.rs"),
            line: 3,
            column: 9,
            within: "front".into(),
            before: 1,
            call: "load".into(),
            from: "Acquire".into(),
            change: "Relaxed".into(),
            argument: argument.map(str::to_owned),
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        for argument in [None, Some("the loser | never looks; argued: well")] {
            let rows = [Row::new(Verdict::Survived, mutant(argument))];
            assert_eq!(rows[0].is_unexplained(), argument.is_none());
            let outcomes = outcomes(&markdown(&rows));
            assert_eq!(outcomes.get(&key(&rows[0].mutant)).map(String::as_str), Some("**survives**"));
        }
        let rows = [Row { mutant: mutant(Some("why")), outcome: None }];
        assert!(rows[0].is_unexplained());
        assert!(outcomes(&markdown(&rows)).is_empty());
    }
}
