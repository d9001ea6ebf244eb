//! Uploads: bytes by their SHA-256, sealed under the workspace's key.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Extension, Path, Request, State},
    response::{IntoResponse, Response},
    routing::put,
};
use falaj_api::{
    Problem,
    blob::{BlobInfo, GetBlobInfo, UPLOAD_PATH},
    call::Done,
};
use falaj_store::Digest;
use futures::StreamExt;

use crate::{
    control::Control,
    http::{Routes, authorise, problem_response},
    identity::Principal,
    scope::scope,
    stored::store_problem,
};

/// An upload may have this many bytes.
const LIMIT: u64 = 8 << 30;

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    routes.call::<GetBlobInfo, _, _>(info).merge(Router::new().route(UPLOAD_PATH, put(upload)))
}

async fn info(control: Arc<Control>, _: Principal, call: GetBlobInfo) -> Result<BlobInfo, Problem> {
    let digest = parse(&call.digest)?;
    let workspace = workspace_uid(&control, &call.workspace).await?;
    let present = control.store.blobs().exists(&workspace, &digest).await.map_err(store_problem)?;
    Ok(BlobInfo { present })
}

async fn upload(
    State(control): State<Arc<Control>>,
    Extension(caller): Extension<Principal>,
    Path((workspace, digest)): Path<(String, String)>,
    request: Request,
) -> Response {
    match receive(&control, &caller, &workspace, &digest, request).await {
        Ok(done) => Json(done).into_response(),
        Err(problem) => {
            control.note_refusal(&caller, UPLOAD_PATH, &problem).await;
            problem_response(&problem)
        }
    }
}

async fn receive(
    control: &Control,
    caller: &Principal,
    workspace: &str,
    digest: &str,
    request: Request,
) -> Result<Done, Problem> {
    authorise(caller)?;
    let digest = parse(digest)?;
    let workspace = workspace_uid(control, workspace).await?;
    let mut writer = control.store.blobs().writer(&workspace).await.map_err(store_problem)?;
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(400, "cut", "The upload was cut", "the body ended early; send it again"))?;
        if writer.written() + chunk.len() as u64 > LIMIT {
            return Err(Problem::new(413, "too-large", "Too large", format!("an upload may have {LIMIT} bytes")));
        }
        writer.append(&chunk).map_err(store_problem)?;
    }
    writer.finish_as(digest).await.map_err(|error| {
        Problem::new(
            422,
            "digest",
            "The bytes are not what was announced",
            format!("{error}; the file may have changed while it was read"),
        )
    })?;
    Ok(Done {})
}

fn parse(digest: &str) -> Result<Digest, Problem> {
    digest.parse().map_err(|error: falaj_store::StoreError| Problem::invalid("/digest", error.to_string()))
}

async fn workspace_uid(control: &Control, name: &str) -> Result<String, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    Ok(scope(&mut session, Some(name)).await?.workspace()?.uid.clone())
}
