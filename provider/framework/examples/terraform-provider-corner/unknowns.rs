//! Values that only the apply tells, with and without something known before.

use tfplugin::{Attr, Diagnostic, Diagnostics, Model, Plan, Refinement};

use super::kept::{Change, Object};

/// Something whose id begins with what is known at plan.
#[derive(Model, Debug, Clone)]
pub struct Place {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// `place/<name>/<number>`; all but the number is known at plan.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// In what it lies: the id of another place, whose name must be known at plan.
    #[attr(optional)]
    within: Attr<String>,
    /// A label that nothing depends on.
    #[attr(optional)]
    label: Attr<String>,
    /// What the address is made of.
    #[attr(optional)]
    street: Attr<String>,
    /// Changes with the street alone.
    #[attr(computed, depends_on = ["street"])]
    address: Attr<String>,
    /// Changes with the address, and so with the street.
    #[attr(computed, depends_on = ["address"])]
    door: Attr<String>,
    /// Counts every change.
    #[attr(computed, depends_on = ["*"])]
    changes: Attr<i64>,
    /// Chosen by the provider where the user does not.
    #[attr(optional, computed)]
    colour: Attr<String>,
    /// The first place in the chain of `within`, known at plan.
    #[attr(computed)]
    root: Attr<String>,
}

impl Object for Place {
    const TYPE: &'static str = "corner_place";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn plan(plan: &mut Plan<Self>) -> Result<(), Diagnostics> {
        if let (true, Some(name)) = (plan.planned.id.is_unknown(), plan.planned.name.known()) {
            plan.planned.id = Attr::Unknown(Refinement::not_null().with_prefix(format!("place/{name}/")));
        }
        // What is known of the other's id suffices, even while it is unknown.
        let within = &plan.config.within;
        if let Some(prefix) = within.known_prefix() {
            let root = prefix.split('/').nth(1).filter(|_| prefix.matches('/').count() == 2);
            let root = root.ok_or_else(|| Diagnostic::error(format!("`{prefix}` is no place")).at("within"))?;
            plan.planned.root = root.into();
        } else if within.is_null() {
            plan.planned.root = Attr::Null;
        }
        Ok(())
    }

    fn complete(&mut self, change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        let name = self.name.clone().or_default();
        if self.id.is_unknown() {
            self.id = format!("place/{name}/1").into();
        }
        if self.address.is_unknown() {
            self.address = self.street.as_ref().map(|street| format!("1 {street}"));
        }
        if self.door.is_unknown() {
            self.door = self.address.as_ref().map(|address| format!("{address}, left"));
        }
        if self.changes.is_unknown() {
            let before = change.prior.and_then(|prior| prior.changes.known().copied()).unwrap_or(0);
            self.changes = (before + 1).into();
        }
        if self.colour.is_unknown() {
            self.colour = "grey".into();
        }
        if self.root.is_unknown() {
            self.root = self.within.as_deref().and_then(|id| id.split('/').nth(1)).map(str::to_owned).into();
        }
        Ok(())
    }
}
