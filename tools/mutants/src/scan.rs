//! Finds the places that can be weakened, by their tokens.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use walkdir::WalkDir;

/// Functions that a mutant leaves out. All of them take the caller's place in the loom build.
const REMOVABLE: [&str; 5] = ["fence", "light", "heavy", "recheck", "order_for_loom"];

/// What defines the primitives is not their use.
const NOT_SEARCHED: [&str; 3] = ["src/sync.rs", "src/sync", "src/reclaim/barrier.rs"];

/// Whose models have the total order of `SeqCst` accesses. Elsewhere loom takes them for `AcqRel`, and the fence that stands for
/// the rest, `order_for_loom`, is removed by itself.
const TOTAL_ORDER: &str = "src/hash_map";

/// How far above a place its argument may begin, in lines.
const REACH: usize = 14;

/// The words with which a comment says why a mutant survives.
const ARGUMENT: &str = "No model can tell:";

/// One change at one place.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// From the root of the workspace.
    pub file: PathBuf,
    /// From 1, as `Location` counts.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// The function around it.
    pub within: String,
    /// How many of the same come before it in that function.
    pub before: usize,
    /// What is called there.
    pub call: String,
    /// The ordering to be weakened, empty for a call to be removed.
    pub from: String,
    /// An ordering, `failure` or `removed`.
    pub change: String,
    /// Why it may survive, if the source says so.
    pub argument: Option<String>,
}

impl Mutant {
    /// The value of `LATCHFREE_MUTANT` for it.
    pub fn place(&self) -> String {
        format!("{}:{}", self.location(), self.change)
    }

    /// Where it is, as the loom build prints it.
    pub fn location(&self) -> String {
        format!("{}:{}:{}", self.file.display(), self.line, self.column)
    }

    /// In words.
    pub fn what(&self) -> String {
        let call = match self.before {
            0 => format!("`{}`", self.call),
            before => format!("`{}` {}", self.call, before + 1),
        };
        match self.change.as_str() {
            "removed" => format!("{call} removed"),
            "failure" => format!("{call}: {} to Relaxed on failure", self.from),
            weaker => format!("{call}: {} to {weaker}", self.from),
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}: {}", self.file.display(), self.line, self.within, self.what())
    }
}

/// All mutants of the library, by file and line.
pub fn scan(root: &Path) -> Result<Vec<Mutant>> {
    let mut mutants = Vec::new();
    for entry in WalkDir::new(root.join("src")).sort_by_file_name() {
        let entry = entry?;
        let file = entry.path().strip_prefix(root)?;
        let is_source = file.extension().is_some_and(|extension| extension == "rs");
        if !is_source || NOT_SEARCHED.iter().any(|not| file.starts_with(not)) {
            continue;
        }
        let text = std::fs::read_to_string(entry.path())?;
        let tokens: TokenStream =
            text.parse().map_err(|error| anyhow!("{error}")).with_context(|| file.display().to_string())?;
        let lines: Vec<&str> = text.lines().collect();
        let first = mutants.len();
        calls(tokens, "", &mut |call| {
            for (from, change) in changes(&call, file.starts_with(TOTAL_ORDER)) {
                let alike = |other: &&Mutant| {
                    (&other.within, &other.call, &other.from, &other.change)
                        == (&call.within, &call.name, &from, &change)
                };
                let before = mutants[first..].iter().filter(alike).count();
                mutants.push(Mutant {
                    file: file.to_path_buf(),
                    line: call.line,
                    column: call.column,
                    within: call.within.clone(),
                    before,
                    call: call.name.clone(),
                    from,
                    change,
                    argument: argument(&lines, call.line),
                });
            }
        });
    }
    Ok(mutants)
}

struct Call {
    name: String,
    within: String,
    line: usize,
    column: usize,
    orderings: Vec<String>,
}

/// Visits `name(...)` wherever its arguments name orderings, and the removable functions.
fn calls(tokens: TokenStream, within: &str, visit: &mut impl FnMut(Call)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut within = within.to_owned();
    for (i, token) in tokens.iter().enumerate() {
        let before = |count| i.checked_sub(count).map(|before| &tokens[before]);
        let defined = matches!(before(2), Some(TokenTree::Ident(word)) if word == "fn");
        let name = if let Some(TokenTree::Ident(name)) = before(1) { Some(name) } else { None };
        if let (true, Some(name)) = (defined, name) {
            // Generic or not, its body is still to come.
            within = name.to_string();
        }
        let TokenTree::Group(group) = token else { continue };
        calls(group.stream(), &within, visit);
        let Some(name) = name else { continue };
        if group.delimiter() != Delimiter::Parenthesis || defined {
            continue;
        }
        let place = name.span().start();
        visit(Call {
            name: name.to_string(),
            within: within.clone(),
            line: place.line,
            column: place.column + 1,
            orderings: orderings(group.stream()),
        });
    }
}

