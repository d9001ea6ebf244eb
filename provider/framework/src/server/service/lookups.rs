//! Data sources and functions on the wire.

use super::convert::{self, decode, diagnostics, encode};
use super::{Inner, no_such};
use crate::function::FunctionError;
use crate::proto::tfplugin6 as proto;
use crate::{Diagnostics, Provider, Type, Value};

impl<P: Provider> Inner<P> {
    pub async fn validate_data_source(
        &self,
        request: proto::validate_data_resource_config::Request,
    ) -> proto::validate_data_resource_config::Response {
        let checked = async {
            let found = self.registry.data_sources.get(request.type_name.as_str());
            let source = found.ok_or_else(|| no_such("data source", &request.type_name))?;
            let config = decode(request.config, source.kind())?;
            Ok::<_, Diagnostics>(source.validate(self.scope(), config).await)
        };
        let found = checked.await.unwrap_or_else(|errors| errors);
        proto::validate_data_resource_config::Response { diagnostics: diagnostics(found) }
    }

    pub async fn read_data_source(
        &self,
        request: proto::read_data_source::Request,
    ) -> proto::read_data_source::Response {
        let client = convert::client(request.client_capabilities);
        let read = async {
            let found = self.registry.data_sources.get(request.type_name.as_str());
            let source = found.ok_or_else(|| no_such("data source", &request.type_name))?;
            let config = decode(request.config, source.kind())?;
            let (scope, mut found) = self.module_scope(client, request.provider_meta)?;
            let (state, said) = source.read(scope, config).await;
            found.append(said);
            Ok::<_, Diagnostics>((state, found))
        };
        let (state, found) = read.await.unwrap_or_else(|errors| (Value::Null, errors));
        let (diagnostics, deferred) = convert::deferred(client, found);
        proto::read_data_source::Response { state: encode(&state), diagnostics, deferred }
    }

    pub fn call_function(&self, request: proto::call_function::Request) -> proto::call_function::Response {
        match self.result_of(request) {
            Ok(value) => proto::call_function::Response { result: encode(&value), error: None },
            Err(error) => proto::call_function::Response {
                result: None,
                error: Some(proto::FunctionError {
                    text: error.text,
                    function_argument: error.argument.and_then(|argument| i64::try_from(argument).ok()),
                }),
            },
        }
    }

    fn result_of(&self, request: proto::call_function::Request) -> Result<Value, FunctionError> {
        let function = self
            .registry
            .functions
            .get(request.name.as_str())
            .ok_or_else(|| FunctionError::new(no_such("function", &request.name).to_string()))?;
        let mut arguments = Vec::with_capacity(request.arguments.len());
        for (position, argument) in request.arguments.into_iter().enumerate() {
            // One too many is told by the call.
            let kind = function.parameter(position).map_or(&Type::Dynamic, |parameter| &parameter.kind);
            let value =
                decode(Some(argument), kind).map_err(|error| FunctionError::argument(position, error.to_string()))?;
            arguments.push(value);
        }
        function.call(arguments)
    }
}
