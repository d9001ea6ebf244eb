//! Data keys: rows of the `keys` table, wrapped by the KMS.
//!
//! A row names what its key is for: a workspace, a segment of it, a subject in that segment.
//! Everything sealed for it is sealed under keys derived from the row's, so deleting the row erases
//! all of that, wherever copies of it are.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use falaj_kms::{Context, Kms};
use uuid::Uuid;

use crate::crypto::{self, KEY_LEN, Secret};
use crate::error::Result;

/// The chain and key of what belongs to no workspace.
pub const CLUSTER: &str = "cluster";

const WORKSPACE_SEGMENT: &str = "workspace";

/// What a key is for.
///
/// The names are stored in the clear and told to the KMS: a subject is a pseudonym
/// ([`KeySet::pseudonym`]), never a person's own identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyRef {
    /// Uid of the workspace, or [`CLUSTER`].
    pub workspace: String,
    pub segment: String,
    /// Empty where the key is not one subject's.
    pub subject: String,
}

impl KeyRef {
    /// The key of a whole workspace: of its records, and of blobs that need no key of their own.
    pub fn workspace(workspace: impl Into<String>) -> Self {
        Self::segment(workspace, WORKSPACE_SEGMENT)
    }

    /// A key for one part of a workspace, such as the captures of an endpoint.
    pub fn segment(workspace: impl Into<String>, segment: impl Into<String>) -> Self {
        Self { workspace: workspace.into(), segment: segment.into(), subject: String::new() }
    }

    /// A key for one subject in a segment.
    pub fn subject(workspace: impl Into<String>, segment: impl Into<String>, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..Self::segment(workspace, segment) }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.segment)?;
        if self.subject.is_empty() {
            return Ok(());
        }
        write!(f, "/{}", self.subject)
    }
}

/// The keys derived from one row of the `keys` table.
pub struct KeySet {
    uid: Uuid,
    reference: KeyRef,
    record: Secret,
    file: Secret,
    names: Secret,
}

impl KeySet {
    pub(crate) fn derive(uid: Uuid, reference: KeyRef, root: &[u8; KEY_LEN]) -> Result<Self> {
        let derive = |purpose: &str| crypto::derive(root, uid.as_bytes(), &[purpose.as_bytes()]);
        Ok(Self {
            record: derive("falaj record key v1")?,
            file: derive("falaj file wrapping key v1")?,
            names: derive("falaj name key v1")?,
            uid,
            reference,
        })
    }

    /// Uid of the row.
    pub fn uid(&self) -> Uuid {
        self.uid
    }

    pub fn reference(&self) -> &KeyRef {
        &self.reference
    }

    pub(crate) fn record_key(&self) -> &[u8; KEY_LEN] {
        &self.record
    }

    /// The key that wraps the data keys of files; all that a process needs that only writes or
    /// reads this row's files.
    pub fn file_key(&self) -> FileKey {
        FileKey { uid: self.uid, secret: self.file.clone() }
    }

