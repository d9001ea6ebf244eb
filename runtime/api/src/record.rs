//! What the runtime remembers of a declared object, and the four calls every
//! kind of object has.

use std::marker::PhantomData;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::call::{Call, Done, Method};

/// A kind of declared object.
pub trait Kind: Send + Sync + 'static {
    /// The noun: the same in HCL, in ids, in the API and in the code.
    const NAME: &'static str;
    /// Path of one object, with `{name}` and, inside a workspace, `{workspace}`.
    const PATH: &'static str;
    /// Path of all of them.
    const LIST_PATH: &'static str;
    /// What the user declares.
    type Spec: Clone + std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What the runtime made of it: facts of what was declared, not live ones.
    type Status: Clone + std::fmt::Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// Where an object stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Creating,
    Ready,
    Updating,
    Failed,
    Deleting,
}

impl State {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Updating => "updating",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

/// An object as the runtime remembers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Record<K: Kind> {
    /// The whole id, [`crate::Id`].
    pub id: String,
    pub name: String,
    /// Rises with each change of `spec`.
    pub generation: i64,
    pub state: State,
    pub spec: K::Spec,
    pub status: K::Status,
    /// The operation that is making the declaration true, or the last that tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Creates an object, or changes one.
///
/// Without `uid` it creates: a record of the same name that nobody has read
/// back by its id yet is adopted, any other is a conflict. With `uid` it
/// changes that object and no other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Put<K: Kind> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    pub spec: K::Spec,
}

/// Reads an object. Quoting its `uid` claims it: from then on a create of the
/// same name is refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Get<K: Kind> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

/// Deletes an object, with everything that exists only for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct Delete<K: Kind> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    pub name: String,
    pub uid: String,
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

/// Lists the objects of a kind, by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "", deny_unknown_fields)]
pub struct List<K: Kind> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    #[serde(skip)]
    pub kind: PhantomData<K>,
}

impl<K: Kind> Call for Put<K> {
    const METHOD: Method = Method::Put;
    const PATH: &'static str = K::PATH;
    type Response = Record<K>;
}

impl<K: Kind> Call for Get<K> {
    const METHOD: Method = Method::Get;
    const PATH: &'static str = K::PATH;
    type Response = Record<K>;
}

impl<K: Kind> Call for Delete<K> {
    const METHOD: Method = Method::Delete;
    const PATH: &'static str = K::PATH;
    type Response = Done;
}

impl<K: Kind> Call for List<K> {
    const METHOD: Method = Method::Get;
    const PATH: &'static str = K::LIST_PATH;
    type Response = Vec<Record<K>>;
}
