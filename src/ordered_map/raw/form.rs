//! What of an entry lies in the nodes themselves, decided by its types.
//!
//! | key | in the node, of each key | value | in the leaf |
//! |---|---|---|---|
//! | plain: integers, `bool`, `char`, byte arrays, pairs of integers | the key | plain | the value |
//! | plain | the key | any other | a pointer to the boxed entry |
//! | string or byte string | its first eight bytes, and a pointer to the boxed entry | any | the same pointer |
//! | any other `Ord` | a pointer to the boxed entry | any | the same pointer |
//!
//! The user can say so of any `Copy` types, by a [`Layout`]; what is said of plain types below holds for these as well.
//!
//! Plain types are `Copy`, without interior mutability and without a destructor, so that bitwise copies of them in several
//! versions of a node are all as good as the original. The choice is made from the type's identity and is a constant
//! after optimisation. Identities are compared without lifetimes ([`typeid`]); the listed plain types have none.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::TypeId;

macro_rules! is_one_of {
    ($t:ty: $($one:ty),+ $(,)?) => {{
        let id = typeid::of::<$t>();
        false $(|| id == TypeId::of::<$one>())+
    }};
}

/// How an ordered map lays its entries out in memory: whether keys and values lie in the nodes or in boxes.
///
/// It is the last type parameter of [`OrderedMap`](crate::OrderedMap) and [`OrderedSet`](crate::OrderedSet), and says nothing about
/// what they do. There are three, and no more can be made:
///
/// | | keys in the nodes | values in the leaves |
/// |---|---|---|
/// | [`Auto`], the default | of plain types, as the standard library names them; the first bytes of strings | plain ones, with such keys |
/// | [`InlineKeys`] | any `Copy` keys | plain ones |
/// | [`Inline`] | any `Copy` keys | any `Copy` values |
///
/// # Examples
///
/// ```
/// use latchfree::OrderedMap;
/// use latchfree::ordered_map::{Inline, Layout};
///
/// /// Works for maps of every layout.
/// fn first<L: Layout<u64, f32>>(map: &OrderedMap<u64, f32, latchfree::Epoch, L>) -> Option<f32> {
///     map.pin().first_key_value().map(|(_, value)| *value)
/// }
/// let (boxed, inline) = (OrderedMap::new(), OrderedMap::<u64, f32, _, Inline>::with_layout());
/// boxed.pin().insert(1, 0.5);
/// assert_eq!((first(&boxed), first(&inline)), (Some(0.5), None));
/// ```
pub trait Layout<K, V>: sealed::Layout {}

mod sealed {
    /// What the user says about types that are not known to be plain.
    pub trait Layout: 'static {
        /// Keys are `Copy`.
        const KEYS: bool;
        /// Keys and values are `Copy`.
        const BOTH: bool;
    }
}

/// The default [`Layout`]: keys and values of plain types (integers, `bool`, `char`, byte arrays, pairs of integers) lie in the
/// nodes; all other entries are boxed.
///
/// # Examples
///
/// ```
/// use latchfree::OrderedMap;
/// use latchfree::ordered_map::Auto;
///
/// let map: OrderedMap<u64, String, latchfree::Epoch, Auto> = OrderedMap::new();
/// map.pin().insert(1, "one".to_string());
/// assert_eq!(map.len(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Auto;

/// A [`Layout`] with keys of any `Copy` type in the nodes, as [`Auto`] has integers: a search stays in the node, instead of reading a box
/// at each step.
///
/// Values are boxed unless they are plain (integers, `bool`, `char`, small byte arrays, pairs of integers). Keys of more than some
/// 32 bytes are better left in boxes: they are copied with their nodes.
///
/// # Examples
///
/// ```
/// use latchfree::OrderedMap;
/// use latchfree::ordered_map::InlineKeys;
///
/// #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
/// struct Due(u64, u32);
///
/// static TIMERS: OrderedMap<Due, String, latchfree::Epoch, InlineKeys> = OrderedMap::with_layout();
/// let timers = TIMERS.pin();
/// timers.insert(Due(20, 1), "later".to_string());
/// timers.insert(Due(10, 2), "soon".to_string());
/// assert_eq!(timers.pop_first(), Some((&Due(10, 2), &"soon".to_string())));
/// ```
///
/// Keys are copied bit by bit, so they must be `Copy`:
///
/// ```compile_fail,E0277
/// use latchfree::ordered_map::InlineKeys;
/// let map = latchfree::OrderedMap::<String, u8, latchfree::Epoch, InlineKeys>::with_layout();
/// ```
///
/// ```
/// use latchfree::ordered_map::InlineKeys;
/// let map = latchfree::OrderedMap::<&str, u8, latchfree::Epoch, InlineKeys>::with_layout();
/// map.pin().insert("a", 1);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineKeys;

