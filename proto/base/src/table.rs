//! The table of machines, and the index that finds them by what the wire says.

use crate::{Key, Rng};
use std::{
    borrow::Borrow,
    fmt,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
};

/// A table of machines by id: look-up is an index and a comparison, a walk goes by place and is the
/// same in every run. A place is used again, its generation never; a place whose generations are
/// used up is retired.
#[derive(Clone)]
pub struct Table<K, T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    key: PhantomData<fn() -> K>,
}

#[derive(Clone)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<K: Key, T> Table<K, T> {
    /// Makes an empty table.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            key: PhantomData,
        }
    }

    /// Stores `value` and returns its id.
    ///
    /// # Panics
    ///
    /// If 2³² places are in use.
    pub fn insert(&mut self, value: T) -> K {
        self.insert_with(|_| value)
    }

    /// Stores what `make` returns for the id that it will have.
    ///
    /// # Panics
    ///
    /// If 2³² places are in use.
    pub fn insert_with(&mut self, make: impl FnOnce(K) -> T) -> K {
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            let key = K::from_parts(entry.generation, index);
            entry.value = Some(make(key));
            return key;
        }
        let index = u32::try_from(self.entries.len()).expect("fewer than 2^32 places");
        let key = K::from_parts(0, index);
        self.entries.push(Entry {
            generation: 0,
            value: Some(make(key)),
        });
        key
    }

    /// The id that the next value will have: for values that must know it before they exist.
    ///
    /// # Panics
    ///
    /// If 2³² places are in use.
    pub fn next_key(&self) -> K {
        match self.free.last() {
            Some(&index) => K::from_parts(self.entries[index as usize].generation, index),
            None => K::from_parts(
                0,
                u32::try_from(self.entries.len()).expect("fewer than 2^32 places"),
            ),
        }
    }

    /// Looks a value up.
    pub fn get(&self, key: K) -> Option<&T> {
        let (generation, index) = key.parts();
        let entry = self.entries.get(index as usize)?;
        (entry.generation == generation)
            .then_some(entry.value.as_ref())
            .flatten()
    }

    /// Looks a value up to change it.
    pub fn get_mut(&mut self, key: K) -> Option<&mut T> {
        let (generation, index) = key.parts();
        let entry = self.entries.get_mut(index as usize)?;
        (entry.generation == generation)
            .then_some(entry.value.as_mut())
            .flatten()
    }

    /// True if `key` is alive.
    pub fn contains(&self, key: K) -> bool {
        self.get(key).is_some()
    }

    /// Takes a value out; its id is dead from then on.
    pub fn remove(&mut self, key: K) -> Option<T> {
        let (generation, index) = key.parts();
        let entry = self.entries.get_mut(index as usize)?;
        if entry.generation != generation {
            return None;
        }
        let value = entry.value.take()?;
        // A generation is never handed out twice: at the last one the place is retired.
        if let Some(next) = entry.generation.checked_add(1) {
            entry.generation = next;
            self.free.push(index);
        }
        Some(value)
    }

    /// How many values are stored.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True if nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Walks all values by place.
    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        (0u32..).zip(&self.entries).filter_map(|(index, entry)| {
            let value = entry.value.as_ref()?;
            Some((K::from_parts(entry.generation, index), value))
        })
    }

    /// Walks all values by place, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        (0u32..)
            .zip(&mut self.entries)
            .filter_map(|(index, entry)| {
                let key = K::from_parts(entry.generation, index);
                Some((key, entry.value.as_mut()?))
            })
    }

    /// All ids by place, detached from the table: for walks that remove.
    pub fn keys(&self) -> Vec<K> {
        self.iter().map(|(key, _)| key).collect()
    }
}

