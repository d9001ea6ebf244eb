//! Typed resources, data sources and functions behind one face of values, so
//! that the server can hold them by name.

mod action;
mod data_source;
mod ephemeral;
mod function;
mod list_resource;
mod resource;
mod saved;
mod validation;

use std::any::Any;
use std::ffi::OsStr;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

pub use action::{AnyAction, TypedAction};
pub use data_source::{AnyDataSource, TypedDataSource};
pub use ephemeral::{AnyEphemeralResource, TypedEphemeralResource};
pub use function::{AnyFunction, Parameter, TypedFunction};
pub use list_resource::{AnyListResource, Bounds, Listed, TypedListResource};
pub use resource::{AnyResource, Applied, Change, Planned, TypedResource};
pub(crate) use validation::check;

use crate::schema::Attribute;
use crate::{Context, Deferral, Diagnostic, Diagnostics, Model, Value};

/// What surrounds every operation of a provider.
#[derive(Debug)]
pub struct Scope<S> {
    /// What the configuration made, if there was one.
    pub shared: Option<Arc<S>>,
    /// Cancelled on StopProvider.
    pub cancellation: CancellationToken,
    /// What the host can take.
    pub client: Client,
    /// What the module's `provider_meta` says; null if nothing.
    pub meta: Value,
    /// Why everything of this provider is deferred.
    pub deferral: Option<Deferral>,
    /// Whether what leaves is held against the host's rules.
    pub checks: bool,
}

/// What a host can take, of what not every host can.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client {
    /// A deferral for an answer.
    pub may_defer: bool,
    /// Write-only attributes.
    pub write_only: bool,
    /// Blocks that the provider fills in.
    pub computed_blocks: bool,
}

impl<S> Scope<S> {
    /// The deferral of the whole provider, for what cannot be done then.
    pub fn ready(self) -> Result<Self, Diagnostics> {
        self.deferral.map_or(Ok(self), |deferral| Err(deferral.into()))
    }

    /// The context of one operation that may take `timeout`.
    pub fn context(self, timeout: Duration) -> Context<S> {
        Context::new(self, timeout)
    }
}

/// Planning and validating look at the configuration; an hour is beyond any
/// patience.
pub const PLAN_TIMEOUT: Duration = Duration::from_secs(3600);

/// Runs provider code; a panic in it becomes an error of this one object.
pub async fn guarded<T, E: From<Diagnostic>>(
    subject: impl fmt::Display,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => Err(crashed(subject, panic.as_ref()).into()),
    }
}

/// One object in words: its type, and its id or name as far as they are known
/// and no secret.
/// The address in the configuration is the host's to add; it does not tell it.
pub struct Subject<'v>(pub &'static str, pub &'v [Attribute], pub &'v Value);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        for attribute in ["id", "name"] {
            if self.1.iter().any(|declared| declared.name == attribute && declared.sensitive) {
                continue;
            }
            match self.2.get(attribute) {
                Value::String(text) => return write!(f, " ({attribute} `{text}`)"),
                Value::Unknown(known) => {
                    if let Some(prefix) = known.prefix() {
                        return write!(f, " ({attribute} `{prefix}...`)");
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The message for a panic in the code of `subject`.
pub fn crashed(subject: impl fmt::Display, panic: &(dyn Any + Send)) -> Diagnostic {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Diagnostic::error(format!("The provider crashed in {subject}"))
        .detail(format!("This is a bug in the provider: {text}. Other objects are not affected."))
}

/// In debug and test builds, and in release where `TFPLUGIN_CHECK_CONTRACTS`
/// says so.
pub fn contracts_are_checked() -> bool {
    cfg!(debug_assertions) || is_asked(std::env::var_os("TFPLUGIN_CHECK_CONTRACTS").as_deref())
}

fn is_asked(variable: Option<&OsStr>) -> bool {
    variable.is_some_and(|value| !["", "0", "false", "off"].iter().any(|no| value.eq_ignore_ascii_case(no)))
}

/// The diagnostics of a result and of the context it was made in.
pub fn collect<S>(ctx: &Context<S>, result: Result<(), Diagnostics>) -> Diagnostics {
    let mut diagnostics = ctx.take_diagnostics();
    if let Err(errors) = result {
        diagnostics.append(errors);
    }
    diagnostics
}

/// Reads a model while some of it may be unknown: `None` if it has fields that
/// have no place for that, and their values are not known yet.
pub fn read_known<M: Model>(value: &Value) -> Result<Option<M>, Diagnostics> {
    match M::from_value(value) {
        Ok(model) => Ok(Some(model)),
        Err(error) if error.is_unknown() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A configuration as an object: a host sends null for a block that the user
/// left out.
pub fn whole(config: Value) -> Value {
    if config.is_null() { Value::Map(Default::default()) } else { config }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Type;
    use crate::schema::{Kind, Mode};

    #[test]
    fn an_object_is_named_by_what_is_known_of_it() {
        let object = |id: Value| Value::from_iter([("id", id), ("name", Value::from("n"))]);
        let prefix = Value::Unknown(crate::Refinement::none().with_prefix("a/"));
        let said: Vec<_> = [object("a/1".into()), object(prefix), object(Value::unknown()), Value::Null]
            .iter()
            .map(|object| Subject("t", &[], object).to_string())
            .collect();
        assert_eq!(said, ["t (id `a/1`)", "t (id `a/...`)", "t (name `n`)", "t"]);
        let id = Attribute::new("id", Kind::Plain(Type::String), Mode::Computed);
        let secret = [Attribute { sensitive: true, ..id }];
        assert_eq!(Subject("t", &secret, &object("a/1".into())).to_string(), "t (name `n`)");
    }

    #[test]
    fn a_release_build_checks_contracts_where_the_variable_says_so() {
        let asked = |value: &str| is_asked(Some(OsStr::new(value)));
        assert!(!is_asked(None));
        for no in ["", "0", "false", "OFF"] {
            assert!(!asked(no), "{no}");
        }
        for yes in ["1", "true", "yes"] {
            assert!(asked(yes), "{yes}");
        }
        assert!(contracts_are_checked(), "this is a test build");
    }
}
