//! What `terraform providers schema -json` prints. A field that is not known here
//! is an error, so that nothing a provider says is left out of its pages.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schemas {
    #[serde(rename = "format_version")]
    _format_version: String,
    pub provider_schemas: BTreeMap<String, Provider>,
}

/// Everything that a provider offers, by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub provider: Object,
    #[serde(default)]
    pub resource_schemas: BTreeMap<String, Object>,
    #[serde(default)]
    pub data_source_schemas: BTreeMap<String, Object>,
    #[serde(default)]
    pub ephemeral_resource_schemas: BTreeMap<String, Object>,
    #[serde(default)]
    pub list_resource_schemas: BTreeMap<String, Object>,
    #[serde(default)]
    pub action_schemas: BTreeMap<String, Object>,
    #[serde(default)]
    pub functions: BTreeMap<String, Function>,
    #[serde(default)]
    pub resource_identity_schemas: BTreeMap<String, Identity>,
}

/// The provider's configuration, a resource, a data source, ...
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    #[serde(default, rename = "version")]
    _version: u64,
    pub block: Block,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
    #[serde(default)]
    pub description: String,
    #[serde(default, rename = "description_kind")]
    _description_kind: String,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default)]
    pub deprecation_message: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// A type in Terraform's JSON: `"string"`, `["list", "string"]`, ...
    #[serde(rename = "type")]
    pub kind: Option<Value>,
    pub nested_type: Option<Nested>,
    #[serde(default)]
    pub description: String,
    #[serde(default, rename = "description_kind")]
    _description_kind: String,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default)]
    pub deprecation_message: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    pub computed: bool,
    #[serde(default)]
    pub sensitive: bool,
    #[serde(default)]
    pub write_only: bool,
}

/// Objects whose attributes are declared one by one.
#[derive(Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Nested {
    pub attributes: BTreeMap<String, Attribute>,
    pub nesting_mode: Nesting,
}

#[derive(Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum Nesting {
    Single,
    List,
    Set,
    Map,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    pub summary: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub deprecation_message: String,
    pub return_type: Value,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    pub variadic_parameter: Option<Parameter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub name: String,
    pub description: String,
    #[serde(default)]
    pub is_nullable: bool,
    #[serde(rename = "type")]
    pub kind: Value,
}

/// What tells one object of a resource from every other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    #[serde(default, rename = "version")]
    _version: u64,
    pub attributes: BTreeMap<String, IdentityAttribute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityAttribute {
    #[serde(rename = "type")]
    pub kind: Value,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub required_for_import: bool,
    #[serde(default, rename = "optional_for_import")]
    _optional_for_import: bool,
}
