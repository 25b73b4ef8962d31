//! The models: which of them come to which places, and what they say of a mutant.
//!
//! Up to its place a mutant behaves like the original, so a model that does not come there cannot notice it. Each model is run
//! once to learn its places and how long it takes; of a mutant those that reach it are run, the shortest first, until one fails.
//! What was learnt is kept under `target/mutants`, for as long as the models' binary is the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::Message;
use wait_timeout::ChildExt;

use crate::scan::Mutant;

/// Which models look at which sources: the first prefix that fits. A room without a line here is an error.
const ROOMS: [(&str, &[&str]); 13] = [
    ("src/reclaim/epoch", &["epoch"]),
    ("src/queue/bounded", &["bounded_queue", "bounded_queue_deep"]),
    ("src/queue/tickets.rs", &["tickets"]),
    ("src/queue", &["queue"]),
    ("src/stack", &["stack", "stack_deep"]),
    ("src/hash_map/raw/boxed", &["crosswise", "hash_map"]),
    ("src/hash_map/raw/inline", &["crosswise", "copy_map"]),
    ("src/hash_map", &["crosswise", "hash_map", "copy_map"]),
    ("src/ordered_map", &["ordered_map", "ordered_map_reschedule"]),
    ("src/util/per_thread.rs", &["stack", "hash_map"]),
    ("src/util/places.rs", &["epoch", "stack", "hash_map"]),
    ("src/util/recycle", &["recycle"]),
    ("src/util", &["stack", "hash_map", "ordered_map"]),
];

/// What the models said of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This model failed.
    Killed(String),
    /// None failed, and this one was running when time was up: neither noticed nor survived.
    TimedOut(String),
    /// All that come to the place passed.
    Survived,
    /// None comes to the place.
    Unreached,
}

/// A model, and what is known of it.
struct Model {
    binary: PathBuf,
    name: String,
    time: Duration,
    /// `file:line:column`, the file as the compiler spells it.
    places: HashSet<String>,
}

/// The models by their binaries' names.
pub struct Models {
    rooms: BTreeMap<&'static str, Vec<Model>>,
    timeout: Duration,
}

impl Models {
    /// Compiles them, and learns where those go that these mutants need.
    pub fn build(root: &Path, mutants: &[Mutant], timeout: u64) -> Result<Self> {
        let mut names = BTreeSet::new();
        for mutant in mutants {
            names.extend(room(mutant)?);
        }
        let known = root.join("target/mutants");
        std::fs::create_dir_all(&known)?;
        let rooms = compile(root, &names)?
            .into_iter()
            .map(|(name, binary)| Ok((name, learnt(&binary, &known.join(name))?)))
            .collect::<Result<_>>()?;
        Ok(Self { rooms, timeout: Duration::from_secs(timeout) })
    }

    /// Runs the models of the mutant's room that come to its place until one fails.
    pub fn run(&self, mutant: &Mutant) -> Result<Verdict> {
        let mut models: Vec<&Model> = room(mutant)?
            .iter()
            .flat_map(|name| &self.rooms[name])
            .filter(|model| model.places.iter().any(|place| place.ends_with(&mutant.location())))
            .collect();
        models.sort_by_key(|model| model.time);
        let mut verdict = if models.is_empty() { Verdict::Unreached } else { Verdict::Survived };
        for model in models {
            let mut child = model.command().env("LATCHFREE_MUTANT", mutant.place()).spawn()?;
            match child.wait_timeout(self.timeout)? {
                Some(status) if status.success() => {}
                Some(_) => return Ok(Verdict::Killed(model.name.clone())),
                None => {
                    child.kill()?;
                    child.wait()?;
                    verdict = Verdict::TimedOut(model.name.clone());
                }
            }
        }
        Ok(verdict)
    }
}

impl Model {
    /// A run of it, in silence.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args([&self.name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs it to see where it goes.
    fn learn(&mut self) -> Result<()> {
        let start = Instant::now();
        let mut child = self.command().env("LATCHFREE_PLACES", "1").stderr(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stderr.take().context("piped above")?).lines();
        for line in lines {
            if let Some(place) = line?.strip_prefix("PLACE ") {
                self.places.insert(place.to_owned());
            }
        }
        ensure!(child.wait()?.success(), "{} fails without any mutant", self.name);
        self.time = start.elapsed();
        Ok(())
    }
}

