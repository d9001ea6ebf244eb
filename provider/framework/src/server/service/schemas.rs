//! What the provider offers, in the wire's words.

use std::collections::HashMap;

use super::Inner;
use crate::erased::{AnyFunction, AnyResource, Parameter};
use crate::proto::tfplugin6 as proto;
use crate::resource::IdentitySchema;
use crate::schema::{Attribute, Kind, Mode, Nesting, Schema, described};
use crate::{Provider, Span};

fn capabilities() -> proto::ServerCapabilities {
    proto::ServerCapabilities {
        plan_destroy: true,
        get_provider_schema_optional: true,
        move_resource_state: true,
        generate_resource_config: true,
    }
}

impl<P: Provider> Inner<P> {
    pub fn all_schemas(&self) -> proto::get_provider_schema::Response {
        let resources = self.registry.resources.iter();
        let data_sources = self.registry.data_sources.iter();
        let ephemeral = self.registry.ephemeral_resources.iter();
        let lists = self.registry.list_resources.iter();
        let actions = self.registry.actions.iter();
        proto::get_provider_schema::Response {
            provider: Some(schema(&self.config_schema)),
            provider_meta: self.meta.as_ref().map(|(meta, _)| schema(meta)),
            resource_schemas: resources
                .map(|(name, resource)| ((*name).into(), resource_schema(resource.as_ref())))
                .collect(),
            data_source_schemas: data_sources.map(|(name, source)| ((*name).into(), schema(source.schema()))).collect(),
            ephemeral_resource_schemas: ephemeral.map(|(name, made)| ((*name).into(), schema(made.schema()))).collect(),
            list_resource_schemas: lists.map(|(name, list)| ((*name).into(), schema(list.schema()))).collect(),
            action_schemas: actions.map(|(name, action)| ((*name).into(), action_schema(action.schema()))).collect(),
            functions: self.functions(),
            server_capabilities: Some(capabilities()),
            ..Default::default()
        }
    }

    pub fn metadata(&self) -> proto::get_metadata::Response {
        use proto::get_metadata::{FunctionMetadata, TypeMetadata};
        let named = |name: &&'static str| TypeMetadata { type_name: (*name).into() };
        let function = |name: &&'static str| FunctionMetadata { name: (*name).into() };
        proto::get_metadata::Response {
            server_capabilities: Some(capabilities()),
            data_sources: self.registry.data_sources.keys().map(named).collect(),
            resources: self.registry.resources.keys().map(named).collect(),
            functions: self.registry.functions.keys().map(function).collect(),
            ephemeral_resources: self.registry.ephemeral_resources.keys().map(named).collect(),
            list_resources: self.registry.list_resources.keys().map(named).collect(),
            actions: self.registry.actions.keys().map(named).collect(),
            ..Default::default()
        }
    }

    pub fn identity_schemas(&self) -> proto::get_resource_identity_schemas::Response {
        let with_identity = self
            .registry
            .resources
            .iter()
            .filter_map(|(name, resource)| Some(((*name).into(), identity_schema(resource.identity_schema()?))));
        proto::get_resource_identity_schemas::Response {
            identity_schemas: with_identity.collect(),
            diagnostics: Vec::new(),
        }
    }

    pub fn functions(&self) -> HashMap<String, proto::Function> {
        self.registry.functions.iter().map(|(name, made)| ((*name).into(), function(made.as_ref()))).collect()
    }
}

fn resource_schema<S>(resource: &dyn AnyResource<S>) -> proto::Schema {
    let mut schema = schema(resource.schema());
    let Some(block) = schema.block.as_mut() else {
        return schema;
    };
    let assigned = block.attributes.iter_mut().filter(|attribute| attribute.name == "timeouts");
    let assigned = assigned.filter_map(|it| it.nested_type.as_mut()).flat_map(|nested| &mut nested.attributes);
    let written = block.block_types.iter_mut().filter(|block| block.type_name == "timeouts");
    let written = written.filter_map(|it| it.block.as_mut()).flat_map(|block| &mut block.attributes);
    for operation in assigned.chain(written) {
        if let Some(default) = resource.default_timeouts().of(&operation.name) {
            operation.description.push_str(&format!(" Default: `\"{}\"`.", Span::from(default)));
        }
    }
    schema
}

fn action_schema(of: &Schema) -> proto::ActionSchema {
    proto::ActionSchema { schema: Some(schema(of)) }
}

fn schema(schema: &Schema) -> proto::Schema {
    proto::Schema {
        version: schema.version,
        block: Some(proto::schema::Block {
            version: schema.version,
            description: schema.description.clone(),
            deprecated: schema.deprecated.is_some(),
            deprecation_message: schema.deprecated.clone().unwrap_or_default(),
            ..block(&schema.attributes)
        }),
    }
}

