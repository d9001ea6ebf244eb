//! `#[derive(Model)]` of the `tfplugin` crate: the attributes of an object are
//! declared once, on a struct.

mod expand;
mod options;
mod suggest;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct the model of an object.
///
/// Each field is an attribute; its doc comment is the attribute's description
/// and `#[attr(...)]` its options. The struct's doc comment describes the
/// object.
///
/// | option | meaning |
/// | --- | --- |
/// | `required`, `optional`, `computed`, `optional, computed` | who sets it; needed where the type is `Attr` |
/// | `default = <value>` | the value where the configuration has none; implies `optional` |
/// | `replace` | a change makes a new object |
/// | `local` | a change of nothing but local attributes calls no update |
/// | `depends_on = ["a", "b"]` | for computed ones: becomes unknown when one of these siblings changes; `["*"]` for any. Without it the prior value is kept |
/// | `not_null` | for computed ones: never null, and planned as such |
/// | `refined = <Refinement>` | for computed ones: what is known of it while it is unknown: a prefix, bounds, a number of elements |
/// | `block` | written as nested blocks, for a model, or a `Vec`, `Set` or `BTreeMap` of one; with `computed`, filled in where left out |
/// | `min_items = 1`, `max_items = 3` | how many blocks of a list or set there are |
/// | `sensitive` | hidden in what the host prints |
/// | `write_only` | never in a plan nor in state; not inside a set |
/// | `variadic` | the last parameter of a function, a `Vec`: takes what is left; with `optional` its elements may be null |
/// | `allow_unknown` | a parameter of a function that is called even when this one is unknown |
/// | `validate = [rule, ...]` | rules of `tfplugin::validate` or one's own |
/// | `same = path` | `fn(&Value, &Value) -> bool`: two spellings of one thing; the prior one is kept |
/// | `name = "..."` | the attribute's name, where it is not the field's |
/// | `deprecated = "..."` | why, and in whose favour |
///
/// `#[model(deprecated = "...")]` on the struct says so of the whole object.
///
/// A field that is not an `Attr` is required, or optional if it is an
/// `Option`; it has no place for an unknown value.
#[proc_macro_derive(Model, attributes(attr, model))]
pub fn model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::model(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
