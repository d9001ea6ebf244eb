//! List resources on the wire.

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxStream;

use super::convert::{self, decode, diagnostics, encode};
use super::{Inner, no_such};
use crate::erased::{AnyListResource, Bounds, Listed};
use crate::proto::tfplugin6 as proto;
use crate::{Diagnostic, Diagnostics, Provider};

/// How many objects wait for the host at most.
const WAITING: usize = 16;

impl<P: Provider> Inner<P> {
    fn list_resource(&self, name: &str) -> Result<&dyn AnyListResource<P::Shared>, Diagnostics> {
        self.registry.list_resources.get(name).map(AsRef::as_ref).ok_or_else(|| no_such("list resource", name))
    }

    pub async fn validate_list(
        &self,
        request: proto::validate_list_resource_config::Request,
    ) -> proto::validate_list_resource_config::Response {
        let checked = async {
            let list = self.list_resource(&request.type_name)?;
            let config = decode(request.config, list.kind())?;
            Ok::<_, Diagnostics>(list.validate(self.scope(), config).await)
        };
        let found = checked.await.unwrap_or_else(|errors| errors);
        proto::validate_list_resource_config::Response { diagnostics: diagnostics(found) }
    }

    /// The objects as they are found. The query runs on its own; it learns from
    /// the next object that the host has hung up.
    pub fn list(self: &Arc<Self>, request: proto::list_resource::Request) -> BoxStream<proto::list_resource::Event> {
        tracing::debug!(resource = request.type_name, "list");
        let (out, listed) = mpsc::channel(WAITING);
        let (inner, include_resource) = (Arc::clone(self), request.include_resource_object);
        let type_name = request.type_name.clone();
        self.operations.spawn(async move {
            let said = inner.query(request, out.clone()).await;
            if !said.is_empty() {
                // Nobody is left to be told if the host has hung up.
                drop(out.send(Listed::Said(said)).await);
            }
        });
        let inner = Arc::clone(self);
        let event = move |listed| Ok(inner.list_event(&type_name, include_resource, listed));
        Box::pin(ReceiverStream::new(listed).map(event))
    }

    async fn query(&self, request: proto::list_resource::Request, out: mpsc::Sender<Listed>) -> Diagnostics {
        let queried = async {
            let list = self.list_resource(&request.type_name)?;
            let config = decode(request.config, list.kind())?;
            let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
            let bounds = Bounds { limit, include_resource: request.include_resource_object };
            Ok::<_, Diagnostics>(list.list(self.scope(), config, bounds, out).await)
        };
        queried.await.unwrap_or_else(|errors| errors)
    }

    fn list_event(&self, type_name: &str, include_resource: bool, listed: Listed) -> proto::list_resource::Event {
        let (display_name, state) = match listed {
            Listed::Said(said) => {
                return proto::list_resource::Event { diagnostic: diagnostics(said), ..Default::default() };
            }
            Listed::Object { display_name, state } => (display_name, state),
        };
        let state = state.nulls_for_unknowns();
        let identity = self.registry.resources.get(type_name).and_then(|resource| resource.identity(&state));
        let anonymous = identity.is_none().then(|| {
            Diagnostics::from(
                Diagnostic::error(format!("{display_name} of {type_name} was found without an identity"))
                    .detail("This is a bug in the provider."),
            )
        });
        proto::list_resource::Event {
            identity: convert::identity(identity.as_ref()),
            resource_object: if include_resource { encode(&state) } else { None },
            display_name,
            diagnostic: diagnostics(anonymous.unwrap_or_default()),
        }
    }
}
