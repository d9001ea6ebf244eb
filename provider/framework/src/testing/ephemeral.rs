//! The life of one ephemeral resource: opened, renewed, closed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::Request;

use super::{Client, Config, broken, wire};
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::provider_server::Provider as _;
use crate::server::service::Service;
use crate::{Diagnostics, Provider, Type, Value};

/// An ephemeral resource that is open.
pub struct Ephemeral<P: Provider> {
    service: Service<P>,
    name: String,
    result: Value,
    renew_at: Option<SystemTime>,
    private: Option<bytes::Bytes>,
}

fn time(stamp: proto::Timestamp) -> SystemTime {
    let seconds = u64::try_from(stamp.seconds).unwrap_or_default();
    UNIX_EPOCH + Duration::new(seconds, u32::try_from(stamp.nanos).unwrap_or_default())
}

impl<P: Provider> Ephemeral<P> {
    pub(super) async fn open(
        service: Service<P>,
        name: &str,
        kind: &Type,
        client: Client,
        config: impl Config,
    ) -> Result<Self, Diagnostics> {
        let config = wire::encode(&config.into_value(kind));
        let request =
            proto::validate_ephemeral_resource_config::Request { type_name: name.into(), config: config.clone() };
        let answer = service.validate_ephemeral_resource_config(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()?;
        let request = proto::open_ephemeral_resource::Request {
            type_name: name.into(),
            config,
            client_capabilities: client.capabilities(),
        };
        let opened = wire::answer(service.open_ephemeral_resource(Request::new(request)).await)?;
        wire::diagnostics(opened.diagnostics).into_result()?;
        client.not_deferred(opened.deferred)?;
        let result = wire::decode(opened.result, kind)?;
        if result.is_null() || !result.is_wholly_known() {
            return Err(broken("Invalid result", "Every attribute must be known once it is open."));
        }
        let (renew_at, private) = (opened.renew_at.map(time), opened.private);
        Ok(Self { service, name: name.to_owned(), result, renew_at, private })
    }

    /// The attributes.
    pub fn result(&self) -> &Value {
        &self.result
    }

    /// When it wants to be renewed.
    pub fn renew_at(&self) -> Option<SystemTime> {
        self.renew_at
    }

    /// Renews it.
    ///
    /// # Errors
    /// What the provider says is wrong; it stays open.
    pub async fn renew(&mut self) -> Result<(), Diagnostics> {
        let request =
            proto::renew_ephemeral_resource::Request { type_name: self.name.clone(), private: self.private.clone() };
        let renewed = wire::answer(self.service.renew_ephemeral_resource(Request::new(request)).await)?;
        wire::diagnostics(renewed.diagnostics).into_result()?;
        (self.renew_at, self.private) = (renewed.renew_at.map(time), renewed.private);
        Ok(())
    }

    /// Closes it.
    ///
    /// # Errors
    /// What the provider says is wrong.
    pub async fn close(self) -> Result<(), Diagnostics> {
        let request = proto::close_ephemeral_resource::Request { type_name: self.name, private: self.private };
        let closed = wire::answer(self.service.close_ephemeral_resource(Request::new(request)).await)?;
        wire::diagnostics(closed.diagnostics).into_result()?;
        Ok(())
    }
}