/// The orderings among the arguments themselves, not in calls within them.
fn orderings(arguments: TokenStream) -> Vec<String> {
    let tokens: Vec<String> = arguments
        .into_iter()
        .filter(|token| !matches!(token, TokenTree::Group(_)))
        .map(|token| token.to_string())
        .collect();
    tokens.windows(4).filter(|four| four[..3] == ["Ordering", ":", ":"]).map(|four| four[3].clone()).collect()
}

/// What is weaker than the orderings of a call, step by step.
fn changes(call: &Call, total_order: bool) -> Vec<(String, String)> {
    if REMOVABLE.contains(&call.name.as_str()) {
        return vec![(String::new(), "removed".into())];
    }
    let Some(order) = call.orderings.first() else { return Vec::new() };
    let weaker: &[&str] = match (order.as_str(), call.name.as_str()) {
        ("Acquire" | "Release", _) => &["Relaxed"],
        ("AcqRel", _) => &["Acquire", "Release"],
        ("SeqCst", "load") if total_order => &["Acquire", "Relaxed"],
        ("SeqCst", "load" | "store") => &["Relaxed"],
        ("SeqCst", _) if total_order => &["AcqRel", "Acquire", "Release"],
        ("SeqCst", _) => &["Acquire", "Release"],
        _ => &[],
    };
    let mut changes: Vec<_> = weaker.iter().map(|&weaker| (order.clone(), weaker.to_owned())).collect();
    if let Some(failure) = call.orderings.get(1).filter(|failure| *failure != "Relaxed") {
        changes.push((failure.clone(), "failure".into()));
    }
    changes
}

/// The text after the argument's first words, in the comments just above the place.
fn argument(lines: &[&str], line: usize) -> Option<String> {
    let above = &lines[line.saturating_sub(REACH)..line];
    let blank = above.iter().rposition(|text| text.trim().is_empty()).map_or(0, |blank| blank + 1);
    let comments: Vec<&str> = above[blank..]
        .iter()
        .map(|text| text.trim())
        .skip_while(|text| !text.contains(ARGUMENT))
        .take_while(|text| text.starts_with("//"))
        .map(|text| text.trim_start_matches('/').trim())
        .collect();
    let text = comments.join(" ");
    let (_, reason) = text.split_once(ARGUMENT)?;
    Some(reason.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        let mut found = Vec::new();
        calls(source.parse().unwrap(), "", &mut |call| {
            for (from, change) in changes(&call, false) {
                let Call { name, within, line, column, .. } = &call;
                found.push(format!("{line}:{column} {within} {name} {from}>{change}"));
            }
        });
        found
    }

    #[test]
    fn finds_every_ordering() {
        let source = "fn f() {\n  self.a.load(Ordering::Acquire);\n  b.compare_exchange(x.load(Ordering::Relaxed), 1, Ordering::AcqRel, Ordering::Acquire);\n}";
        let found = found(source);
        assert_eq!(
            found,
            [
                "2:10 f load Acquire>Relaxed",
                "3:5 f compare_exchange AcqRel>Acquire",
                "3:5 f compare_exchange AcqRel>Release",
                "3:5 f compare_exchange Acquire>failure",
            ]
        );
    }

    #[test]
    fn finds_barriers_and_not_their_definitions() {
        let found = found("fn light(a: bool) { fence(Ordering::SeqCst) } fn g<T>() { light(true); }");
        assert_eq!(found, ["1:21 light fence >removed", "1:59 g light >removed"]);
    }

    #[test]
    fn reads_arguments() {
        let lines = [
            "let a = 1;",
            "// Release: pairs. No model can tell: the loser",
            "// never looks.",
            "a.store();",
        ];
        assert_eq!(argument(&lines, 4).as_deref(), Some("the loser never looks."));
        assert_eq!(argument(&["// No model can tell: x", "", "a.store();"], 3), None);
    }
}
