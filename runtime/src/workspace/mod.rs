//! Workspaces: the unit of keys, access and budget.

use falaj_api::{
    KeyUri, Problem,
    record::State,
    workspace::{Environment, Workspace, WorkspaceSpec, WorkspaceStatus},
};
use falaj_store::{Session, Store, Tx, records};

use crate::{
    control::Control,
    data_dir::DataDir,
    key,
    noun::Noun,
    scope::{Scope, WorkspaceScope},
    stored::{from_json, store_problem},
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
            let rule = control.residency(Some(&scope)).await?;
            key::open(control.host.data.root(), key, rule.as_ref(), "/spec/kms_key").await?;
        }
        let key = spec.kms_key.as_ref().unwrap_or(&control.cluster.spec.kms_key);
        if spec.environment != Environment::Development && matches!(key.uri, KeyUri::File { .. }) {
            let detail = format!(
                "{} is a file, which is for development only: use a key service, or environment = \"development\"",
                key.uri
            );
            return Err(Problem {
                pointer: Some("/spec/environment".into()),
                ..Problem::refused("key-custody", detail)
            });
        }
        let Some(prior) = prior else { return Ok(WorkspaceStatus::default()) };
        let before: WorkspaceSpec = from_json(prior.spec.clone())?;
        if before.kms_key != spec.kms_key {
            let detail =
                format!("the workspace {name:?} is sealed under another key; its key cannot be changed in place");
            return Err(Problem { pointer: Some("/spec/kms_key".into()), ..Problem::conflict(detail) });
        }
        from_json(prior.status.clone())
    }

    /// From here on everything in the workspace is sealed under its own key.
    async fn declared(control: &Control, _: &mut Tx, _: &Scope, record: &records::Record) -> Result<State, Problem> {
        let spec: WorkspaceSpec = from_json(record.spec.clone())?;
        if let Some(key) = &spec.kms_key {
            let (kms, _) = key::open(control.host.data.root(), key, None, "/spec/kms_key").await?;
            control.store.set_workspace_kms(&record.uid, kms).map_err(store_problem)?;
        }
        Ok(State::Ready)
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

/// Names the keys of the workspaces that have their own; before they are used.
///
/// # Errors
/// A key cannot be used.
pub async fn open_keys(data: &DataDir, store: &Store) -> anyhow::Result<()> {
    let workspaces = records::list_kind(&mut *store.read().await?, "workspace").await?;
    for workspace in workspaces {
        let spec: WorkspaceSpec = serde_json::from_value(workspace.spec)?;
        if let Some(key) = &spec.kms_key {
            let (kms, _) = key::open(data.root(), key, spec.residency.as_ref(), "/spec/kms_key").await?;
            store.set_workspace_kms(&workspace.uid, kms)?;
        }
    }
    Ok(())
}
