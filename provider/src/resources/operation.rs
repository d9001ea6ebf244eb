//! Waiting until the runtime has made a declaration true.

use std::time::Duration;

use falaj_api::client::ClientError;
use falaj_api::operation::{GetOperation, Operation};
use falaj_api::record::{Get, State};
use falaj_api::{Id, Kind, Record};
use tfplugin::{Context, Diagnostic, Interrupted};

use super::managed::get;
use crate::connection::Shared;
use crate::errors::capital;

/// Time between two looks: short at first, for what is made at once.
const POLL: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];
const SHORT_LOOKS: u32 = 10;
/// How often a runtime that stopped answering is brought back before giving up.
const RECONNECTS: u32 = 3;

/// Why a declaration is not true yet.
pub enum Unfinished {
    /// The user stopped the host.
    Stopped,
    /// The operation's timeout passed; what it was doing.
    TimedOut(String),
    /// The runtime tried and failed; why.
    Failed(String),
    /// The runtime is not there any more.
    Lost(Diagnostic),
}

impl Unfinished {
    /// What to tell the user about `what`, after at most `timeout`.
    pub fn diagnostic(self, what: &str, timeout: Duration) -> Diagnostic {
        match self {
            Self::Stopped => Diagnostic::warning(format!("Interrupted while the runtime was at work on {what}"))
                .detail("The runtime goes on by itself; the next apply takes up what it made, in place."),
            Self::TimedOut(doing) => Diagnostic::error(format!("Out of time for {what}")).detail(format!(
                "{} s passed (at last: {doing}). The runtime goes on; give it longer with `timeouts`.",
                timeout.as_secs()
            )),
            Self::Failed(reason) => Diagnostic::error(format!("The runtime could not make {what} as declared"))
                .detail(format!("{}.", capital(&reason))),
            Self::Lost(diagnostic) => diagnostic,
        }
    }
}

/// Waits until the object is ready, telling the log how far it is.
pub async fn wait<K: Kind>(ctx: &Context<Shared>, id: &Id, record: Record<K>) -> Result<Record<K>, Unfinished> {
    let mut record = record;
    let mut doing = String::new();
    let (mut lost, mut looks) = (0, 0);
    loop {
        match record.state {
            State::Ready => return Ok(record),
            State::Failed => return Err(Unfinished::Failed(failure(ctx, id, &record).await)),
            State::Creating | State::Updating | State::Deleting => {}
        }
        looks += 1;
        let [short, long] = POLL;
        match ctx.run(tokio::time::sleep(if looks <= SHORT_LOOKS { short } else { long })).await {
            Ok(()) => {}
            Err(Interrupted::Stopped) => return Err(Unfinished::Stopped),
            Err(Interrupted::TimedOut) => return Err(Unfinished::TimedOut(doing)),
        }
        match poll(ctx, id, &record).await {
            Ok((next, operation)) => {
                lost = 0;
                record = next;
                if let Some(operation) = operation {
                    let now = say(&operation);
                    if now != doing {
                        tracing::info!(id = %id, percent = operation.progress_percent, "{now}");
                    }
                    doing = now;
                }
            }
            // A runtime that was killed takes its work up again once it is started.
            Err(Poll::Call(ClientError::Unreachable { .. })) if lost < RECONNECTS => {
                lost += 1;
                if let Ok(shared) = ctx.shared() {
                    shared.forget(&id.place.cluster).await;
                }
            }
            Err(Poll::Call(error)) => {
                let what = format!("{:?}", id.place.name());
                return Err(Unfinished::Lost(crate::errors::diagnostic(&error, &what, &[])));
            }
            Err(Poll::Lost(error)) => return Err(Unfinished::Lost(error)),
        }
    }
}

enum Poll {
    Lost(Diagnostic),
    Call(ClientError),
}

async fn poll<K: Kind>(
    ctx: &Context<Shared>,
    id: &Id,
    record: &Record<K>,
) -> Result<(Record<K>, Option<Operation>), Poll> {
    let connection = ctx.shared().map_err(Poll::Lost)?.connect(&id.place.cluster).await.map_err(Poll::Lost)?;
    let operation = match &record.operation {
        Some(operation) => connection.call(&GetOperation { operation: operation.clone() }).await.ok(),
        None => None,
    };
    // Without its uid: to quote that would claim the object before any state has it.
    let unclaimed = Get { uid: None, ..get::<K>(id) };
    let next = connection.call(&unclaimed).await.map_err(Poll::Call)?;
    if next.id != record.id {
        let gone = Diagnostic::error("Deleted meanwhile").detail(format!(
            "{:?} was deleted and another made in its place while it was waited for.",
            id.place.name()
        ));
        return Err(Poll::Lost(gone));
    }
    Ok((next, operation))
}

fn say(operation: &Operation) -> String {
    let again = if operation.attempt > 1 { format!(", attempt {}", operation.attempt) } else { String::new() };
    format!("{} {:.0} %{again}: {}", operation.kind, operation.progress_percent, operation.message)
}

/// Why the last attempt failed, in the runtime's words.
async fn failure<K: Kind>(ctx: &Context<Shared>, id: &Id, record: &Record<K>) -> String {
    let operation = match (&record.operation, ctx.shared()) {
        (Some(operation), Ok(shared)) => match shared.connect(&id.place.cluster).await {
            Ok(connection) => connection.call(&GetOperation { operation: operation.clone() }).await.ok(),
            Err(_) => None,
        },
        _ => None,
    };
    match operation {
        Some(Operation { error: Some(problem), .. }) => problem.detail,
        Some(operation) if !operation.message.is_empty() => operation.message,
        _ => "the runtime gave no reason; its log is logs/server.log in the cluster's data directory".to_owned(),
    }
}
