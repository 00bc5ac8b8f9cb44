//! The compiled topic patterns of a node, for all its coordinators.
//!
//! A client may bring any pattern, and to compile one may take tens of milliseconds. So the driver's thread compiles none: the
//! protocol's edge has a heartbeat's pattern [learned](TopicPatterns::learn) before it passes the heartbeat on, one pattern at a
//! time for the whole node. What a coordinator then needs is here. If it is not (the coordinator has moved to this node,
//! or the pattern gave way to others), [`get`](TopicPatterns::get) has it compiled, and the group's next heartbeat finds it.
//!
//! What is compiled stays until [`MAX_KEPT_BYTES`] are exceeded; then the pattern that was not used for longest goes. Refusals are
//! kept alike, so that a bad pattern that comes again costs nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use trilog_protocol::topic_pattern::{InvalidPattern, TopicPattern};

/// How much memory compiled patterns and their texts take together.
const MAX_KEPT_BYTES: usize = 32 * 1024 * 1024;

/// How many patterns coordinators may have asked for that are not compiled yet. One more is asked for again later.
const MAX_WANTED: usize = 256;

/// What an entry takes beside its text and its automaton, about.
const ENTRY_BYTES: usize = 256;

/// What became of a pattern when it was compiled.
pub(crate) type Compiled = Result<Arc<TopicPattern>, InvalidPattern>;

/// Compiled patterns, and where they are compiled.
#[derive(Debug)]
pub struct TopicPatterns {
    /// Where to compile; in place if it is nowhere.
    elsewhere: Option<Handle>,
    /// One pattern is compiled at a time.
    turn: Semaphore,
    kept: Mutex<Kept>,
}

impl TopicPatterns {
    /// Patterns that are compiled on the blocking threads of this runtime.
    #[must_use]
    pub fn on(runtime: Handle) -> Arc<Self> {
        Arc::new(Self::new(Some(runtime)))
    }

    /// Patterns that are compiled by the caller, in place.
    #[must_use]
    pub fn in_place() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    fn new(elsewhere: Option<Handle>) -> Self {
        Self { elsewhere, turn: Semaphore::new(1), kept: Mutex::default() }
    }

    /// Compiles a pattern unless that has happened. May be dropped at any time.
    ///
    /// # Errors
    /// [`InvalidPattern`] says why the pattern is refused.
    ///
    /// # Panics
    /// If compiling it does.
    pub async fn learn(&self, pattern: &str) -> Result<(), InvalidPattern> {
        if let Some(known) = self.kept().get(pattern) {
            return known.map(drop);
        }
        let _turn = self.turn.acquire().await;
        if let Some(known) = self.kept().get(pattern) {
            return known.map(drop);
        }
        let text: Arc<str> = pattern.into();
        let compiled = match &self.elsewhere {
            None => compile(&text),
            Some(runtime) => {
                let text = Arc::clone(&text);
                runtime.spawn_blocking(move || compile(&text)).await.expect("compiling does not panic")
            }
        };
        self.kept().keep(&text, compiled.clone());
        compiled.map(drop)
    }

    /// Whether a pattern was compiled or refused, and either is remembered.
    #[must_use]
    pub fn knows(&self, pattern: &str) -> bool {
        self.kept().patterns.contains_key(pattern)
    }

    /// A pattern, if it is compiled. Otherwise it will be, soon.
    pub(crate) fn get(self: &Arc<Self>, pattern: &Arc<str>) -> Option<Compiled> {
        let mut kept = self.kept();
        if let Some(known) = kept.get(pattern) {
            return Some(known);
        }
        let Some(runtime) = &self.elsewhere else {
            let compiled = compile(pattern);
            kept.keep(pattern, compiled.clone());
            return Some(compiled);
        };
        if kept.wanted.len() < MAX_WANTED && kept.wanted.insert(Arc::clone(pattern)) {
            let (patterns, pattern) = (Arc::clone(self), Arc::clone(pattern));
            runtime.spawn(async move {
                // That it is refused, whoever asks again is told.
                let _ = patterns.learn(&pattern).await;
                patterns.kept().wanted.remove(&pattern);
            });
        }
        None
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compile(pattern: &str) -> Compiled {
    TopicPattern::new(pattern).map(Arc::new)
}

/// Invariants: `by_use` names each of `patterns` once, under its last use; `bytes` is their sum.
#[derive(Debug, Default)]
struct Kept {
    patterns: HashMap<Arc<str>, Entry>,
    by_use: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    uses: u64,
    /// Those that coordinators asked for and that are not compiled yet.
    wanted: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Entry {
    compiled: Compiled,
    bytes: usize,
    last_use: u64,
}

impl Kept {
    fn get(&mut self, pattern: &str) -> Option<Compiled> {
        let entry = self.patterns.get_mut(pattern)?;
        self.uses += 1;
        if let Some(text) = self.by_use.remove(&entry.last_use) {
            self.by_use.insert(self.uses, text);
        }
        entry.last_use = self.uses;
        Some(entry.compiled.clone())
    }

    fn keep(&mut self, pattern: &Arc<str>, compiled: Compiled) {
        if self.patterns.contains_key(pattern) {
            return;
        }
        self.uses += 1;
        let automaton = compiled.as_ref().map_or(0, |pattern| pattern.bytes());
        let bytes = automaton + pattern.len() + ENTRY_BYTES;
        self.patterns.insert(Arc::clone(pattern), Entry { compiled, bytes, last_use: self.uses });
        self.by_use.insert(self.uses, Arc::clone(pattern));
        self.bytes += bytes;
        while self.bytes > MAX_KEPT_BYTES
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.bytes -= self.patterns.remove(&oldest).map_or(0, |entry| entry.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_learned_is_there_and_what_was_refused_stays_refused() {
        let patterns = TopicPatterns::on(Handle::current());
        assert_eq!(patterns.learn("orders-.*").await, Ok(()));
        assert!(patterns.get(&"orders-.*".into()).unwrap().is_ok());
        let refusal = patterns.learn("[a").await.unwrap_err();
        assert_eq!(patterns.get(&"[a".into()).unwrap().unwrap_err(), refusal);
    }

    #[tokio::test]
    async fn what_is_not_there_comes_soon() {
        let patterns = TopicPatterns::on(Handle::current());
        let wanted: Arc<str> = "orders-.*".into();
        assert!(patterns.get(&wanted).is_none() && patterns.get(&wanted).is_none());
        assert_eq!(patterns.kept().wanted.len(), 1, "it is compiled once");
        while patterns.get(&wanted).is_none() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn the_pattern_that_was_not_used_for_longest_goes() {
        let mut kept = Kept::default();
        let long = |number: usize| Arc::from(format!("[a{}]{number}", "b".repeat(MAX_KEPT_BYTES / 4)));
        let refused = || Err(InvalidPattern::TooLong);
        let texts: Vec<Arc<str>> = (0..4).map(long).collect();
        for text in &texts[..3] {
            kept.keep(text, refused());
        }
        assert!(kept.get(&texts[0]).is_some());
        kept.keep(&texts[3], refused());
        assert!(kept.get(&texts[1]).is_none(), "the others were used since");
        assert!(kept.get(&texts[0]).is_some() && kept.get(&texts[3]).is_some());
        assert_eq!(kept.patterns.len(), kept.by_use.len());
        assert_eq!(kept.bytes, kept.patterns.values().map(|entry| entry.bytes).sum::<usize>());
    }
}
