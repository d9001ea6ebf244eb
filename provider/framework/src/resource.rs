//! Managed resources: a typed model plus a few async functions.

use crate::duration::DefaultTimeouts;
use crate::schema::{Attribute, Schema};
use crate::{AttributePath, Context, Diagnostic, Diagnostics, Model, Value};

/// A kind of object that the provider manages.
///
/// Only `create`, `read`, `update` and `delete` must be written. The host
/// calls `plan` before, and again within, every apply; operations of several
/// objects run at the same time.
///
/// An implementor writes these as plain `async fn`.
pub trait Resource: Send + Sync + 'static {
    /// What the provider's configuration makes: [`crate::Provider::Shared`].
    type Shared: Send + Sync + 'static;
    /// The attributes.
    type Model: Model;
    /// The name in configurations, for example `falaj_workspace`.
    const NAME: &'static str;
    /// Raised when saved state needs [`Resource::upgrade`].
    const VERSION: i64 = 0;

    /// How long operations may take where the configuration does not say.
    fn default_timeouts(&self) -> DefaultTimeouts {
        DefaultTimeouts::default()
    }

    /// Checks a configuration beyond what its attributes check. Parts of it
    /// may be unknown, and the provider may not be configured.
    fn validate(
        &self,
        _ctx: &Context<Self::Shared>,
        _config: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Completes the plan of a create or an update, after the framework has
    /// applied defaults and marked what a change makes unknown.
    fn plan(
        &self,
        _ctx: &Context<Self::Shared>,
        _plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Checks that the object may be destroyed, at plan.
    fn plan_destroy(
        &self,
        _ctx: &Context<Self::Shared>,
        _prior: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Makes the object as planned and returns its state, every attribute
    /// known. Of what failed, [`Failure::partial`] keeps the part that exists.
    ///
    /// When the user stopped the host, state with unknowns left may be
    /// returned with `Ok`: they are saved as null, with a warning, and the next
    /// plan updates the object in place.
    fn create(
        &self,
        ctx: &Context<Self::Shared>,
        plan: Plan<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Failure<Self::Model>>> + Send;

    /// Reads the object as it is; `None` if it is gone.
    fn read(
        &self,
        ctx: &Context<Self::Shared>,
        state: Self::Model,
    ) -> impl Future<Output = Result<Option<Self::Model>, Diagnostics>> + Send;

    /// Changes the object as planned and returns its state. After a failure
    /// without partial state the prior state is kept.
    fn update(
        &self,
        ctx: &Context<Self::Shared>,
        plan: Plan<Self::Model>,
    ) -> impl Future<Output = Result<Self::Model, Failure<Self::Model>>> + Send;

    /// Destroys the object. One that is gone already is no error.
    fn delete(
        &self,
        ctx: &Context<Self::Shared>,
        state: Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// Finds an existing object; what is returned is read at once, so the
    /// attributes that lead to it suffice.
    fn import(
        &self,
        _ctx: &Context<Self::Shared>,
        _import: Import,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send {
        async {
            Err(Diagnostic::error("Import is not supported")
                .detail(format!("{} cannot be imported.", Self::NAME))
                .into())
        }
    }

    /// The attributes of the resource's identity, if it has one:
    /// `Some(IdentitySchema::of::<MyIdentity>())`.
    fn identity_schema(&self) -> Option<IdentitySchema> {
        None
    }

    /// The identity of an object in this state, as the value of the identity's
    /// model. Never changes in the life of an object.
    fn identity(&self, _state: &Self::Model) -> Option<Value> {
        None
    }

    /// Rewrites state saved under an older schema version into the current shape.
    fn upgrade(
        &self,
        version: i64,
        _state: serde_json::Value,
    ) -> impl Future<Output = Result<serde_json::Value, Diagnostics>> + Send {
        async move {
            Err(Diagnostic::error("State of another release")
                .detail(format!(
                    "The state of this {} has schema version {version}; this provider knows version {} and no way between them.",
                    Self::NAME,
                    Self::VERSION
                ))
                .into())
        }
    }

    /// Rewrites an identity saved under an older version of
    /// [`Resource::identity_schema`] into the current shape.
    fn upgrade_identity(
        &self,
        version: i64,
        _identity: serde_json::Value,
    ) -> impl Future<Output = Result<serde_json::Value, Diagnostics>> + Send {
        async move {
            Err(Diagnostic::error("Identity of another release")
                .detail(format!(
                    "The identity of this {} has version {version}; this provider knows no way from it to its own.",
                    Self::NAME
                ))
                .into())
        }
    }

    /// Takes over an object that was saved as another type, of this or of
    /// another provider: what a `moved` block between types asks for. It is
    /// read at once, so the attributes that lead to it suffice.
    fn move_from(
        &self,
        _ctx: &Context<Self::Shared>,
        source: MoveSource,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send {
        async move {
            Err(Diagnostic::error("Move is not supported")
                .detail(format!("A {} of {} cannot become a {}.", source.type_name, source.provider, Self::NAME))
                .into())
        }
    }

    /// Completes a configuration generated for an existing object: `config` has
    /// what a user can set and what is not there by default. Of attributes that
    /// exclude each other one must go.
    fn generate_config(&self, config: Self::Model) -> Result<Self::Model, Diagnostics> {
        Ok(config)
    }

    /// The schema, made of the model.
    fn schema(&self) -> Schema {
        Schema { version: Self::VERSION, ..Self::Model::schema() }
    }
}

/// A change of one object, being planned or applied.
#[derive(Debug, Clone)]
pub struct Plan<M> {
    /// As configured; parts may be unknown while planning.
    pub config: M,
    /// As it was; `None` when it is to be created.
    pub prior: Option<M>,
    /// As it is to be. Computed attributes may be unknown.
    pub planned: M,
    pub(crate) replace: Vec<AttributePath>,
}

impl<M> Plan<M> {
    /// A plan without reasons to replace.
    pub fn new(config: M, prior: Option<M>, planned: M) -> Self {
        Self { config, prior, planned, replace: Vec::new() }
    }

    /// Whether the object is to be created.
    pub fn is_create(&self) -> bool {
        self.prior.is_none()
    }

    /// Makes a change of the attribute at `path` need a new object. Without an
    /// actual change there it has no effect.
    pub fn require_replace(&mut self, path: impl Into<AttributePath>) {
        self.replace.push(path.into());
    }
}

/// How a create or an update failed, and what it reached.
#[derive(Debug)]
pub struct Failure<M> {
    /// Why.
    pub diagnostics: Diagnostics,
    /// The object as far as it exists. After a create with partial state the
    /// host replaces the object in the next apply; without any it forgets it.
    pub state: Option<M>,
}

impl<M> Failure<M> {
    /// A failure that left the object in `state`; unknowns in it become null.
    pub fn partial(state: M, diagnostics: impl Into<Diagnostics>) -> Self {
        Self { diagnostics: diagnostics.into(), state: Some(state) }
    }
}

impl<M> From<Diagnostics> for Failure<M> {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { diagnostics, state: None }
    }
}

impl<M> From<Diagnostic> for Failure<M> {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}

/// What a user gave to find an existing object.
#[derive(Debug, Clone)]
pub enum Import {
    /// The text after the address, or `id` in an import block.
    Id(String),
    /// `identity` in an import block.
    Identity(Value),
}

impl Import {
    /// The id, if it was given.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Identity(_) => None,
        }
    }

    /// The identity, if it was given and is one.
    pub fn identity<I: Model>(&self) -> Option<I> {
        match self {
            Self::Identity(value) => I::from_value(value).ok(),
            Self::Id(_) => None,
        }
    }
}

/// An object as another type has saved it.
#[derive(Debug, Clone)]
pub struct MoveSource {
    /// The provider's address, for example `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The type, for example `aws_sagemaker_endpoint`.
    pub type_name: String,
    /// The version of that type's schema.
    pub version: i64,
    /// The state.
    pub state: serde_json::Value,
    /// The other provider's own bytes beside it.
    pub private: Vec<u8>,
    /// The identity, where that type has one, and its version.
    pub identity: Option<(i64, serde_json::Value)>,
}

/// The attributes that tell an object from every other of its type.
#[derive(Debug, Clone)]
pub struct IdentitySchema {
    /// Raised when the attributes change.
    pub version: i64,
    /// A required attribute must be given to import, an optional one may.
    pub attributes: Vec<Attribute>,
}

impl IdentitySchema {
    /// The attributes of a model, version 0.
    pub fn of<I: Model>() -> Self {
        Self { version: 0, attributes: I::attributes() }
    }

    /// The same under another version.
    #[must_use]
    pub fn version(self, version: i64) -> Self {
        Self { version, ..self }
    }
}