    /// The same text gives the same name within this key and purpose, and says nothing of the text
    /// to who has not the key. 64 hexadecimal digits.
    pub fn pseudonym(&self, purpose: &str, text: &[u8]) -> String {
        let mut bound = Vec::new();
        crypto::put_bytes(&mut bound, purpose.as_bytes());
        hex::encode(crypto::hmac_sha256(self.names.as_slice(), &[&bound, text]))
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet").field("uid", &self.uid).field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// Wraps and unwraps the data keys of sealed files. May be given to a process that has neither
/// database nor KMS.
#[derive(Clone)]
pub struct FileKey {
    uid: Uuid,
    secret: Secret,
}

impl FileKey {
    pub fn uid(&self) -> Uuid {
        self.uid
    }

    /// For handing the key to a child process over a pipe.
    pub fn expose(&self) -> (Uuid, &[u8; KEY_LEN]) {
        (self.uid, &self.secret)
    }

    /// The other end of [`FileKey::expose`].
    pub fn from_parts(uid: Uuid, secret: [u8; KEY_LEN]) -> Self {
        Self { uid, secret: Secret::new(secret) }
    }

    pub(crate) fn secret(&self) -> &[u8; KEY_LEN] {
        &self.secret
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileKey").field("uid", &self.uid).finish_non_exhaustive()
    }
}

/// How long unwrapped keys are kept.
#[derive(Debug, Clone, Copy)]
pub struct CachePolicy {
    /// Keys held at most; the least recently used goes first.
    pub capacity: usize,
    /// After this a key is unwrapped again, so that a disabled KMS key is noticed.
    pub max_age: Duration,
    /// For this long a key is used on while the KMS cannot be reached. A refusal ends it at once.
    pub max_age_in_outage: Duration,
}

impl Default for CachePolicy {
    fn default() -> Self {
        Self { capacity: 1024, max_age: Duration::from_secs(5 * 60), max_age_in_outage: Duration::from_secs(60 * 60) }
    }
}

struct Cached {
    keys: Arc<KeySet>,
    loaded: Instant,
    used: Instant,
}

struct State {
    cached: HashMap<KeyRef, Cached>,
    /// Rows deleted by this process: a reader that began before must not bring one back.
    erased: HashSet<Uuid>,
    /// The cluster's, for whatever has none of its own.
    default: Arc<dyn Kms>,
    services: HashMap<String, Arc<dyn Kms>>,
}

/// The KMS of each workspace, and the keys unwrapped lately.
pub(crate) struct Keyring {
    cluster: String,
    policy: CachePolicy,
    state: Mutex<State>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Keyring {
    pub(crate) fn new(cluster: String, default: Arc<dyn Kms>, policy: CachePolicy) -> Self {
        let state = State { cached: HashMap::new(), erased: HashSet::new(), default, services: HashMap::new() };
        Self { cluster, policy, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(crate) fn service(&self, workspace: &str) -> Arc<dyn Kms> {
        let state = self.state();
        state.services.get(workspace).unwrap_or(&state.default).clone()
    }

    pub(crate) fn has_own_service(&self, workspace: &str) -> bool {
        self.state().services.contains_key(workspace)
    }

    pub(crate) fn set_default_service(&self, kms: Arc<dyn Kms>) {
        self.state().default = kms;
    }

    pub(crate) fn set_service(&self, workspace: &str, kms: Arc<dyn Kms>) {
        self.state().services.insert(workspace.to_owned(), kms);
    }

    /// What the wrapped key of a row is bound to.
    pub(crate) fn context(&self, uid: Uuid, reference: &KeyRef) -> Context {
        Context::new()
            .with("falaj:cluster", &self.cluster)
            .with("falaj:key", uid.to_string())
            .with("falaj:workspace", &reference.workspace)
            .with("falaj:segment", &reference.segment)
            .with("falaj:subject", &reference.subject)
    }

    pub(crate) fn fresh(&self, reference: &KeyRef) -> Option<Arc<KeySet>> {
        self.aged(reference, self.policy.max_age)
    }

    /// For use while the KMS cannot be reached.
    pub(crate) fn stale(&self, reference: &KeyRef) -> Option<Arc<KeySet>> {
        self.aged(reference, self.policy.max_age_in_outage)
    }

    fn aged(&self, reference: &KeyRef, max_age: Duration) -> Option<Arc<KeySet>> {
        let now = Instant::now();
        let mut state = self.state();
        let cached = state.cached.get_mut(reference)?;
        if now.duration_since(cached.loaded) > max_age {
            return None;
        }
        cached.used = now;
        Some(cached.keys.clone())
    }

    pub(crate) fn remember(&self, keys: Arc<KeySet>) {
        let now = Instant::now();
        let mut state = self.state();
        if state.erased.contains(&keys.uid) {
            return;
        }
        let known = state.cached.contains_key(&keys.reference);
        if !known && state.cached.len() >= self.policy.capacity {
            let oldest = state.cached.iter().min_by_key(|(_, c)| c.used);
            if let Some(oldest) = oldest.map(|(r, _)| r.clone()) {
                state.cached.remove(&oldest);
            }
        }
        let cached = Cached { loaded: now, used: now, keys };
        state.cached.insert(cached.keys.reference.clone(), cached);
    }

    pub(crate) fn forget(&self, reference: &KeyRef, uid: Uuid) {
        let mut state = self.state();
        state.erased.insert(uid);
        if state.cached.get(reference).is_some_and(|c| c.keys.uid == uid) {
            state.cached.remove(reference);
        }
    }
}

#[cfg(test)]
mod tests {
    use falaj_kms::{FileKms, create_key_file};

    use super::*;

    fn keyring(policy: CachePolicy) -> (tempfile::TempDir, Keyring) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_key_file(&path).unwrap();
        let kms = Arc::new(FileKms::open(&path, None).unwrap());
        (dir, Keyring::new("c".into(), kms, policy))
    }

    fn keys(subject: &str) -> Arc<KeySet> {
        let reference = KeyRef::subject("w", "s", subject);
        Arc::new(KeySet::derive(Uuid::now_v7(), reference, &[1; 32]).unwrap())
    }

    #[test]
    fn the_cache_holds_no_more_than_its_capacity_and_drops_the_least_used() {
        let (_dir, ring) = keyring(CachePolicy { capacity: 2, ..CachePolicy::default() });
        let (a, b, c) = (keys("a"), keys("b"), keys("c"));
        ring.remember(a.clone());
        ring.remember(b.clone());
        assert!(ring.fresh(a.reference()).is_some());
        ring.remember(c.clone());
        assert!(ring.fresh(b.reference()).is_none(), "b was used longest ago");
        assert!(ring.fresh(a.reference()).is_some() && ring.fresh(c.reference()).is_some());
    }

    #[test]
    fn an_old_key_is_for_outages_only() {
        let policy = CachePolicy { max_age: Duration::ZERO, ..CachePolicy::default() };
        let (_dir, ring) = keyring(policy);
        let a = keys("a");
        ring.remember(a.clone());
        std::thread::sleep(Duration::from_millis(2));
        assert!(ring.fresh(a.reference()).is_none());
        assert!(ring.stale(a.reference()).is_some());
    }

    #[test]
    fn an_erased_key_cannot_be_brought_back_by_a_slow_reader() {
        let (_dir, ring) = keyring(CachePolicy::default());
        let a = keys("a");
        ring.remember(a.clone());
        ring.forget(a.reference(), a.uid());
        ring.remember(a.clone());
        assert!(ring.fresh(a.reference()).is_none() && ring.stale(a.reference()).is_none());
        let anew = keys("a");
        ring.remember(anew.clone());
        assert_eq!(ring.fresh(a.reference()).unwrap().uid(), anew.uid());
    }

    #[test]
    fn every_purpose_and_every_row_has_its_own_keys() {
        let (one, two) = (keys("a"), keys("a"));
        assert_ne!(one.record, one.file);
        assert_ne!(one.file, one.names);
        assert_ne!(one.record, two.record, "the same root under another uid");
        assert_ne!(one.pseudonym("p", b"x"), one.pseudonym("q", b"x"));
        assert_ne!(one.pseudonym("p", b"x"), two.pseudonym("p", b"x"));
        assert_eq!(one.pseudonym("p", b"x"), one.pseudonym("p", b"x"));
    }

    #[test]
    fn no_secret_is_in_what_is_printed() {
        let keys = keys("a");
        let text = format!("{keys:?} {:?}", keys.file_key());
        assert!(!text.contains("secret") && !text.contains("record"), "{text}");
    }
}