/// A [`Layout`] with keys and values of any `Copy` types in the nodes: nothing is boxed.
///
/// # Examples
///
/// ```
/// use latchfree::OrderedMap;
/// use latchfree::ordered_map::Inline;
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Quote { price: f64, size: u32 }
///
/// let asks = OrderedMap::<(u64, [u8; 3]), Quote, latchfree::Epoch, Inline>::with_layout();
/// asks.pin().insert((101, *b"abc"), Quote { price: 1.01, size: 5 });
/// assert_eq!(asks.with(&(101, *b"abc"), |quote| quote.size), Some(5));
/// ```
///
/// ```compile_fail,E0277
/// use latchfree::ordered_map::Inline;
/// let map = latchfree::OrderedMap::<u8, String, latchfree::Epoch, Inline>::with_layout();
/// ```
///
/// ```
/// use latchfree::ordered_map::Inline;
/// let map = latchfree::OrderedMap::<u8, &str, latchfree::Epoch, Inline>::with_layout();
/// map.pin().insert(1, "a");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl sealed::Layout for Auto {
    const KEYS: bool = false;
    const BOTH: bool = false;
}
impl sealed::Layout for InlineKeys {
    const KEYS: bool = true;
    const BOTH: bool = false;
}
impl sealed::Layout for Inline {
    const KEYS: bool = true;
    const BOTH: bool = true;
}
impl<K, V> Layout<K, V> for Auto {}
impl<K: Copy, V> Layout<K, V> for InlineKeys {}
impl<K: Copy, V: Copy> Layout<K, V> for Inline {}

/// Keys that lie in the nodes.
#[inline(always)]
pub(super) fn keys_inline<K, V, L: Layout<K, V>>() -> bool {
    L::KEYS || is_plain_key::<K>()
}

#[inline(always)]
fn is_plain_key<K>() -> bool {
    is_one_of!(K: u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char, ())
        || is_one_of!(K: [u8; 4], [u8; 8], [u8; 12], [u8; 16], [u8; 20], [u8; 24], [u8; 32])
        || is_one_of!(K: (u32, u32), (u64, u64), (u64, u32), (u32, u64), (u128, u64), (u64, u128), (u128, u128))
        || is_one_of!(K: (i64, i64), (i64, u64), (u64, i64), (i64, u32), (i32, i32), (usize, usize), (u16, u16))
        || is_one_of!(K: (u64, u64, u64), (u32, u32, u32), (i64, u64, u64))
        || is_one_of!(K: core::time::Duration, core::net::Ipv4Addr, core::net::Ipv6Addr, core::net::IpAddr)
}

/// Keys and values that lie in the leaves: nothing is boxed.
#[inline(always)]
pub(super) fn values_inline<K, V, L: Layout<K, V>>() -> bool {
    let plain = is_one_of!(V: u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, bool, char, ())
        || is_one_of!(V: f32, f64, (u32, u32), (u64, u64), [u8; 4], [u8; 8], [u8; 16]);
    L::BOTH || plain && keys_inline::<K, V, L>()
}

/// Keys whose first bytes lie in the nodes.
#[inline(always)]
pub(super) fn keys_prefixed<K, V, L: Layout<K, V>>() -> bool {
    !L::KEYS && (is_text::<K>() || is_bytes::<K>())
}

#[inline(always)]
fn is_text<T: ?Sized>() -> bool {
    is_one_of!(T: String, &'static str, Box<str>, str)
}

#[inline(always)]
fn is_bytes<T: ?Sized>() -> bool {
    is_one_of!(T: Vec<u8>, &'static [u8], Box<[u8]>, [u8])
}

/// The prefix of what is looked up among keys of type `K`: its order is no finer than the keys' and never contradicts it.
/// `None` if nothing is known about how the two types compare.
#[inline(always)]
pub(super) fn prefix<K, Q: ?Sized>(query: &Q) -> Option<u64> {
    if is_text::<K>() && is_text::<Q>() || is_bytes::<K>() && is_bytes::<Q>() {
        bytes(query).map(first_eight)
    } else {
        None
    }
}

/// The bytes of a text or byte string.
#[inline(always)]
fn bytes<Q: ?Sized>(query: &Q) -> Option<&[u8]> {
    let id = typeid::of::<Q>();
    macro_rules! read {
        ($($type:ty => $as_bytes:expr),+ $(,)?) => {$(
            if id == TypeId::of::<$type>() {
                // SAFETY: the types are the same, but for lifetimes: the result borrows from `query`, whose own
                // contents live at least as long. References to one type are of one size.
                let query: &$type = unsafe { core::mem::transmute_copy::<&Q, &$type>(&query) };
                let as_bytes: for<'q> fn(&'q $type) -> &'q [u8] = $as_bytes;
                return Some(as_bytes(query));
            }
        )+};
    }
    read! {
        str => |text| text.as_bytes(),
        String => |text| text.as_bytes(),
        &'static str => |text| text.as_bytes(),
        Box<str> => |text| text.as_bytes(),
        [u8] => |bytes| bytes,
        Vec<u8> => |bytes| bytes,
        &'static [u8] => |bytes| bytes,
        Box<[u8]> => |bytes| bytes,
    }
    None
}

/// The first eight bytes as a number of the same order; a string that ends earlier is filled up with zeros.
#[inline(always)]
fn first_eight(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut first = [0; 8];
    first[..bytes.len()].copy_from_slice(bytes);
    u64::from_be_bytes(first)
}