impl<K: Key, T> Default for Table<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Key, T: fmt::Debug> fmt::Debug for Table<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Finds a machine by a key of the wire (branch, Call-ID and tags, address).
///
/// Hashed with keys from the agent's randomness, so that no peer can aim at one bucket, and without
/// any way to walk it: hash order must not reach the outside.
#[derive(Clone)]
pub struct Index<K, V> {
    #[expect(
        clippy::disallowed_types,
        reason = "never walked, keyed from the agent's own randomness"
    )]
    map: std::collections::HashMap<K, V, SeededHash>,
}

impl<K: Hash + Eq, V> Index<K, V> {
    /// Makes an empty index whose hash is keyed from `rng`.
    #[expect(
        clippy::disallowed_types,
        reason = "the one place where the map is made"
    )]
    pub fn new(rng: &mut Rng) -> Self {
        let hash = SeededHash(rng.u64(), rng.u64());
        Self {
            map: std::collections::HashMap::with_hasher(hash),
        }
    }

    /// Stores `value`, and returns what stood there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.map.insert(key, value)
    }

    /// Looks a value up.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key)
    }

    /// Looks a value up to change it.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.map.get_mut(key)
    }

    /// Takes a value out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let value = self.map.remove(key);
        if self.map.is_empty() && self.map.capacity() > SHRINK_ABOVE {
            self.map.shrink_to(SHRINK_ABOVE);
        }
        value
    }

    /// How many keys are stored.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True if no key is stored.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl<K, V> fmt::Debug for Index<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({})", self.map.len())
    }
}

/// SipHash of the standard library, keyed by prefixing two secret words.
#[derive(Clone)]
struct SeededHash(u64, u64);

impl BuildHasher for SeededHash {
    #[expect(
        deprecated,
        reason = "the only keyed SipHash of the standard library that takes no global randomness"
    )]
    type Hasher = std::hash::SipHasher;

    fn build_hasher(&self) -> Self::Hasher {
        #[expect(deprecated, reason = "see above")]
        std::hash::SipHasher::new_with_keys(self.0, self.1)
    }
}

/// An empty index keeps room for this many keys: a burst of calls must not pin memory for ever.
const SHRINK_ABOVE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct ThingId(u32, u32);

    impl Key for ThingId {
        fn from_parts(generation: u32, index: u32) -> Self {
            Self(generation, index)
        }

        fn parts(self) -> (u32, u32) {
            (self.0, self.1)
        }
    }

    #[test]
    fn an_id_is_never_handed_out_twice() {
        let mut table = Table::<ThingId, u8>::new();
        let first = table.insert(1);
        assert_eq!(table.remove(first), Some(1));
        let next = table.next_key();
        let second = table.insert(2);
        assert_eq!(next, second);
        assert_ne!(first, second);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&2));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_walk_goes_by_place() {
        let mut table = Table::<ThingId, u8>::new();
        let ids: Vec<_> = (0..4).map(|n| table.insert(n)).collect();
        table.remove(ids[1]);
        table.insert(9);
        assert_eq!(
            table.iter().map(|(_, v)| *v).collect::<Vec<_>>(),
            [0, 9, 2, 3]
        );
        assert_eq!(table.keys().len(), 4);
    }

    #[test]
    fn a_place_at_its_last_generation_is_retired() {
        let mut table = Table::<ThingId, u8>::new();
        let id = table.insert(1);
        table.entries[0].generation = u32::MAX;
        assert_eq!(table.get(id), None);
        let last = ThingId::from_parts(u32::MAX, 0);
        assert_eq!(table.remove(last), Some(1));
        assert_eq!(table.insert(2).parts(), (0, 1));
    }

    #[test]
    fn the_index_finds_by_borrowed_keys() {
        let mut index = Index::<String, u8>::new(&mut Rng::from_seed([7; 32]));
        assert_eq!(index.insert("a".to_owned(), 1), None);
        assert_eq!(index.get("a"), Some(&1));
        assert_eq!(index.remove("a"), Some(1));
        assert!(index.is_empty());
    }
}
