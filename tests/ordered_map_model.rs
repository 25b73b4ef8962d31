//! Random sequences of operations, compared with `BTreeMap`.

mod common;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;

use latchfree::ordered_map::{Auto, Inline, InlineKeys, Layout, RescheduleError};
#[cfg(feature = "crossbeam")]
use latchfree::reclaim::Crossbeam;
use latchfree::reclaim::{Accepts, Reclaim};
use latchfree::{Epoch, OrderedMap};
use proptest::prelude::*;

/// Numbers stand for keys; `spread` is how many there are.
#[derive(Clone, Debug)]
enum Op {
    Insert(u16),
    InsertMany(u16, u16),
    TryInsert(u16),
    GetOrInsert(u16),
    Update(u16),
    Compute(u16, u8),
    Remove(u16),
    Reschedule(u16, u16),
    RescheduleMany(u16, u16, u16),
    RemoveIf(u16),
    PopFirst,
    PopLast,
    PopFirstWhile(u16, u16),
    Get(u16),
    Ends,
    Bounds(u16),
    Range(Bound<u16>, Bound<u16>, u64),
    Snapshot(Bound<u16>, Bound<u16>, u64),
    RemoveRange(Bound<u16>, Bound<u16>),
    Retain(u16),
    Clear,
    Collect,
    Rebuild,
    Clone,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop_oneof![3 => 0..600_u16, 1 => 0..20_u16];
    let bound = move || {
        prop_oneof![
            4 => key().prop_map(Bound::Included),
            4 => key().prop_map(Bound::Excluded),
            1 => Just(Bound::Unbounded),
        ]
    };
    prop_oneof![
        8 => key().prop_map(Op::Insert),
        8 => (key(), 0..400_u16).prop_map(|(from, count)| Op::InsertMany(from, count)),
        4 => key().prop_map(Op::TryInsert),
        3 => key().prop_map(Op::GetOrInsert),
        4 => key().prop_map(Op::Update),
        4 => (key(), any::<u8>()).prop_map(|(key, what)| Op::Compute(key, what)),
        8 => key().prop_map(Op::Remove),
        8 => (key(), key()).prop_map(|(old, new)| Op::Reschedule(old, new)),
        3 => (key(), 0..100_u16, 0..600_u16).prop_map(|(from, count, by)| Op::RescheduleMany(from, count, by)),
        3 => key().prop_map(Op::RemoveIf),
        6 => Just(Op::PopFirst),
        4 => Just(Op::PopLast),
        4 => (key(), 0..90_u16).prop_map(|(below, max)| Op::PopFirstWhile(below, max)),
        6 => key().prop_map(Op::Get),
        3 => Just(Op::Ends),
        4 => key().prop_map(Op::Bounds),
        6 => (bound(), bound(), any::<u64>()).prop_map(|(start, end, turns)| Op::Range(start, end, turns)),
        4 => (bound(), bound(), any::<u64>()).prop_map(|(start, end, turns)| Op::Snapshot(start, end, turns)),
        3 => (bound(), bound()).prop_map(|(start, end)| Op::RemoveRange(start, end)),
        2 => (1..7_u16).prop_map(Op::Retain),
        1 => Just(Op::Clear),
        1 => Just(Op::Collect),
        1 => Just(Op::Rebuild),
        1 => Just(Op::Clone),
    ]
}

/// Keys and values of all the forms that the map tells apart.
trait Form {
    type Key: Ord + Clone + Debug;
    type Value: Clone + Eq + Debug;
    type Layout: Layout<Self::Key, Self::Value>;
    fn key(n: u16) -> Self::Key;
    fn value(n: u64) -> Self::Value;
}

/// Both in the leaf.
struct Plain;
impl Form for Plain {
    type Key = u64;
    type Value = u64;
    type Layout = Auto;
    fn key(n: u16) -> u64 {
        u64::from(n) << 40
    }
    fn value(n: u64) -> u64 {
        n
    }
}

/// The key in the leaf.
struct PlainKey;
impl Form for PlainKey {
    type Key = (i64, u64);
    type Value = String;
    type Layout = Auto;
    fn key(n: u16) -> (i64, u64) {
        (i64::from(n) / 16 - 300, u64::from(n) % 16)
    }
    fn value(n: u64) -> String {
        n.to_string()
    }
}

