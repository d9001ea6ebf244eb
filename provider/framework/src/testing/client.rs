//! Kinds of hosts.

use crate::Deferral;
use crate::proto::tfplugin6 as proto;
use crate::{Diagnostic, Diagnostics};

/// What a host can take, of what not every host can.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// A [`Deferral`] for an answer. No released Terraform does.
    pub defers: bool,
    /// Write-only attributes: Terraform and OpenTofu 1.11.
    pub write_only: bool,
    /// Gives the private bytes of the first plan to the second: Terraform 1.16.
    pub planned_private: bool,
    /// Blocks that the provider fills in: Terraform 1.16.
    pub computed_blocks: bool,
}

impl Default for Client {
    /// Terraform 1.16.
    fn default() -> Self {
        Self { defers: false, write_only: true, planned_private: true, computed_blocks: true }
    }
}

impl Client {
    /// A host that defers what the provider cannot plan yet.
    pub fn deferring() -> Self {
        Self { defers: true, ..Self::default() }
    }

    /// The oldest host that speaks protocol 6.
    pub fn oldest() -> Self {
        Self { defers: false, write_only: false, planned_private: false, computed_blocks: false }
    }

    pub(super) fn capabilities(self) -> Option<proto::ClientCapabilities> {
        Some(proto::ClientCapabilities {
            deferral_allowed: self.defers,
            write_only_attributes_allowed: self.write_only,
            store_planned_private: self.planned_private,
            computed_blocks_allowed: self.computed_blocks,
        })
    }

    /// The deferral in an answer, if the host may be given one.
    pub(super) fn deferral(self, deferred: Option<proto::Deferred>) -> Result<Option<Deferral>, Diagnostics> {
        use proto::deferred::Reason;
        let Some(deferred) = deferred else {
            return Ok(None);
        };
        if !self.defers {
            return Err(super::broken("Deferred without leave", "This host takes no deferral for an answer."));
        }
        match deferred.reason() {
            Reason::ResourceConfigUnknown => Ok(Some(Deferral::ResourceConfigUnknown)),
            Reason::ProviderConfigUnknown => Ok(Some(Deferral::ProviderConfigUnknown)),
            Reason::AbsentPrereq => Ok(Some(Deferral::AbsentPrerequisite)),
            Reason::Unknown => Err(super::broken("Deferred without a reason", "A deferral says why.")),
        }
    }

    /// The same as an error: where there is nothing else to go on with.
    pub(super) fn not_deferred(self, deferred: Option<proto::Deferred>) -> Result<(), Diagnostics> {
        self.deferral(deferred)?.map_or(Ok(()), |deferral| Err(Diagnostic::from(deferral).into()))
    }
}