/// The names of the binaries for a mutant.
fn room(mutant: &Mutant) -> Result<&'static [&'static str]> {
    let room = ROOMS.iter().find(|(prefix, _)| mutant.file.starts_with(prefix));
    let Some((_, names)) = room else { bail!("no models are known for {}", mutant.file.display()) };
    Ok(names)
}

/// Compiles the models with these names; their binaries.
fn compile(root: &Path, names: &BTreeSet<&'static str>) -> Result<BTreeMap<&'static str, PathBuf>> {
    let mut binaries = BTreeMap::new();
    if names.is_empty() {
        return Ok(binaries);
    }
    let mut cargo = Command::new(env!("CARGO"))
        .args(["test", "-p", "loom-tests", "--no-run", "--message-format=json-render-diagnostics"])
        .args(names.iter().flat_map(|name| ["--test", name]))
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = BufReader::new(cargo.stdout.take().context("piped above")?);
    for message in Message::parse_stream(output) {
        if let Message::CompilerArtifact(artifact) = message?
            && let Some(binary) = artifact.executable
            && let Some(name) = names.get(artifact.target.name.as_str())
        {
            binaries.insert(*name, binary.into_std_path_buf());
        }
    }
    ensure!(cargo.wait()?.success(), "the models do not compile");
    ensure!(binaries.len() == names.len(), "not every file of models has a binary");
    Ok(binaries)
}

/// The models of a binary, from the file where an earlier run left them if they are of the same binary. A copy of that is run, so that
/// nobody compiles it anew meanwhile.
fn learnt(binary: &Path, file: &Path) -> Result<Vec<Model>> {
    let mut hasher = DefaultHasher::new();
    std::fs::read(binary)?.hash(&mut hasher);
    let stamp = format!("{:x}", hasher.finish());
    let copy = file.with_extension(&stamp);
    if !copy.exists() {
        std::fs::copy(binary, &copy)?;
    }
    let binary = copy.as_path();
    if let Ok(text) = std::fs::read_to_string(file)
        && let Some((first, rest)) = text.split_once('\n')
        && first == stamp
    {
        return read(rest, binary).with_context(|| format!("reading {}", file.display()));
    }
    eprintln!("learning where the models of {} go", binary.display());
    let list = Command::new(binary).args(["--list", "--format=terse", "--include-ignored"]).output()?;
    let mut models: Vec<Model> = String::from_utf8(list.stdout)?
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(|name| Model {
            binary: binary.to_path_buf(),
            name: name.to_owned(),
            time: Duration::ZERO,
            places: HashSet::new(),
        })
        .collect();
    models.iter_mut().try_for_each(Model::learn)?;
    std::fs::write(file, format!("{stamp}\n{}", written(&models)))?;
    Ok(models)
}

/// A line a model: name, milliseconds, places.
fn written(models: &[Model]) -> String {
    let mut text = String::new();
    for Model { name, time, places, .. } in models {
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        let _ = writeln!(text, "{name} {} {}", time.as_millis(), places.join(" "));
    }
    text
}

fn read(text: &str, binary: &Path) -> Result<Vec<Model>> {
    text.lines()
        .map(|line| {
            let mut words = line.split(' ');
            Ok(Model {
                binary: binary.to_path_buf(),
                name: words.next().context("a name")?.to_owned(),
                time: Duration::from_millis(words.next().context("a time")?.parse()?),
                places: words.map(str::to_owned).collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let text = "queue::order 12 src/a.rs:1:2\nlooks 3 src/a.rs:1:2 src/b.rs:30:4\n";
        let models = read(text, Path::new("queue")).unwrap();
        assert_eq!((models[1].name.as_str(), models[1].places.len()), ("looks", 2));
        let again = read(&written(&models), Path::new("queue")).unwrap();
        assert_eq!(again[0].time, Duration::from_millis(12));
        assert_eq!(again[1].places, models[1].places);
    }
}
