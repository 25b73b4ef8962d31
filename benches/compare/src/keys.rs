//! Keys of maps, and the order in which a workload asks for them.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use concurrent_map::Minimum;
use ferntree::OptimisticRead;
use rand::rngs::Xoshiro256PlusPlus as Generator;
use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// The hasher of every hash map in every cell: fast, fixed, and of sound quality in all bits.
pub type Hasher = foldhash::fast::FixedState;

/// The names used in cells.
pub const U64: &str = "u64";
pub const TEXT: &str = "40B-text";

/// A key made from a number; different numbers make different keys.
///
/// The last two bounds are concurrent-map's and ferntree's.
pub trait Key: Hash + Ord + Clone + Debug + Send + Sync + Minimum + OptimisticRead + 'static {
    /// Becomes the key of the number, in place and in no order: neighbours lie far apart.
    fn scatter(&mut self, number: u64);

    /// Becomes the key of the number, in order.
    fn ascend(&mut self, number: u64);

    /// The key in bytes that compare as the keys do.
    fn bytes(&self) -> impl AsRef<[u8]>;

    fn scattered(number: u64) -> Self {
        let mut key = Self::MIN;
        key.scatter(number);
        key
    }

    fn ascending(number: u64) -> Self {
        let mut key = Self::MIN;
        key.ascend(number);
        key
    }
}

impl Key for u64 {
    #[inline(always)]
    fn scatter(&mut self, number: u64) {
        *self = mix(number);
    }

    #[inline(always)]
    fn ascend(&mut self, number: u64) {
        *self = number;
    }

    #[inline(always)]
    fn bytes(&self) -> impl AsRef<[u8]> {
        self.to_be_bytes()
    }
}

/// 40 hexadecimal digits, as a SHA-1 digest is spelled: object and job identifiers look like it.
impl Key for String {
    #[inline(always)]
    fn scatter(&mut self, number: u64) {
        digits(self, mix(number), number);
    }

    #[inline(always)]
    fn ascend(&mut self, number: u64) {
        digits(self, number, number);
    }

    #[inline(always)]
    fn bytes(&self) -> impl AsRef<[u8]> {
        self.as_bytes()
    }
}

#[inline(always)]
fn digits(text: &mut String, first: u64, number: u64) {
    let mut raw = [0; 20];
    raw[..8].copy_from_slice(&first.to_be_bytes());
    raw[8..16].copy_from_slice(&mix(!number).to_be_bytes());
    raw[16..].copy_from_slice(&(number as u32).to_be_bytes());
    text.clear();
    text.push_str(const_hex::Buffer::<20>::new().format(&raw));
}

/// One to one, with every bit of the result depending on every bit of the number: the finaliser of
/// [MurmurHash3](https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp).
#[inline(always)]
pub fn mix(number: u64) -> u64 {
    let mut x = number;
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// The generator of a thread; the same in every row and round.
pub fn generator(thread: usize) -> Generator {
    Generator::seed_from_u64(0x6c61_7463_6866_7265 ^ thread as u64)
}

/// True `percent` times in a hundred.
#[inline(always)]
pub fn chance(generator: &mut Generator, percent: u64) -> bool {
    generator.random_range(0..100) < percent
}

/// How often each of a universe of keys is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    Uniform,
    /// Zipf's law with exponent 0.99, as in YCSB.
    Zipf,
}

/// An endless supply of numbers below some bound.
pub enum Numbers {
    Uniform { generator: Generator, from: u64, until: u64 },
    Zipf { ranks: Arc<[u32]>, at: usize },
}

/// Ranks drawn in advance: a draw from Zipf's law costs several look-ups.
const RANKS: usize = 1 << 20;

impl Numbers {
    /// Of `from..until`; with Zipf's law `from` is 0, and half of the weight is on either half.
    pub fn new(spread: Spread, from: u64, until: u64, thread: usize) -> Self {
        match spread {
            Spread::Uniform => Numbers::Uniform { generator: generator(thread), from, until },
            Spread::Zipf => {
                let at = generator(thread).random_range(0..RANKS);
                Numbers::Zipf { ranks: ranks(until), at }
            }
        }
    }

    #[inline(always)]
    pub fn draw(&mut self) -> u64 {
        match self {
            Numbers::Uniform { generator, from, until } => {
                // Multiply and shift: its bias is below one in 2^43 here, and it never repeats a draw.
                *from + ((u128::from(generator.next_u64()) * u128::from(*until - *from)) >> 64) as u64
            }
            Numbers::Zipf { ranks, at } => {
                *at = (*at + 1) % RANKS;
                u64::from(ranks[*at])
            }
        }
    }
}

/// Zipf-distributed numbers below `until`. Ranks alternate between the halves: where the lower half
/// of the numbers is present and the upper half absent, every other rank is a hit.
fn ranks(until: u64) -> Arc<[u32]> {
    static CACHE: [OnceLock<Arc<[u32]>>; 64] = [const { OnceLock::new() }; 64];
    let draw = || {
        let law = Zipf::new(until as f64, 0.99).expect("constant parameters are valid");
        let mut generator = generator(usize::MAX);
        let half = (until / 2) as u32;
        let number = |rank: u32| rank / 2 + (rank % 2) * half;
        (0..RANKS).map(|_| number(law.sample(&mut generator) as u32 - 1)).collect()
    };
    CACHE[until.next_power_of_two().trailing_zeros() as usize].get_or_init(draw).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_ascend() {
        let mut scattered: Vec<String> = (0..1000).map(Key::scattered).collect();
        assert!(scattered.iter().all(|key| key.len() == 40));
        scattered.sort();
        scattered.dedup();
        assert_eq!(scattered.len(), 1000);
        assert!((0..1000).is_sorted_by_key(String::ascending));
        assert!((0..1000).is_sorted_by_key(|number| u64::ascending(number).to_be_bytes()));
    }

    #[test]
    fn draws_stay_within_their_bounds() {
        let mut uniform = Numbers::new(Spread::Uniform, 10, 20, 0);
        assert!((0..1000).map(|_| uniform.draw()).all(|n| (10..20).contains(&n)));
        let mut zipf = Numbers::new(Spread::Zipf, 0, 2000, 0);
        let draws: Vec<u64> = (0..100_000).map(|_| zipf.draw()).collect();
        assert!(draws.iter().all(|&n| n < 2000));
        let first = draws.iter().filter(|&&n| n == 0).count();
        assert!((8_000..16_000).contains(&first), "{first}");
        let lower = draws.iter().filter(|&&n| n < 1000).count();
        assert!((50_000..65_000).contains(&lower), "{lower}");
    }
}