fn block(attributes: &[Attribute]) -> proto::schema::Block {
    let (blocks, assigned): (Vec<_>, Vec<_>) = attributes.iter().partition(|attribute| attribute.block.is_some());
    proto::schema::Block {
        attributes: assigned.into_iter().map(attribute).collect(),
        block_types: blocks.into_iter().filter_map(nested_block).collect(),
        description_kind: proto::StringKind::Markdown.into(),
        ..Default::default()
    }
}

/// The blocks of one name. Hosts before Terraform 1.16 take no note of
/// `computed`; see `refuse_computed_blocks`.
fn nested_block(attribute: &Attribute) -> Option<proto::schema::NestedBlock> {
    use proto::schema::nested_block::NestingMode;
    let (Some(bounds), Kind::Nested(nesting, nested)) = (attribute.block, &attribute.kind) else {
        return None;
    };
    let required = u32::from(attribute.mode == Mode::Required);
    let (mode, min_items, max_items) = match nesting {
        Nesting::Single => (NestingMode::Single, required, required),
        Nesting::List => (NestingMode::List, bounds.min_items.max(required), bounds.max_items.unwrap_or(0)),
        Nesting::Set => (NestingMode::Set, bounds.min_items.max(required), bounds.max_items.unwrap_or(0)),
        Nesting::Map => (NestingMode::Map, 0, 0),
    };
    Some(proto::schema::NestedBlock {
        type_name: attribute.name.into(),
        block: Some(proto::schema::Block {
            description: described(attribute),
            deprecated: attribute.deprecated.is_some(),
            deprecation_message: attribute.deprecated.unwrap_or_default().into(),
            computed: attribute.is_computed(),
            ..block(nested)
        }),
        nesting: mode.into(),
        min_items: min_items.into(),
        max_items: max_items.into(),
    })
}

fn attribute(attribute: &Attribute) -> proto::schema::Attribute {
    let (kind, nested_type) = match &attribute.kind {
        Kind::Plain(kind) => (kind.to_json().to_string().into(), None),
        Kind::Nested(nesting, nested) => (Default::default(), Some(object(*nesting, nested))),
    };
    proto::schema::Attribute {
        name: attribute.name.into(),
        r#type: kind,
        description: described(attribute),
        required: attribute.mode == Mode::Required,
        optional: matches!(attribute.mode, Mode::Optional | Mode::OptionalComputed),
        computed: attribute.is_computed(),
        sensitive: attribute.sensitive,
        description_kind: proto::StringKind::Markdown.into(),
        deprecated: attribute.deprecated.is_some(),
        nested_type,
        write_only: attribute.write_only,
        deprecation_message: attribute.deprecated.unwrap_or_default().into(),
    }
}

fn object(nesting: Nesting, attributes: &[Attribute]) -> proto::schema::Object {
    use proto::schema::object::NestingMode;
    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    proto::schema::Object { attributes: attributes.iter().map(attribute).collect(), nesting: nesting.into() }
}

fn identity_schema(schema: &IdentitySchema) -> proto::ResourceIdentitySchema {
    let attribute = |attribute: &Attribute| proto::resource_identity_schema::IdentityAttribute {
        name: attribute.name.into(),
        r#type: attribute.kind.to_type().to_json().to_string().into(),
        required_for_import: attribute.mode == Mode::Required,
        optional_for_import: attribute.mode != Mode::Required,
        description: attribute.description.into(),
    };
    proto::ResourceIdentitySchema {
        version: schema.version,
        identity_attributes: schema.attributes.iter().map(attribute).collect(),
    }
}

fn function(function: &dyn AnyFunction) -> proto::Function {
    let parameter = |parameter: &Parameter| proto::function::Parameter {
        name: parameter.attribute.name.into(),
        r#type: parameter.kind.to_json().to_string().into(),
        allow_null_value: parameter.attribute.mode != Mode::Required,
        allow_unknown_values: parameter.attribute.allow_unknown,
        description: parameter.attribute.description.into(),
        description_kind: proto::StringKind::Markdown.into(),
    };
    proto::Function {
        parameters: function.parameters().iter().map(parameter).collect(),
        r#return: Some(proto::function::Return { r#type: function.output().to_json().to_string().into() }),
        summary: function.summary().into(),
        description: function.description().into(),
        description_kind: proto::StringKind::Markdown.into(),
        variadic_parameter: function.variadic().map(parameter),
        deprecation_message: function.deprecated().unwrap_or_default().into(),
    }
}
