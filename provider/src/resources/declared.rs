//! What tells one kind of declared object from another.

use std::collections::BTreeMap;
use std::time::Duration;

use falaj_api::id::Prefix;
use falaj_api::record::Get;
use falaj_api::{Id, Kind};
use tfplugin::{Attr, Context, DefaultTimeouts, Diagnostics, Plan};

use crate::attributes::Object;
use crate::attributes::labels::Labels;
use crate::attributes::posture::Facts;
use crate::connection::{Connection, Shared};
use crate::errors;

/// A kind of declared object, as [`super::managed::Managed`] needs to know it.
pub trait Declared: Send + Sync + 'static {
    type Kind: Kind;
    type Model: Object;
    /// `falaj_model`.
    const NAME: &'static str;
    /// The attribute that names the parent, and the parent's noun.
    const PARENT: (&'static str, &'static str);

    fn timeouts() -> DefaultTimeouts {
        DefaultTimeouts::all(Duration::from_secs(600))
    }

    fn parent(model: &Self::Model) -> &Attr<String>;

    fn parent_mut(model: &mut Self::Model) -> &mut Attr<String>;

    /// What the posture follows from, besides the place.
    fn facts(_model: &Self::Model) -> Facts {
        Facts::default()
    }

    /// Checks a configuration of which parts may be unknown, by itself.
    fn validate(_config: &Self::Model) -> Diagnostics {
        Diagnostics::new()
    }

    /// Completes a plan, and checks it against `place`, its own place as far as known.
    fn plan(
        _ctx: &Context<Shared>,
        _place: Option<&Prefix>,
        _plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Diagnostics> + Send {
        async { Diagnostics::new() }
    }

    /// Does what must be done before the declaration is put.
    fn prepare(
        _ctx: &Context<Shared>,
        _connection: &Connection,
        _place: &Prefix,
        _model: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// The declaration, every part known, under these labels.
    fn spec(model: &Self::Model, labels: Labels) -> Result<<Self::Kind as Kind>::Spec, Diagnostics>;

    /// The labels of a declaration.
    fn labels(spec: &<Self::Kind as Kind>::Spec) -> &Labels;

    /// Takes over what the runtime has on record, where that is not what the
    /// model declares.
    fn declare(
        model: &mut Self::Model,
        spec: &<Self::Kind as Kind>::Spec,
        finder: &Finder<'_>,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// Takes over what the runtime made of the declaration.
    fn observe(_model: &mut Self::Model, _status: &<Self::Kind as Kind>::Status) {}

    /// Makes unknown what [`Declared::observe`] takes over. None of it may be
    /// planned as not null: an interruption leaves it null.
    fn expect(_model: &mut Self::Model) {}
}

/// Finds the ids of what a declaration names.
pub struct Finder<'c> {
    pub connection: &'c Connection,
    pub place: &'c Prefix,
}

impl Finder<'_> {
    /// The id of the object of this name, in the same workspace where its kind is in one.
    pub async fn id<K: Kind>(&self, name: &str) -> Result<String, Diagnostics> {
        let workspace = if K::PATH.contains("{workspace}") { self.place.workspace.clone() } else { None };
        let get = Get::<K> { workspace, name: name.to_owned(), uid: None, kind: std::marker::PhantomData };
        let found = self.connection.call(&get).await;
        let what = format!("the {} {name:?}", K::NAME.replace('_', " "));
        found.map(|record| record.id).map_err(|error| errors::diagnostic(&error, &what, &[]).into())
    }
}

/// Ids by name, of those that the state already has: what a declaration names
/// is looked up only where the state does not know it.
pub fn known_ids<'m>(ids: impl Iterator<Item = &'m Attr<String>>) -> BTreeMap<String, String> {
    let named = ids.filter_map(|id| {
        let text = id.known()?;
        let id: Id = text.parse().ok()?;
        Some((id.place.name().to_owned(), text.clone()))
    });
    named.collect()
}
