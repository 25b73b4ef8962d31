//! Runs the models over a mutant.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Message;
use wait_timeout::ChildExt;

use crate::scan::Mutant;

/// Which models look at which sources: the first prefix that fits. A room without a line here is an error.
const ROOMS: [(&str, &[&str]); 11] = [
    ("src/reclaim/epoch", &["epoch"]),
    ("src/queue/bounded", &["bounded_queue"]),
    ("src/queue", &["queue"]),
    ("src/stack", &["stack", "stack_deep"]),
    ("src/hash_map/raw/boxed", &["crosswise", "hash_map"]),
    ("src/hash_map/raw/inline", &["crosswise", "copy_map"]),
    ("src/hash_map", &["crosswise", "hash_map", "copy_map"]),
    ("src/ordered_map", &["ordered_map"]),
    ("src/util/per_thread.rs", &["stack", "hash_map"]),
    ("src/util/recycle", &["recycle"]),
    ("src/util", &["stack", "hash_map", "ordered_map"]),
];

/// What the models said of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This model failed.
    Killed(String),
    /// This model was running when time was up: neither noticed nor survived.
    TimedOut(String),
    /// All passed.
    Survived,
    /// All passed, and none came to the place.
    Unreached,
}

/// The models' binaries.
pub struct Models {
    binaries: BTreeMap<String, PathBuf>,
    timeout: Duration,
}

impl Models {
    /// Compiles them once.
    pub fn build(root: &Path, timeout: u64) -> Result<Self> {
        let mut cargo = Command::new(env!("CARGO"))
            .args(["test", "-p", "loom-tests", "--no-run", "--message-format=json-render-diagnostics"])
            .current_dir(root)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = BufReader::new(cargo.stdout.take().context("piped above")?);
        let mut binaries = BTreeMap::new();
        for message in Message::parse_stream(output) {
            if let Message::CompilerArtifact(artifact) = message?
                && let Some(binary) = artifact.executable
            {
                binaries.insert(artifact.target.name, binary.into_std_path_buf());
            }
        }
        ensure!(cargo.wait()?.success(), "the models do not compile");
        Ok(Self { binaries, timeout: Duration::from_secs(timeout) })
    }

    /// Runs the models of the mutant's room until one fails.
    pub fn run(&self, mutant: &Mutant) -> Result<Verdict> {
        let room = ROOMS.iter().find(|(prefix, _)| mutant.file.starts_with(prefix));
        let Some((_, names)) = room else { bail!("no models are known for {}", mutant.file.display()) };
        let mut reached = false;
        for &name in *names {
            let binary =
                self.binaries.get(name).with_context(|| format!("no binary of models named {name}"))?;
            match self.run_binary(binary, mutant, &mut reached)? {
                Verdict::Survived => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(if reached { Verdict::Survived } else { Verdict::Unreached })
    }

    fn run_binary(&self, binary: &Path, mutant: &Mutant, reached: &mut bool) -> Result<Verdict> {
        let mut child = Command::new(binary)
            .args(["--test-threads=1", "--nocapture", "--include-ignored"])
            .env("LATCHFREE_MUTANT", mutant.place())
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = (stdout.context("piped above")?, stderr.context("piped above")?);
        let met = AtomicBool::new(false);
        let failed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // One test runs at a time, so the last one that began is the one that fails.
            let last = scope.spawn(|| {
                let mut last = String::new();
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Some((name, _)) =
                        line.strip_prefix("test ").and_then(|rest| rest.split_once(" ..."))
                    {
                        name.clone_into(&mut last);
                    }
                    if line.ends_with("FAILED") {
                        failed.store(true, Ordering::Relaxed);
                        break;
                    }
                }
                last
            });
            scope.spawn(|| {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if line == "MUTANT REACHED" {
                        met.store(true, Ordering::Relaxed);
                    }
                }
            });
            let deadline = Instant::now() + self.timeout;
            let verdict = loop {
                let status = child.wait_timeout(Duration::from_millis(50))?;
                if failed.load(Ordering::Relaxed) || status.is_some_and(|status| !status.success()) {
                    break Verdict::Killed(String::new());
                } else if status.is_some() {
                    break Verdict::Survived;
                } else if Instant::now() > deadline {
                    break Verdict::TimedOut(String::new());
                }
            };
            // Fails if it has ended, which is as good.
            let _ = child.kill();
            child.wait()?;
            let last = last.join().expect("the reader does not panic");
            *reached |= met.load(Ordering::Relaxed);
            Ok(match verdict {
                Verdict::Killed(_) => Verdict::Killed(last),
                Verdict::TimedOut(_) => Verdict::TimedOut(last),
                other => other,
            })
        })
    }
}
