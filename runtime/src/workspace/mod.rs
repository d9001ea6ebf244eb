//! Workspaces: the unit of keys, access and budget.

use falaj_api::KeyUri;
use falaj_api::{
    Problem,
    workspace::{Environment, Workspace, WorkspaceSpec, WorkspaceStatus},
};
use falaj_store::{Session, Tx, records};

use crate::{
    control::{Control, store_problem},
    noun::{Noun, Scope, WorkspaceScope, from_json},
};

impl Noun for Workspace {
    async fn admit(
        control: &Control,
        _: &Scope,
        name: &str,
        spec: &WorkspaceSpec,
        prior: Option<&records::Record>,
    ) -> Result<WorkspaceStatus, Problem> {
        let scope = WorkspaceScope { uid: String::new(), name: name.to_owned(), spec: spec.clone() };
        control.permit(Some(&scope), &control.cluster.spec.region, "/spec/residency").await?;
        if let Some(key) = &spec.kms_key {
            return Err(Problem::invalid(
                "/spec/kms_key",
                format!(
                    "a key of a workspace's own ({}) is not in this release: leave it out to use the cluster's",
                    key.uri
                ),
            ));
        }
        if spec.environment != Environment::Development
            && matches!(control.cluster.spec.kms_key.uri, KeyUri::File { .. })
        {
            return Err(Problem::refused(
                "key-custody",
                "the cluster's key is a file, which is for development only: use a key service, or environment = \"development\"",
            ));
        }
        match prior {
            Some(prior) => from_json(prior.status.clone()),
            None => Ok(WorkspaceStatus::default()),
        }
    }

    async fn removable(_: &Control, session: &mut Session, _: &Scope, record: &records::Record) -> Result<(), Problem> {
        let children = records::list_children(session, &record.uid).await.map_err(store_problem)?;
        if children.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = children.iter().map(|child| format!("{} {:?}", child.kind, child.name)).collect();
        Err(Problem::conflict(format!(
            "the workspace {:?} is not empty: it holds {}; destroy these first",
            record.name,
            left.join(", ")
        )))
    }

    /// Without its keys nothing of the workspace can be read again, wherever a
    /// copy may be.
    async fn removed(tx: &mut Tx, record: &records::Record) -> Result<(), Problem> {
        tx.erase_workspace_keys(&record.uid).await.map_err(store_problem)?;
        Ok(())
    }

    fn wake(control: &Control) {
        control.serving.wake();
        control.deleted.notify_one();
    }
}