/// A prefix in the leaf, which several keys share; some keys are shorter than it.
struct Text;
impl Form for Text {
    type Key = String;
    type Value = u64;
    type Layout = Auto;
    fn key(n: u16) -> String {
        match n % 3 {
            0 => format!("{:04}", n),
            1 => format!("{:04}\0\0", n),
            _ => format!("{:03} a longer key {:05}", n / 10, n),
        }
    }
    fn value(n: u64) -> u64 {
        n
    }
}

/// A pointer in the leaf.
struct Opaque;
impl Form for Opaque {
    type Key = Vec<u16>;
    type Value = Box<u64>;
    type Layout = Auto;
    fn key(n: u16) -> Vec<u16> {
        vec![n / 7, n % 7, 5]
    }
    fn value(n: u64) -> Box<u64> {
        Box::new(n)
    }
}

/// A key of the user's own, with padding: latest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due(u64, u8);
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0).then(self.1.cmp(&other.1))
    }
}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Due {
    fn new(n: u16) -> Self {
        Due(u64::from(n) / 5, (n % 5) as u8)
    }
}

/// The user's own key in the leaf.
struct OwnKey;
impl Form for OwnKey {
    type Key = Due;
    type Value = String;
    type Layout = InlineKeys;
    fn key(n: u16) -> Due {
        Due::new(n)
    }
    fn value(n: u64) -> String {
        n.to_string()
    }
}

/// The user's own key and value in the leaf.
struct Own;
impl Form for Own {
    type Key = Due;
    type Value = (u8, [u16; 3], u64);
    type Layout = Inline;
    fn key(n: u16) -> Due {
        Due::new(n)
    }
    fn value(n: u64) -> Self::Value {
        (n as u8, [n as u16; 3], n)
    }
}

/// A text that is copied: no prefixes.
struct Lent;
impl Form for Lent {
    type Key = &'static str;
    type Value = u64;
    type Layout = InlineKeys;
    fn key(n: u16) -> &'static str {
        static TEXT: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
        &TEXT.get_or_init(|| (0..1100).map(Text::key).collect())[usize::from(n)]
    }
    fn value(n: u64) -> u64 {
        n
    }
}

fn both_ends<T>(mut items: impl DoubleEndedIterator<Item = T>, mut turns: u64) -> Vec<T> {
    let (mut front, mut back) = (Vec::new(), Vec::new());
    loop {
        turns = turns.rotate_right(1);
        // Mostly from the front, so that both ends come over several leaves.
        let next = if turns & 1 == 0 { items.next() } else { items.next_back() };
        match next {
            Some(item) if turns & 1 == 0 => front.push(item),
            Some(item) => back.push(item),
            None => break,
        }
    }
    assert!(items.next().is_none() && items.next_back().is_none(), "fused");
    front.extend(back.into_iter().rev());
    front
}

fn is_valid<K: Ord>(start: &Bound<K>, end: &Bound<K>) -> bool {
    match (start, end) {
        (Bound::Excluded(start), Bound::Excluded(end)) => start < end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
            start <= end
        }
        _ => true,
    }
}

