//! "Not in this run": what a provider answers when it cannot plan yet.

use crate::{Diagnostic, Diagnostics};

/// Why an operation cannot be planned in this run.
///
/// Provider code returns it as an error, from [`crate::Provider::configure`],
/// from [`crate::Resource::plan`], `read` and `import`, from
/// [`crate::DataSource::read`], [`crate::EphemeralResource::open`] and
/// [`crate::Action::plan`]. A host that defers plans the rest, and comes back
/// in a later run; any other is told in words what to do. Deferred by
/// `configure`, everything of this provider is, without a call to its code.
///
/// ```
/// # use tfplugin::{Attr, Context, Deferral, Diagnostic, Diagnostics};
/// # struct Model { cluster_id: Attr<String> }
/// # fn plan(model: &Model) -> Result<(), Diagnostics> {
/// if model.cluster_id.is_unknown() {
///     return Err(Diagnostic::from(Deferral::ResourceConfigUnknown).at("cluster_id").into());
/// }
/// # Ok(())
/// # }
/// # assert!(plan(&Model { cluster_id: Attr::unknown() }).is_err_and(|errors| errors.deferral().is_some()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deferral {
    /// A part of the object's configuration is not known yet.
    ResourceConfigUnknown,
    /// A part of the provider's configuration is not known yet.
    ProviderConfigUnknown,
    /// Something that the object cannot do without does not exist yet.
    AbsentPrerequisite,
}

impl From<Deferral> for Diagnostic {
    /// What a host that does not defer shows.
    fn from(deferral: Deferral) -> Self {
        let (summary, missing) = match deferral {
            Deferral::ResourceConfigUnknown => (
                "The configuration is not known yet",
                "A part of the configuration that planning needs is known only after an apply",
            ),
            Deferral::ProviderConfigUnknown => (
                "The provider's configuration is not known yet",
                "A part of the provider's configuration is known only after an apply",
            ),
            Deferral::AbsentPrerequisite => {
                ("What this needs does not exist yet", "Something that this cannot do without does not exist yet")
            }
        };
        let detail = format!(
            "{missing}. Make that first, with `-target=<its address>`, then the rest; a host that defers actions does so by itself."
        );
        let mut diagnostic = Self::error(summary).detail(detail);
        diagnostic.deferral = Some(deferral);
        diagnostic
    }
}

impl From<Deferral> for Diagnostics {
    fn from(deferral: Deferral) -> Self {
        Diagnostic::from(deferral).into()
    }
}

impl Diagnostics {
    /// The deferral that these messages are, if no other error is among them.
    pub fn deferral(&self) -> Option<Deferral> {
        let mut errors = self.iter().filter(|diagnostic| diagnostic.is_error());
        let first = errors.next()?.deferral?;
        errors.all(|error| error.deferral.is_some()).then_some(first)
    }

    /// Takes the deferral out, and leaves the warnings.
    pub(crate) fn take_deferral(&mut self) -> Option<Deferral> {
        let deferral = self.deferral()?;
        *self = std::mem::take(self).into_iter().filter(|diagnostic| !diagnostic.is_error()).collect();
        Some(deferral)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_beside_a_deferral_is_an_error() {
        let deferral = || Diagnostic::from(Deferral::AbsentPrerequisite);
        let mut found = Diagnostics::from(vec![Diagnostic::warning("w"), deferral(), deferral()]);
        assert_eq!(found.take_deferral(), Some(Deferral::AbsentPrerequisite));
        assert_eq!(found, Diagnostic::warning("w").into());
        assert_eq!(found.take_deferral(), None);

        let mut found = Diagnostics::from(vec![deferral(), Diagnostic::error("e")]);
        assert_eq!((found.take_deferral(), found.len()), (None, 2));
    }
}
