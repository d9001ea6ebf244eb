//! What is kept no longer: captures past their time, blobs that nothing refers
//! to, and everything of a workspace that is gone.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use falaj_api::{
    Kind, Problem,
    feature_store::{FeatureStore, FeatureStoreSpec, Location},
};
use falaj_store::{Digest, records, versions};

use crate::{
    control::Control,
    stored::{from_json, store_problem},
};

/// How often it is looked although nothing was deleted.
const PERIOD: Duration = Duration::from_secs(3600);
/// A blob is put before the record that refers to it: it gets a day.
const GRACE: Duration = Duration::from_secs(86_400);
/// How long captures are kept where no feature store says it.
const CAPTURES: Duration = Duration::from_secs(30 * 86_400);

/// Sweeps until the server stops.
pub async fn keeper(control: Arc<Control>) {
    loop {
        if let Err(problem) = sweep(&control).await {
            tracing::error!(%problem, "what is kept too long could not be deleted");
        }
        tokio::select! {
            () = control.stop.cancelled() => return,
            () = control.deleted.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn sweep(control: &Control) -> Result<(), Problem> {
    let workspaces = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        records::list_kind(&mut session, "workspace").await.map_err(store_problem)?
    };
    let known: HashSet<&str> = workspaces.iter().map(|workspace| workspace.uid.as_str()).collect();
    for uid in directories(&control.store.dir().join("blobs")) {
        if !known.contains(uid.as_str()) {
            control.store.blobs().delete_workspace(&uid).await.map_err(store_problem)?;
        }
    }
    for uid in directories(&control.host.data.root().join("captures")) {
        if !known.contains(uid.as_str()) {
            remove(&control.host.data.root().join("captures").join(&uid));
        }
    }
    for workspace in &workspaces {
        workspace_sweep(control, &workspace.uid).await?;
    }
    Ok(())
}

async fn workspace_sweep(control: &Control, uid: &str) -> Result<(), Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let mut referenced = versions::artifacts(&mut session, uid).await.map_err(store_problem)?;
    let mut keep_captures: Option<Duration> = None;
    for store in records::list(&mut session, FeatureStore::NAME, uid).await.map_err(store_problem)? {
        let spec: FeatureStoreSpec = from_json(store.spec)?;
        if let Location::Upload { digest } = &spec.source.location {
            referenced.extend(digest.parse::<Digest>().ok());
        }
        if let Some(declared) = spec.retention.captures {
            keep_captures = Some(keep_captures.map_or(declared.as_std(), |kept| kept.min(declared.as_std())));
        }
    }
    let endpoints = records::list(&mut session, "endpoint", uid).await.map_err(store_problem)?;
    drop(session);
    control.store.blobs().collect(uid, &referenced, GRACE).await.map_err(store_problem)?;
    let endpoints: HashSet<&str> = endpoints.iter().map(|endpoint| endpoint.uid.as_str()).collect();
    let captures = control.host.data.root().join("captures").join(uid);
    let expired = SystemTime::now().checked_sub(keep_captures.unwrap_or(CAPTURES)).unwrap_or(SystemTime::UNIX_EPOCH);
    for endpoint in directories(&captures) {
        let directory = captures.join(&endpoint);
        if endpoints.contains(endpoint.as_str()) {
            expire(&directory, expired);
        } else {
            remove(&directory);
        }
    }
    Ok(())
}

/// Deletes the files that were closed before a moment.
fn expire(directory: &Path, before: SystemTime) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if entry.metadata().and_then(|data| data.modified()).is_ok_and(|closed| closed < before) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        tracing::warn!(%error, directory = %directory.display(), "a directory could not be deleted");
    }
}

/// Names of the directories in a directory; none where it does not exist.
fn directories(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    #[test]
    fn only_what_was_closed_before_the_moment_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("old");
        std::fs::write(&old, b"").unwrap();
        let past = SystemTime::now() - Duration::from_secs(100);
        std::fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
        std::fs::write(dir.path().join("new"), b"").unwrap();
        super::expire(dir.path(), SystemTime::now() - Duration::from_secs(50));
        assert!(!old.exists() && dir.path().join("new").exists());
    }
}
