//! The table of mutants.

use std::fmt::Write;

use crate::models::Verdict;
use crate::scan::Mutant;

/// Neither killed nor argued.
pub fn is_unexplained(mutant: &Mutant, verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Killed(_)) && mutant.argument.is_none()
}

/// One line of counts.
pub fn summary(verdicts: &[(Mutant, Verdict)]) -> String {
    let killed = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Killed(_))).count();
    let unexplained = verdicts.iter().filter(|(mutant, verdict)| is_unexplained(mutant, verdict)).count();
    let argued = verdicts.len() - killed - unexplained;
    format!("{} mutants: {killed} killed, {argued} argued, {unexplained} unexplained", verdicts.len())
}

/// The page.
pub fn markdown(verdicts: &[(Mutant, Verdict)]) -> String {
    let mut page = String::from(
        "# Mutants\n\n\
         Every ordering weakened, every fence, barrier and re-check removed, one at a time, under the loom models of its room.\n\
         Written by `cargo run -p mutants -- --write`; quick for changed files: `cargo run -p mutants -- --changed`.\n\n",
    );
    let _ = writeln!(page, "{}.", summary(verdicts));
    let mut file = None;
    for (mutant, verdict) in verdicts {
        if file != Some(&mutant.file) {
            file = Some(&mutant.file);
            let _ = write!(
                page,
                "\n## {}\n\n| line | mutant | outcome |\n|---|---|---|\n",
                mutant.file.display()
            );
        }
        let outcome = match (verdict, &mutant.argument) {
            (Verdict::Killed(model), _) => format!("killed by `{model}`"),
            (Verdict::TimedOut(model), None) => format!("**out of time** in `{model}`"),
            (Verdict::Survived, None) => "**survives, unexplained**".into(),
            (Verdict::Unreached, None) => "**no model comes here**".into(),
            (_, Some(argument)) => format!("argued: {argument}"),
        };
        let _ = writeln!(page, "| {} | {} | {outcome} |", mutant.line, mutant.what());
    }
    page
}
