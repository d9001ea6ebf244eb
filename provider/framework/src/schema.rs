//! What a provider declares about its configuration: attributes, their types
//! and how they plan.

mod check;
mod facts;

use std::fmt;
use std::sync::Arc;

use crate::{Refinement, Type, Value};

pub use check::problems;
pub use facts::described;

/// The schema of a resource, a data source or the provider itself.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Raised when saved state needs [`crate::Resource::upgrade`].
    pub version: i64,
    /// Markdown for the documentation.
    pub description: String,
    /// Why and in whose favour it is deprecated.
    pub deprecated: Option<String>,
    /// In the order of declaration.
    pub attributes: Vec<Attribute>,
}

/// One attribute, with everything the framework plans by.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Lower case, digits and underscores.
    pub name: &'static str,
    /// Its type, or the attributes nested in it.
    pub kind: Kind,
    /// Who sets it.
    pub mode: Mode,
    /// Markdown for the documentation.
    pub description: &'static str,
    /// Hidden in what the host prints.
    pub sensitive: bool,
    /// Never in a plan nor in state.
    pub write_only: bool,
    /// A function's last parameter, a list that takes what arguments are left.
    pub variadic: bool,
    /// A function's parameter that does not keep it from being called while unknown.
    pub allow_unknown: bool,
    /// Why and in whose favour it is deprecated.
    pub deprecated: Option<&'static str>,
    /// A change makes a new object.
    pub replace: bool,
    /// A change of nothing but local attributes calls no update.
    pub local: bool,
    /// When computed: what is known of it as long as it is unknown. One that is
    /// not null becomes unknown wherever it is null.
    pub refined: Refinement,
    /// The value when the configuration has none.
    pub default: Option<Value>,
    /// When computed: the siblings whose change makes it unknown; [`ANY`] for
    /// any of them. With none of them changed it keeps its prior value.
    pub depends_on: &'static [&'static str],
    /// Whether two spellings mean the same, so that the prior one is kept.
    pub same: Option<fn(&Value, &Value) -> bool>,
    /// What a known, non-null value must hold.
    pub validators: Vec<Validator>,
    /// Written as nested blocks, where nested objects are not assigned: the
    /// syntax of older providers.
    pub block: Option<Block>,
}

/// How many nested blocks a configuration may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Block {
    /// The least number of them.
    pub min_items: u32,
    /// The greatest number of them; `None` for any.
    pub max_items: Option<u32>,
}

/// In [`Attribute::depends_on`]: any other attribute of the object.
pub const ANY: &str = "*";

/// Who sets an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The user must.
    Required,
    /// The user may.
    Optional,
    /// The provider does.
    Computed,
    /// The user may, else the provider does.
    OptionalComputed,
}

/// What an attribute holds.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A value of a type.
    Plain(Type),
    /// Objects whose attributes are declared one by one.
    Nested(Nesting, Vec<Attribute>),
}

/// How nested objects are collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// Objects by name.
    Map,
}

/// A rule that a configured value must hold, with the words for when it does not.
#[derive(Clone)]
pub struct Validator(Arc<Rule>);

type Rule = dyn Fn(&Value) -> Result<(), String> + Send + Sync;

impl Attribute {
    /// An attribute of which only the name and the kind are special.
    pub fn new(name: &'static str, kind: Kind, mode: Mode) -> Self {
        Self {
            name,
            kind,
            mode,
            description: "",
            sensitive: false,
            write_only: false,
            variadic: false,
            allow_unknown: false,
            deprecated: None,
            replace: false,
            local: false,
            refined: Refinement::none(),
            default: None,
            depends_on: &[],
            same: None,
            validators: Vec::new(),
            block: None,
        }
    }

    /// Whether the provider may set it. An attribute with a default is
    /// computed on the wire: the host must accept the value it did not send.
    pub fn is_computed(&self) -> bool {
        matches!(self.mode, Mode::Computed | Mode::OptionalComputed) || self.default.is_some()
    }

    /// Whether it is a list, a set or a map of blocks: never null in a plan or
    /// in state.
    pub fn is_block_collection(&self) -> bool {
        self.block.is_some() && !matches!(self.kind, Kind::Plain(_) | Kind::Nested(Nesting::Single, _))
    }

    /// Whether the user may or must set it.
    pub fn is_configurable(&self) -> bool {
        self.mode != Mode::Computed
    }
}

impl Kind {
    /// The type of the whole value.
    pub fn to_type(&self) -> Type {
        match self {
            Self::Plain(kind) => kind.clone(),
            Self::Nested(nesting, attributes) => {
                let object = object_type(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::List(Box::new(object)),
                    Nesting::Set => Type::Set(Box::new(object)),
                    Nesting::Map => Type::Map(Box::new(object)),
                }
            }
        }
    }

    /// The kind of a collection of these: nested objects stay nested, one
    /// level deep; anything else becomes a plain type.
    pub fn collected(self, nesting: Nesting) -> Self {
        match (self, nesting) {
            (Self::Nested(Nesting::Single, attributes), nesting) => Self::Nested(nesting, attributes),
            (kind, Nesting::Set) => Self::Plain(Type::Set(Box::new(kind.to_type()))),
            (kind, Nesting::Map) => Self::Plain(Type::Map(Box::new(kind.to_type()))),
            (kind, Nesting::List | Nesting::Single) => Self::Plain(Type::List(Box::new(kind.to_type()))),
        }
    }
}

/// The object type that attributes make up, by name as on the wire.
pub fn object_type(attributes: &[Attribute]) -> Type {
    let mut kinds: Vec<_> =
        attributes.iter().map(|attribute| (attribute.name.to_owned(), attribute.kind.to_type())).collect();
    kinds.sort_by(|(a, _), (b, _)| a.cmp(b));
    Type::Object(kinds)
}

impl Schema {
    /// The type of the whole value.
    pub fn to_type(&self) -> Type {
        object_type(&self.attributes)
    }
}

impl Validator {
    /// A rule as a function; its error is a sentence that says what would be right.
    pub fn new(rule: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rule))
    }

    /// Applies the rule.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        (self.0)(value)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}
