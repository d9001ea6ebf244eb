//! The provider's schemas as a client reads them from the wire.

use std::collections::{BTreeMap, HashMap};

use tfplugin::Type;
use tfplugin::proto::tfplugin6 as proto;
use tfplugin::proto::tfplugin6::schema::object::NestingMode;

/// Everything that the provider offers, by name.
#[derive(Clone)]
pub struct Schemas {
    pub resources: BTreeMap<String, Schema>,
    pub data: BTreeMap<String, Schema>,
    pub ephemeral: BTreeMap<String, Schema>,
    pub lists: BTreeMap<String, Schema>,
    pub actions: BTreeMap<String, Schema>,
    pub functions: BTreeMap<String, Function>,
    pub identities: BTreeMap<String, Identity>,
}

#[derive(Clone)]
pub struct Schema {
    pub version: i64,
    pub kind: Type,
    pub attributes: Vec<proto::schema::Attribute>,
}

#[derive(Clone)]
pub struct Identity {
    pub version: i64,
    pub kind: Type,
}

#[derive(Clone)]
pub struct Function {
    pub parameters: Vec<(String, Type)>,
    pub variadic: Option<(String, Type)>,
    pub result: Type,
}

impl Function {
    /// Name and type of the parameter that takes an argument.
    pub fn parameter(&self, position: usize) -> Option<&(String, Type)> {
        self.parameters.get(position).or(self.variadic.as_ref())
    }
}

impl Schemas {
    pub fn new(
        schemas: proto::get_provider_schema::Response,
        identities: proto::get_resource_identity_schemas::Response,
    ) -> Self {
        let problems: Vec<_> = schemas.diagnostics.iter().chain(&identities.diagnostics).collect();
        assert!(problems.is_empty(), "the schema comes with {problems:?}");
        let actions = schemas.action_schemas.into_iter().filter_map(|(name, action)| Some((name, action.schema?)));
        Self {
            resources: all(schemas.resource_schemas),
            data: all(schemas.data_source_schemas),
            ephemeral: all(schemas.ephemeral_resource_schemas),
            lists: all(schemas.list_resource_schemas),
            actions: all(actions.collect()),
            functions: schemas.functions.into_iter().map(|(name, made)| (name, function(made))).collect(),
            identities: identities.identity_schemas.into_iter().map(|(name, made)| (name, identity(made))).collect(),
        }
    }
}

fn all(schemas: HashMap<String, proto::Schema>) -> BTreeMap<String, Schema> {
    schemas.into_iter().map(|(name, made)| (name, schema(made))).collect()
}

fn schema(schema: proto::Schema) -> Schema {
    let attributes = schema.block.unwrap_or_default().attributes;
    Schema { version: schema.version, kind: object(&attributes), attributes }
}

fn function(function: proto::Function) -> Function {
    let parameter = |parameter: proto::function::Parameter| (parameter.name, kind(&parameter.r#type));
    Function {
        parameters: function.parameters.into_iter().map(parameter).collect(),
        variadic: function.variadic_parameter.map(parameter),
        result: kind(&function.r#return.unwrap_or_default().r#type),
    }
}

fn identity(schema: proto::ResourceIdentitySchema) -> Identity {
    let attributes = schema.identity_attributes.into_iter();
    let kind = Type::Object(attributes.map(|attribute| (attribute.name, kind(&attribute.r#type))).collect());
    Identity { version: schema.version, kind }
}

fn kind(json: &[u8]) -> Type {
    Type::from_json(json).expect("a type of the schema")
}

fn object(attributes: &[proto::schema::Attribute]) -> Type {
    let one = |attribute: &proto::schema::Attribute| {
        let kind = match &attribute.nested_type {
            None => kind(&attribute.r#type),
            Some(nested) => {
                let object = object(&nested.attributes);
                match nested.nesting() {
                    NestingMode::Single => object,
                    NestingMode::List => Type::List(Box::new(object)),
                    NestingMode::Set => Type::Set(Box::new(object)),
                    NestingMode::Map => Type::Map(Box::new(object)),
                    NestingMode::Invalid => panic!("`{}` has no nesting", attribute.name),
                }
            }
        };
        (attribute.name.clone(), kind)
    };
    Type::Object(attributes.iter().map(one).collect())
}
