//! Where an object is declared: in the cluster, or in one of its workspaces.

use falaj_api::{
    Kind, Problem,
    workspace::{Workspace, WorkspaceSpec},
};
use falaj_store::{Session, records};

use crate::stored::{from_json, store_problem};

/// Where an object is declared.
#[derive(Clone, Debug)]
pub struct Scope {
    pub workspace: Option<WorkspaceScope>,
}

#[derive(Clone, Debug)]
pub struct WorkspaceScope {
    pub uid: String,
    pub name: String,
    pub spec: WorkspaceSpec,
}

impl Scope {
    /// Uid of the workspace, or the empty text.
    #[must_use]
    pub fn parent(&self) -> &str {
        self.workspace.as_ref().map_or("", |workspace| workspace.uid.as_str())
    }

    /// Whose key seals the object's record, and whose audit chain it is told in.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.workspace.as_ref().map_or(falaj_store::CLUSTER, |workspace| workspace.uid.as_str())
    }

    /// # Errors
    /// The object is not in a workspace: a fault of the caller's code.
    pub fn workspace(&self) -> Result<&WorkspaceScope, Problem> {
        self.workspace.as_ref().ok_or_else(|| Problem::internal("a workspace was expected"))
    }
}

/// Finds the workspace by name.
///
/// # Errors
/// There is no such workspace.
pub async fn scope(session: &mut Session, workspace: Option<&str>) -> Result<Scope, Problem> {
    let Some(name) = workspace else { return Ok(Scope { workspace: None }) };
    let record = records::get(session, Workspace::NAME, "", name).await.map_err(store_problem)?;
    let record = record.ok_or_else(|| gone::<Workspace>(name))?;
    let spec = from_json(record.spec)?;
    Ok(Scope { workspace: Some(WorkspaceScope { uid: record.uid, name: record.name, spec }) })
}

/// Finds an object by name, with its declaration.
///
/// # Errors
/// There is no such object.
pub async fn find<K: Kind>(
    session: &mut Session,
    scope: &Scope,
    name: &str,
    pointer: &str,
) -> Result<(records::Record, K::Spec), Problem> {
    let record = records::get(session, K::NAME, scope.parent(), name).await.map_err(store_problem)?;
    let Some(record) = record else {
        let place = scope.workspace.as_ref().map(|w| format!(" in the workspace {:?}", w.name)).unwrap_or_default();
        return Err(Problem::invalid(pointer, format!("there is no {} {name:?}{place}", K::NAME)));
    };
    let spec = from_json(record.spec.clone())?;
    Ok((record, spec))
}

/// The answer where an object is not there (any more).
pub fn gone<K: Kind>(name: &str) -> Problem {
    Problem::not_found(format!("the {} {name:?}", K::NAME.replace('_', " ")))
}
