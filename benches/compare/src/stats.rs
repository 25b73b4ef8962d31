//! Small statistics: medians over rounds, ratios, latency quantiles.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The median; the mean of the two middle samples when their number is even. `None` of nothing.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|x| x.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let mid = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[mid]),
        _ => Some(f64::midpoint(sorted[mid - 1], sorted[mid])),
    }
}

/// How many times as fast as the reference: above 1 is faster, for costs such as ns per operation.
pub fn speed(reference: f64, cost: f64) -> f64 {
    reference / cost
}

/// The smallest and the largest of the finite samples.
pub fn range(samples: &[f64]) -> (f64, f64) {
    samples
        .iter()
        .copied()
        .filter(|x| x.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)))
}

/// Most operations of a thread over the fewest of a thread. A thread that did nothing counts as one
/// operation, so that starvation shows as a large number and not as infinity.
pub fn unfairness(ops: &[u64]) -> f64 {
    let most = ops.iter().copied().max().unwrap_or(1).max(1);
    let fewest = ops.iter().copied().min().unwrap_or(1).max(1);
    most as f64 / fewest as f64
}

/// Nanoseconds at the usual quantiles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub samples: u64,
    pub p50: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub p99_99: u64,
    pub p99_999: u64,
    pub max: u64,
}

impl Latency {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Latency {
            samples: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            p99_99: histogram.value_at_quantile(0.9999),
            p99_999: histogram.value_at_quantile(0.99999),
            max: histogram.max(),
        }
    }
}

/// A histogram from 1 ns to 100 s with two significant digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 100_000_000_000, 2).expect("constant bounds are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
        assert_eq!(median(&[f64::NAN, 5.0]), Some(5.0));
    }

    #[test]
    fn ratios_say_how_much_faster() {
        assert_eq!(speed(30.0, 20.0), 1.5);
        assert_eq!(speed(20.0, 40.0), 0.5);
    }

    #[test]
    fn starvation_is_a_number() {
        assert_eq!(unfairness(&[10, 10]), 1.0);
        assert_eq!(unfairness(&[100, 25]), 4.0);
        assert_eq!(unfairness(&[100, 0]), 100.0);
        assert_eq!(unfairness(&[]), 1.0);
    }

    #[test]
    fn quantiles_come_from_the_histogram() {
        let mut h = histogram();
        for ns in 1..=1000 {
            h.record(ns).unwrap();
        }
        let l = Latency::of(&h);
        assert_eq!(l.samples, 1000);
        assert!((495..=510).contains(&l.p50), "{}", l.p50);
        assert!(l.p99 <= l.p99_9 && l.p99_9 <= l.max);
    }

    #[test]
    fn ranges() {
        assert_eq!(range(&[2.0, 1.0, f64::NAN, 3.0]), (1.0, 3.0));
    }
}