fn run<F: Form, R: Reclaim + Accepts<(F::Key, F::Value)>>(ops: &[Op]) {
    let mut map = OrderedMap::<F::Key, F::Value, R, F::Layout>::default();
    let mut model = BTreeMap::<F::Key, F::Value>::new();
    let mut next = 0_u64;
    let mut fresh = || {
        next += 1;
        F::value(next)
    };
    for op in ops {
        let guard = R::pin();
        match op.clone() {
            Op::Insert(key) => {
                let value = fresh();
                let old = map.insert(F::key(key), value.clone(), &guard).cloned();
                assert_eq!(old, model.insert(F::key(key), value));
            }
            Op::InsertMany(from, count) => {
                for key in from..from + count {
                    let value = fresh();
                    map.insert(F::key(key), value.clone(), &guard);
                    model.insert(F::key(key), value);
                }
            }
            Op::TryInsert(key) => {
                let (key, value) = (F::key(key), fresh());
                match map.try_insert(key.clone(), value.clone(), &guard) {
                    Ok(inserted) => {
                        assert_eq!(inserted, &value);
                        assert_eq!(model.insert(key, value), None);
                    }
                    Err(error) => {
                        assert_eq!((&error.key, &error.value), (&key, &value));
                        assert_eq!((error.current_key, Some(error.current)), (&key, model.get(&key)));
                    }
                }
            }
            Op::GetOrInsert(key) => {
                let value = fresh();
                let found = map.get_or_insert(F::key(key), value.clone(), &guard);
                assert_eq!(found, model.entry(F::key(key)).or_insert(value));
            }
            Op::Update(key) => {
                let value = fresh();
                let new = map.update(&F::key(key), |_| value.clone(), &guard);
                let expected = model.get_mut(&F::key(key)).map(|old| {
                    *old = value;
                    &*old
                });
                assert_eq!(new, expected);
            }
            Op::Compute(key, what) => compute::<F, R>(&map, &mut model, F::key(key), what, fresh(), &guard),
            Op::Remove(key) => {
                let removed = map.remove_entry(&F::key(key), &guard);
                assert_eq!(removed.map(|(k, v)| (k.clone(), v.clone())), model.remove_entry(&F::key(key)));
            }
            Op::Reschedule(old, new) => reschedule::<F, R>(&map, &mut model, old, new, &guard),
            Op::RescheduleMany(from, count, by) => {
                for key in from..from + count {
                    reschedule::<F, R>(&map, &mut model, key, (key + by) % 600, &guard);
                }
            }
            Op::RemoveIf(key) => {
                let wanted = key % 2 == 0;
                let result = map.remove_if(&F::key(key), |_, _| wanted, &guard);
                match model.get(&F::key(key)) {
                    Some(value) if wanted => assert_eq!(result, Ok(Some((&F::key(key), value)))),
                    Some(value) => assert_eq!(result, Err((&F::key(key), value))),
                    None => assert_eq!(result, Ok(None)),
                }
                if wanted {
                    model.remove(&F::key(key));
                }
            }
            Op::PopFirst => {
                let popped = map.pop_first(&guard).map(|(k, v)| (k.clone(), v.clone()));
                assert_eq!(popped, model.pop_first());
            }
            Op::PopLast => {
                let popped = map.pop_last(&guard).map(|(k, v)| (k.clone(), v.clone()));
                assert_eq!(popped, model.pop_last());
            }
            Op::PopFirstWhile(below, max) => {
                let below = F::key(below);
                let popped = map.pop_first_while(usize::from(max), |key, _| key < &below, &guard);
                let any = max > 0 && model.first_key_value().is_some_and(|(key, _)| key < &below);
                assert!(popped.len() <= usize::from(max) && (popped.len() > 0) == any);
                for (key, value) in popped {
                    assert!(key < &below);
                    assert_eq!(model.pop_first(), Some((key.clone(), value.clone())));
                }
            }
            Op::Get(key) => {
                let key = F::key(key);
                assert_eq!(map.get_key_value(&key, &guard), model.get_key_value(&key));
                assert_eq!(map.contains_key(&key), model.contains_key(&key));
                assert_eq!(map.get_cloned(&key), model.get(&key).cloned());
            }
            Op::Ends => {
                assert_eq!(map.first_key_value(&guard), model.first_key_value());
                assert_eq!(map.last_key_value(&guard), model.last_key_value());
            }
            Op::Bounds(key) => {
                let key = F::key(key);
                for bound in [Bound::Included(&key), Bound::Excluded(&key)] {
                    let expected = model.range((bound, Bound::Unbounded)).next();
                    assert_eq!(map.lower_bound(bound, &guard), expected);
                    let expected = model.range((Bound::Unbounded, bound)).next_back();
                    assert_eq!(map.upper_bound(bound, &guard), expected);
                }
            }
            Op::Range(start, end, turns) => {
                let (start, end) = (start.map(F::key), end.map(F::key));
                let range = (start.as_ref(), end.as_ref());
                let found = both_ends(map.range::<F::Key, _>(range, &guard), turns & turns >> 7);
                if is_valid(&start, &end) {
                    assert!(found.into_iter().eq(model.range(range)));
                } else {
                    assert!(found.is_empty());
                }
            }
            Op::Snapshot(start, end, turns) => {
                let (start, end) = (start.map(F::key), end.map(F::key));
                let range = (start.as_ref(), end.as_ref());
                let snapshot = map.range_snapshot::<F::Key, _>(range, &guard);
                let len = snapshot.len();
                let found = both_ends(snapshot, turns);
                assert_eq!(found.len(), len);
                if is_valid(&start, &end) {
                    assert!(found.into_iter().eq(model.range(range)));
                } else {
                    assert!(found.is_empty());
                }
            }
            Op::RemoveRange(start, end) => {
                let (start, end) = (start.map(F::key), end.map(F::key));
                let range = (start.as_ref(), end.as_ref());
                let before = model.len();
                if is_valid(&start, &end) {
                    let gone: Vec<_> = model.range(range).map(|(key, _)| key.clone()).collect();
                    gone.iter().for_each(|key| drop(model.remove(key)));
                }
                assert_eq!(map.remove_range::<F::Key, _>(range), before - model.len());
            }
            Op::Retain(modulus) => {
                let mut count = 0;
                let mut every = |_: &F::Key, _: &F::Value| {
                    count += 1;
                    count % modulus == 0
                };
                let kept: BTreeMap<_, _> = model
                    .iter()
                    .filter(|(key, value)| every(key, value))
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                map.retain(|key, _| kept.contains_key(key));
                model = kept;
            }
            Op::Clear => {
                map.clear();
                model.clear();
            }
            Op::Collect => {
                drop(guard);
                map.collect();
                continue;
            }
            Op::Rebuild => {
                drop(guard);
                map = both_ends(map.into_iter(), 0b1001).into_iter().collect();
                continue;
            }
            Op::Clone => {
                drop(guard);
                let clone = map.clone();
                assert_eq!(clone, map);
                map = clone;
                continue;
            }
        }
        assert_eq!(map.len(), model.len());
        assert_eq!(map.is_empty(), model.is_empty());
    }
    assert!(map.iter(&R::pin()).eq(&model));
    assert!(map.into_iter().eq(model));
}

