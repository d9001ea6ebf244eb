//! Ephemeral resources on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use super::convert::{self, decode, diagnostics, encode};
use super::{Inner, no_such};
use crate::erased::{AnyEphemeralResource, Scope};
use crate::proto::tfplugin6 as proto;
use crate::{Diagnostics, Provider};

impl<P: Provider> Inner<P> {
    fn ephemeral(&self, name: &str) -> Result<&dyn AnyEphemeralResource<P::Shared>, Diagnostics> {
        let found = self.registry.ephemeral_resources.get(name);
        found.map(AsRef::as_ref).ok_or_else(|| no_such("ephemeral resource", name))
    }

    pub async fn validate_ephemeral(
        &self,
        request: proto::validate_ephemeral_resource_config::Request,
    ) -> proto::validate_ephemeral_resource_config::Response {
        let checked = async {
            let ephemeral = self.ephemeral(&request.type_name)?;
            let config = decode(request.config, ephemeral.kind())?;
            Ok::<_, Diagnostics>(ephemeral.validate(self.scope(), config).await)
        };
        let found = checked.await.unwrap_or_else(|errors| errors);
        proto::validate_ephemeral_resource_config::Response { diagnostics: diagnostics(found) }
    }

    pub async fn open_ephemeral(
        &self,
        request: proto::open_ephemeral_resource::Request,
    ) -> proto::open_ephemeral_resource::Response {
        tracing::debug!(ephemeral = request.type_name, "open");
        let client = convert::client(request.client_capabilities);
        let opened = async {
            let ephemeral = self.ephemeral(&request.type_name)?;
            let config = decode(request.config, ephemeral.kind())?;
            Ok::<_, Diagnostics>(ephemeral.open(Scope { client, ..self.scope() }.ready()?, config).await)
        };
        match opened.await {
            Ok(lease) => {
                let (diagnostics, deferred) = convert::deferred(client, lease.diagnostics);
                proto::open_ephemeral_resource::Response {
                    renew_at: lease.renew_at.map(timestamp),
                    result: encode(&lease.result),
                    private: Some(lease.private.into()),
                    diagnostics,
                    deferred,
                }
            }
            Err(errors) => {
                let (diagnostics, deferred) = convert::deferred(client, errors);
                proto::open_ephemeral_resource::Response { diagnostics, deferred, ..Default::default() }
            }
        }
    }

    pub async fn renew_ephemeral(
        &self,
        request: proto::renew_ephemeral_resource::Request,
    ) -> proto::renew_ephemeral_resource::Response {
        tracing::debug!(ephemeral = request.type_name, "renew");
        let private = request.private.unwrap_or_default();
        let renewed = async {
            let ephemeral = self.ephemeral(&request.type_name)?;
            Ok::<_, Diagnostics>(ephemeral.renew(self.scope(), private.to_vec()).await)
        };
        match renewed.await {
            Ok(lease) => proto::renew_ephemeral_resource::Response {
                renew_at: lease.renew_at.map(timestamp),
                private: Some(lease.private.into()),
                diagnostics: diagnostics(lease.diagnostics),
            },
            Err(errors) => proto::renew_ephemeral_resource::Response {
                renew_at: None,
                private: Some(private),
                diagnostics: diagnostics(errors),
            },
        }
    }

    pub async fn close_ephemeral(
        &self,
        request: proto::close_ephemeral_resource::Request,
    ) -> proto::close_ephemeral_resource::Response {
        tracing::debug!(ephemeral = request.type_name, "close");
        let closed = async {
            let ephemeral = self.ephemeral(&request.type_name)?;
            Ok::<_, Diagnostics>(ephemeral.close(self.scope(), request.private.unwrap_or_default().to_vec()).await)
        };
        let found = closed.await.unwrap_or_else(|errors| errors);
        proto::close_ephemeral_resource::Response { diagnostics: diagnostics(found) }
    }
}

/// A time before 1970 is due at once, as that moment is.
fn timestamp(time: SystemTime) -> proto::Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    proto::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}
