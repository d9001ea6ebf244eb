//! Reading and stopping long work.

use std::sync::Arc;

use falaj_api::{
    Problem,
    operation::{CancelOperation, GetOperation, Operation, OperationState},
    record::State,
};
use falaj_store::{operations, records};

use crate::{
    control::Control,
    http::Routes,
    identity::Principal,
    stored::{from_json, store_problem},
};

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    routes.call::<GetOperation, _, _>(read).call::<CancelOperation, _, _>(cancel)
}

async fn read(control: Arc<Control>, _: Principal, call: GetOperation) -> Result<Operation, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let found = operations::get(&mut session, &call.operation).await.map_err(store_problem)?;
    present(found.ok_or_else(|| missing(&call.operation))?)
}

async fn cancel(control: Arc<Control>, _: Principal, call: CancelOperation) -> Result<Operation, Problem> {
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let found = operations::get(&mut tx, &call.operation).await.map_err(store_problem)?;
    let found = found.ok_or_else(|| missing(&call.operation))?;
    if found.state != OperationState::Running {
        return present(found);
    }
    let cancelled = operations::Outcome::Cancelled;
    let ended = operations::finish(&mut tx, &found.id, found.attempt, cancelled, "it was cancelled")
        .await
        .map_err(store_problem)?;
    records::set_state(&mut tx, &found.target_uid, State::Failed).await.map_err(store_problem)?;
    tx.commit().await.map_err(store_problem)?;
    control.work.notify_one();
    present(ended)
}

fn present(operation: operations::Operation) -> Result<Operation, Problem> {
    Ok(Operation {
        id: operation.id,
        kind: operation.kind,
        target: operation.target_uid,
        state: operation.state,
        attempt: operation.attempt,
        progress_percent: operation.progress_percent,
        message: operation.message,
        error: operation.error.map(from_json).transpose()?,
        created_at: operation.created_at,
        updated_at: operation.updated_at,
    })
}

fn missing(id: &str) -> Problem {
    Problem::not_found(format!("the operation {id:?}"))
}
