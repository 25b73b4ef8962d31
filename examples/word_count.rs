//! Counts the words of a text in parallel, with rayon and one shared map, and checks it against a sequential count.
//!
//! `cargo run --release --example word_count --features rayon`

use std::collections::BTreeMap;

use latchfree::HashMap;
use rayon::prelude::*;

/// Some 1600 words of legal English, in the repository anyway.
const TEXT: &str = include_str!("../LICENSE-APACHE");

fn words(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn main() {
    let counts: HashMap<String, usize> = HashMap::new();
    TEXT.par_lines().for_each(|line| {
        // One guard a line and not one a word.
        let counts = counts.pin();
        for word in words(line) {
            counts.update_or_insert(word, |count| count + 1, 1);
        }
    });

    let mut sequential = BTreeMap::new();
    for word in TEXT.lines().flat_map(words) {
        *sequential.entry(word).or_insert(0_usize) += 1;
    }
    let parallel: BTreeMap<String, usize> = counts.into_iter().collect();
    assert_eq!(parallel, sequential);

    let mut most: Vec<_> = parallel.iter().collect();
    most.sort_by_key(|&(word, &count)| (std::cmp::Reverse(count), word));
    for (word, count) in &most[..10] {
        println!("{count:5} {word}");
    }
    println!("{} different words", most.len());
}
