//! Reaching the cluster of an object that a state has, and no other.

use std::sync::Arc;

use falaj_api::Id;
use tfplugin::{Attr, Context, Diagnostic, Interrupted};

use crate::connection::{Connection, Shared};
use crate::errors::capital;

/// Why the cluster of an object is not there, and whether the user gave it up.
pub struct Unreachable {
    pub abandoned: bool,
    /// The same plan repairs it: until then its objects are taken as they were.
    pub awaits_repair: bool,
    pub problem: Diagnostic,
}

/// The cluster that an object was made in; empty where nobody has remembered.
pub struct Owner {
    pub cluster_uid: String,
    pub machine_id: String,
}

/// A connection to the cluster of `what`, which is `owner` and no other of the
/// same name. Whatever else there is, nothing is taken for gone.
pub async fn reach(
    ctx: &Context<Shared>,
    cluster: &str,
    owner: Owner,
    what: &str,
) -> Result<Arc<Connection>, Unreachable> {
    let connected = match ctx.shared() {
        Ok(shared) => shared.connect(cluster).await,
        Err(error) => Err(error),
    };
    let uid = owner.cluster_uid;
    let problem = match connected {
        Ok(connection) if uid.is_empty() || uid == connection.runtime.cluster_uid => return Ok(connection),
        Ok(connection) => Diagnostic::error(format!("Another cluster of the name {cluster:?}")).detail(format!(
            "{} belongs to the cluster with the uid {uid}; here is the one with the uid {}. Say how the right one is reached in the provider's `connections`, or run where it lives.",
            capital(what),
            connection.runtime.cluster_uid
        )),
        Err(problem) => problem,
    };
    let awaits_repair = ctx.try_shared().is_some_and(|shared| shared.broken(cluster).is_some());
    if awaits_repair || uid.is_empty() {
        return Err(Unreachable { abandoned: false, awaits_repair, problem });
    }
    if std::env::var("FALAJ_ABANDON").is_ok_and(|given_up| given_up == uid) {
        let detail = format!("{} FALAJ_ABANDON says that the cluster is given up.", problem.detail);
        return Err(Unreachable { abandoned: true, awaits_repair, problem: problem.detail(detail) });
    }
    let machine = match owner.machine_id.as_str() {
        "" => String::new(),
        machine => format!(" It lived on the machine {machine}."),
    };
    let detail = format!(
        "{}{machine} If the cluster is lost for good, FALAJ_ABANDON={uid} in the environment lets a destroy forget it.",
        problem.detail
    );
    Err(Unreachable { abandoned: false, awaits_repair, problem: problem.detail(detail) })
}

/// Reads back the id that the state of an object has.
pub fn known_id(id: &Attr<String>) -> Result<Id, Diagnostic> {
    let text = id.as_deref().unwrap_or_default();
    text.parse().map_err(|problem: String| Diagnostic::error("The state has no valid id").detail(problem).at("id"))
}

/// The error of a call that was given up.
pub fn given_up(reason: Interrupted, what: &str) -> Diagnostic {
    match reason {
        Interrupted::Stopped => Diagnostic::error(format!("Stopped while asking about {what}")),
        Interrupted::TimedOut => Diagnostic::error(format!("No answer in time about {what}"))
            .detail("`timeouts` says how long each operation may take."),
    }
}
