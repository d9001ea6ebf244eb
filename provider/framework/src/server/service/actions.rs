//! Actions on the wire.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;

use super::convert::{self, decode, diagnostics};
use super::{Inner, no_such};
use crate::action::Progress;
use crate::erased::{AnyAction, Scope};
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::invoke_action::event::{Completed, Progress as Said, Type as Happening};
use crate::{Diagnostic, Diagnostics, Provider};

/// How many lines wait for the host at most.
const WAITING: usize = 16;

impl<P: Provider> Inner<P> {
    fn action(&self, name: &str) -> Result<&dyn AnyAction<P::Shared>, Diagnostics> {
        self.registry.actions.get(name).map(AsRef::as_ref).ok_or_else(|| no_such("action", name))
    }

    pub async fn validate_action(
        &self,
        request: proto::validate_action_config::Request,
    ) -> proto::validate_action_config::Response {
        let checked = async {
            let action = self.action(&request.action_type)?;
            let config = decode(request.config, action.kind())?;
            Ok::<_, Diagnostics>(action.validate(self.scope(), config).await)
        };
        let found = checked.await.unwrap_or_else(|errors| errors);
        proto::validate_action_config::Response { diagnostics: diagnostics(found) }
    }

    pub async fn plan_action(&self, request: proto::plan_action::Request) -> proto::plan_action::Response {
        tracing::debug!(action = request.action_type, "plan");
        let client = convert::client(request.client_capabilities);
        let planned = async {
            let action = self.action(&request.action_type)?;
            let config = decode(request.config, action.kind())?;
            Ok::<_, Diagnostics>(action.plan(Scope { client, ..self.scope() }.ready()?, config).await)
        };
        let found = planned.await.unwrap_or_else(|errors| errors);
        let (diagnostics, deferred) = convert::deferred(client, found);
        proto::plan_action::Response { diagnostics, deferred }
    }

    /// What the action says, and at last that it is completed. It runs to its
    /// end even if the host hangs up; a stop cancels it.
    pub fn invoke_action(
        self: &Arc<Self>,
        request: proto::invoke_action::Request,
    ) -> BoxStream<proto::invoke_action::Event> {
        tracing::debug!(action = request.action_type, "invoke");
        let (out, said) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        let inner = Arc::clone(self);
        self.operations.spawn(async move {
            let done = async {
                let action = inner.action(&request.action_type)?;
                let config = decode(request.config, action.kind())?;
                Ok::<_, Diagnostics>(action.invoke(inner.scope(), config, Progress(out)).await)
            };
            // Nobody is left to be told if the host has hung up.
            drop(end.send(done.await.unwrap_or_else(|errors| errors)));
        });
        let completed = async {
            let lost = || Diagnostic::error("The action ended without a word").detail("This is a bug in the provider.");
            let found = ended.await.unwrap_or_else(|_| lost().into());
            Happening::Completed(Completed { diagnostics: diagnostics(found) })
        };
        let said = ReceiverStream::new(said).map(|message| Happening::Progress(Said { message }));
        let events = said.chain(stream::once(completed));
        Box::pin(events.map(|happening| Ok(proto::invoke_action::Event { r#type: Some(happening) })))
    }
}
