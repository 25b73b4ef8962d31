//! The command line.

use std::path::PathBuf;

use clap::Parser;
use regex::{Regex, RegexBuilder};

/// Runs latchfree's structures beside their peers on this machine, and says who wins by how much.
///
/// Writes a table to the terminal, and report.html, results.csv and results.json to the output
/// directory.
#[derive(Debug, Parser)]
#[command(name = "compare", version = None)]
pub struct Args {
    /// One to two minutes: fewer cells and rounds, u64 only
    #[arg(long)]
    pub quick: bool,

    /// Every cell of every kind, which takes half an hour and more; best with --filter
    #[arg(long, conflicts_with = "quick")]
    pub all: bool,

    /// Only cells whose name, kind/workload/value/threads, contains this text or matches this regex
    #[arg(long, value_name = "TEXT|REGEX", value_parser = filter)]
    pub filter: Option<Regex>,

    /// Numbers of threads, such as 1,2,4; flows take the even ones, as half producers, half consumers
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = threads)]
    pub threads: Option<Vec<usize>>,

    /// Rounds, each of which runs every row of a cell once; results are medians over them
    #[arg(long, value_name = "N", value_parser = rounds)]
    pub rounds: Option<usize>,

    /// Where the report goes
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// List rows and cells with the time they would take, and measure nothing
    #[arg(long)]
    pub list: bool,

    /// Measures the cells from this one on and says so on the output; what the program asks of itself
    #[arg(long, hide = true, value_name = "CELL")]
    pub work: Option<usize>,

    /// Rows that hung, as kind/workload/row
    #[arg(long, hide = true)]
    pub without: Vec<String>,

    /// Runs the memory pass of one cell and row in this process; what the program asks of itself
    #[arg(long, hide = true, num_args = 2, value_names = ["CELL", "ROW"])]
    pub probe_memory: Option<Vec<String>>,
}

impl Args {
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 7 })
    }

    /// Where reports go: beside the build when no directory is named.
    pub fn out(&self) -> PathBuf {
        let default = || {
            let target =
                std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
            target.join("compare")
        };
        self.out.clone().unwrap_or_else(default)
    }
}

/// Text that is no regex (`pairs+work` is one, but not the one that is meant) is looked for as it is.
fn filter(text: &str) -> Result<Regex, String> {
    if text.is_empty() {
        return Err("an empty filter selects nothing in particular; leave it out".into());
    }
    let literal = regex::escape(text);
    let pattern = match Regex::new(text) {
        Ok(_) => format!("(?:{text})|{literal}"),
        Err(why) if text.contains(['[', '(', '*', '\\']) => {
            return Err(format!("not a regular expression: {why}"));
        }
        Err(_) => literal,
    };
    RegexBuilder::new(&pattern).case_insensitive(true).build().map_err(|why| why.to_string())
}

fn threads(text: &str) -> Result<usize, String> {
    within(text, 1, 4096, "threads")
}

fn rounds(text: &str) -> Result<usize, String> {
    within(text, 1, 10_000, "rounds")
}

fn within(text: &str, least: usize, most: usize, what: &str) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(format!("expected {least} to {most} {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(["compare"].iter().chain(args))
    }

    #[test]
    fn definition_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn options_are_read() {
        let args = parse(&["--quick", "--threads", "1,2,4", "--rounds", "3", "--out", "x"]).unwrap();
        assert!(args.quick && !args.list);
        assert_eq!(args.threads, Some(vec![1, 2, 4]));
        assert_eq!(args.rounds(), 3);
        assert_eq!(args.out(), PathBuf::from("x"));
        assert_eq!(parse(&[]).unwrap().rounds(), 7);
    }

    #[test]
    fn filters_are_text_or_regex() {
        let hits =
            |filter: &str, id: &str| parse(&["--filter", filter]).unwrap().filter.unwrap().is_match(id);
        assert!(hits("pairs+work", "queue/pairs+work/u64/2"));
        assert!(!hits("pairs+work", "queue/pairs/u64/2"));
        assert!(hits("queue/(burst|flow)/u64", "queue/flow/u64/1P1C"));
        assert!(hits("1p1c", "queue/flow/u64/1P1C"));
    }

    #[test]
    fn bad_arguments_are_refused() {
        for bad in [
            &["--threads", "0"][..],
            &["--threads", "1,two"],
            &["--rounds", "0"],
            &["--rounds", "-3"],
            &["--filter", ""],
            &["--filter", "(open"],
            &["--fast"],
            &["extra"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