fn compute<F: Form, R: Reclaim>(
    map: &OrderedMap<F::Key, F::Value, R, F::Layout>,
    model: &mut BTreeMap<F::Key, F::Value>,
    key: F::Key,
    what: u8,
    value: F::Value,
    guard: &R::Guard,
) {
    use latchfree::ordered_map::{Compute, Operation};

    let result = map.compute(
        key.clone(),
        |entry| match what % 3 {
            0 => Operation::Insert(value.clone()),
            1 if entry.is_some() => Operation::Remove,
            _ => Operation::Abort(entry.is_some()),
        },
        guard,
    );
    match (what % 3, model.get(&key).cloned()) {
        (0, None) => assert_eq!(result, Compute::Inserted(&key, &value)),
        (0, Some(old)) => assert_eq!(result, Compute::Updated { old: (&key, &old), new: (&key, &value) }),
        (1, Some(old)) => assert_eq!(result, Compute::Removed(&key, &old)),
        (_, old) => assert_eq!(result, Compute::Aborted(old.is_some())),
    }
    match what % 3 {
        0 => drop(model.insert(key, value)),
        1 => drop(model.remove(&key)),
        _ => {}
    }
}

fn reschedule<F: Form, R: Reclaim>(
    map: &OrderedMap<F::Key, F::Value, R, F::Layout>,
    model: &mut BTreeMap<F::Key, F::Value>,
    old: u16,
    new: u16,
    guard: &R::Guard,
) {
    let (old, new) = (F::key(old), F::key(new));
    let result = map.reschedule(&old, new.clone(), guard);
    match (model.get(&old), model.get(&new)) {
        (None, _) => assert_eq!(result, Err(RescheduleError::NotFound { key: new })),
        (Some(_), Some(there)) if old != new => {
            let expected = RescheduleError::Occupied { current_key: &new.clone(), current: there, key: new };
            assert_eq!(result, Err(expected));
        }
        (Some(value), _) => {
            assert_eq!(result, Ok(value));
            let value = model.remove(&old).expect("it is there");
            assert_eq!(map.get(&old, guard), if old == new { Some(&value) } else { None });
            assert_eq!(map.get_key_value(&new, guard), Some((&new, &value)));
            model.insert(new, value);
        }
    }
}

macro_rules! agree {
    ($($name:ident: $form:ty;)+) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(ops in prop::collection::vec(op(), 0..80)) {
                    run::<$form, Epoch>(&ops);
                    #[cfg(feature = "crossbeam")]
                    run::<$form, Crossbeam>(&ops);
                }
            )+
        }
    };
}
agree! {
    plain_keys_and_values_agree: Plain;
    plain_keys_agree: PlainKey;
    texts_agree: Text;
    opaque_keys_agree: Opaque;
    own_keys_agree: OwnKey;
    own_keys_and_values_agree: Own;
    lent_texts_agree: Lent;
}
