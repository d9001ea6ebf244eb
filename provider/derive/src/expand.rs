//! From the struct to its `Model` and `Field` implementations.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields, GenericArgument, Lit, LitStr, Meta,
    PathArguments, Result, Type,
};

use crate::options::Options;
use crate::suggest::nearest;

/// One attribute to be generated.
struct Attr<'f> {
    field: &'f Field,
    name: String,
    options: Options,
}

/// The whole expansion.
pub fn model(input: &DeriveInput) -> Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            other => return Err(Error::new_spanned(other, "a model has named fields: each is an attribute")),
        },
        _ => return Err(Error::new_spanned(&input.ident, "a model is a struct: each field is an attribute")),
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a model has no type parameters: its schema is fixed"));
    }
    let attrs = fields.iter().map(read).collect::<Result<Vec<_>>>()?;
    check_dependencies(&attrs)?;
    check_variadic(&attrs)?;
    check_block_types(&attrs)?;

    let model = &input.ident;
    let description = doc(&input.attrs);
    let deprecated = optional(model_deprecated(&input.attrs)?.as_ref());
    let schemas = attrs.iter().map(schema).collect::<Result<Vec<_>>>()?;
    let reads = attrs.iter().map(|attr| {
        let (ident, kind, name) = (&attr.field.ident, &attr.field.ty, &attr.name);
        quote!(#ident: ::tfplugin::model::read_attribute::<#kind>(value, #name)?)
    });
    let writes = attrs.iter().map(|attr| {
        let (ident, name) = (&attr.field.ident, &attr.name);
        quote!((::std::string::String::from(#name), ::tfplugin::Field::to_value(&self.#ident)))
    });
    let moves = attrs.iter().map(|attr| {
        let (ident, name) = (&attr.field.ident, &attr.name);
        quote!((::std::string::String::from(#name), ::tfplugin::Field::into_value(self.#ident)))
    });
    let write_only = attrs.iter().map(|attr| {
        let (kind, write_only) = (&attr.field.ty, attr.options.write_only.is_some());
        quote!(<#kind as ::tfplugin::Field>::WRITE_ONLY || #write_only)
    });
    Ok(quote! {
        // Evaluated here, so that a write-only attribute in a set does not compile.
        const _: bool = <#model as ::tfplugin::Field>::WRITE_ONLY;

        #[automatically_derived]
        impl ::tfplugin::Model for #model {
            const DESCRIPTION: &'static str = #description;
            const DEPRECATED: ::std::option::Option<&'static str> = #deprecated;

            fn attributes() -> ::std::vec::Vec<::tfplugin::schema::Attribute> {
                ::std::vec![#(#schemas),*]
            }

            fn from_value(value: &::tfplugin::Value) -> ::std::result::Result<Self, ::tfplugin::FieldError> {
                ::std::result::Result::Ok(Self { #(#reads),* })
            }

            fn to_value(&self) -> ::tfplugin::Value {
                ::tfplugin::Value::Map(::std::collections::BTreeMap::from([#(#writes),*]))
            }

            fn into_value(self) -> ::tfplugin::Value {
                ::tfplugin::Value::Map(::std::collections::BTreeMap::from([#(#moves),*]))
            }
        }

        #[automatically_derived]
        impl ::tfplugin::Field for #model {
            const WRITE_ONLY: bool = false #(| (#write_only))*;

            fn kind() -> ::tfplugin::schema::Kind {
                ::tfplugin::schema::Kind::Nested(
                    ::tfplugin::schema::Nesting::Single,
                    <Self as ::tfplugin::Model>::attributes(),
                )
            }

            fn from_value(value: &::tfplugin::Value) -> ::std::result::Result<Self, ::tfplugin::FieldError> {
                <Self as ::tfplugin::Model>::from_value(value)
            }

            fn to_value(&self) -> ::tfplugin::Value {
                <Self as ::tfplugin::Model>::to_value(self)
            }

            fn into_value(self) -> ::tfplugin::Value {
                <Self as ::tfplugin::Model>::into_value(self)
            }
        }
    })
}

fn read(field: &Field) -> Result<Attr<'_>> {
    let options = Options::read(&field.attrs)?;
    let name = match (&options.name, &field.ident) {
        (Some(name), _) => name.value(),
        (None, Some(ident)) => ident.unraw().to_string(),
        (None, None) => String::new(),
    };
    let valid = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !valid {
        return Err(Error::new_spanned(
            &field.ident,
            format!("`{name}` is no attribute name: lower-case letters, digits and underscores make one"),
        ));
    }
    Ok(Attr { field, name, options })
}

fn check_dependencies(attrs: &[Attr]) -> Result<()> {
    for attr in attrs {
        for dependency in &attr.options.depends_on {
            let name = dependency.value();
            if name == "*" || attrs.iter().any(|other| other.name == name && name != attr.name) {
                continue;
            }
            let known = attrs.iter().map(|other| other.name.as_str()).filter(|known| *known != attr.name);
            let message = match nearest(&name, known) {
                Some(near) => format!("no other attribute is named `{name}`; did you mean `{near}`?"),
                None => format!("no other attribute is named `{name}`"),
            };
            return Err(Error::new(dependency.span(), message));
        }
    }
    Ok(())
}

/// A block holds attributes of its own, which these types do not have.
fn check_block_types(attrs: &[Attr]) -> Result<()> {
    const PLAIN: [&str; 9] = ["String", "bool", "i32", "i64", "u32", "u64", "f64", "Number", "Value"];
    for attr in attrs.iter().filter(|attr| attr.options.block.is_some()) {
        let kind = innermost(&attr.field.ty);
        if outer_type(kind).is_some_and(|name| PLAIN.contains(&name.as_str())) {
            return Err(Error::new_spanned(
                kind,
                "a block holds a struct with `#[derive(Model)]`, or a `Vec`, `Set` or `BTreeMap<String, _>` of one",
            ));
        }
    }
    Ok(())
}

/// The type inside all that wraps and collects it.
fn innermost(kind: &Type) -> &Type {
    let Type::Path(path) = kind else {
        return kind;
    };
    match path.path.segments.last().map(|segment| &segment.arguments) {
        Some(PathArguments::AngleBracketed(arguments)) => match arguments.args.last() {
            Some(GenericArgument::Type(inner)) => innermost(inner),
            _ => kind,
        },
        _ => kind,
    }
}

/// A variadic parameter takes what is left, so it is the last and a list.
fn check_variadic(attrs: &[Attr]) -> Result<()> {
    for (position, attr) in attrs.iter().enumerate() {
        let Some(variadic) = &attr.options.variadic else {
            continue;
        };
        if outer_type(&attr.field.ty).as_deref() != Some("Vec") {
            return Err(Error::new_spanned(&attr.field.ty, "a variadic parameter is a `Vec` of its arguments"));
        }
        if position + 1 != attrs.len() {
            return Err(Error::new(variadic.span(), "only the last parameter can be variadic: it takes what is left"));
        }
    }
    Ok(())
}

fn schema(attr: &Attr) -> Result<TokenStream> {
    let Options { replace, local, not_null, sensitive, write_only, variadic, allow_unknown, .. } = &attr.options;
    let Options { default, depends_on, validate, same, block, min_items, max_items, refined, .. } = &attr.options;
    let (name, kind) = (&attr.name, &attr.field.ty);
    let mode = mode(attr)?;
    let description = doc(&attr.field.attrs);
    let deprecated = optional(attr.options.deprecated.as_ref());
    let default = optional(default.as_ref().map(|value| quote!(::tfplugin::Value::from(#value))));
    let same = match same {
        Some(path) => quote!(::std::option::Option::Some(#path as fn(&::tfplugin::Value, &::tfplugin::Value) -> bool)),
        None => quote!(<#kind as ::tfplugin::Field>::same()),
    };
    let block = optional(block.as_ref().map(|_| {
        let (min_items, max_items) = (min_items.iter(), optional(max_items.as_ref()));
        quote!(::tfplugin::schema::Block { min_items: 0 #(+ #min_items)*, max_items: #max_items })
    }));
    let refined = match (refined, not_null) {
        (Some(refined), _) => quote!(#refined),
        (None, Some(_)) => quote!(::tfplugin::Refinement::not_null()),
        (None, None) => quote!(::tfplugin::Refinement::none()),
    };
    let (replace, local) = (replace.is_some(), local.is_some());
    let (sensitive, write_only) = (sensitive.is_some(), write_only.is_some());
    let (variadic, allow_unknown) = (variadic.is_some(), allow_unknown.is_some());
    Ok(quote! {
        ::tfplugin::schema::Attribute {
            name: #name,
            kind: <#kind as ::tfplugin::Field>::kind(),
            mode: ::tfplugin::schema::Mode::#mode,
            description: #description,
            sensitive: #sensitive,
            write_only: #write_only,
            deprecated: #deprecated,
            variadic: #variadic,
            allow_unknown: #allow_unknown,
            replace: #replace,
            local: #local || <#kind as ::tfplugin::Field>::LOCAL,
            refined: #refined,
            default: #default,
            depends_on: &[#(#depends_on),*],
            same: #same,
            validators: ::std::vec![#(#validate),*],
            block: #block,
        }
    })
}

fn optional(value: Option<impl quote::ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::std::option::Option::Some(#value)),
        None => quote!(::std::option::Option::None),
    }
}

fn mode(attr: &Attr) -> Result<proc_macro2::Ident> {
    let Options { required, optional, computed, default, .. } = &attr.options;
    let mode = match (required, optional.is_some() || default.is_some(), computed) {
        (Some(_), _, _) => "Required",
        (None, true, Some(_)) => "OptionalComputed",
        (None, true, None) => "Optional",
        // Whoever can write a block may.
        (None, false, Some(_)) if attr.options.block.is_some() => "OptionalComputed",
        (None, false, Some(_)) => "Computed",
        (None, false, None) if attr.options.block.is_some() => "Optional",
        (None, false, None) => match outer_type(&attr.field.ty).as_deref() {
            Some("Attr") => {
                return Err(Error::new_spanned(
                    &attr.field.ident,
                    "say who sets it: #[attr(required)], #[attr(optional)], #[attr(computed)] or #[attr(optional, computed)]",
                ));
            }
            Some("Option") => "Optional",
            _ => "Required",
        },
    };
    Ok(format_ident!("{mode}"))
}

fn outer_type(kind: &Type) -> Option<String> {
    match kind {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

/// The one option of `#[model(...)]`: why the object is deprecated.
fn model_deprecated(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut deprecated = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("model")) {
        attribute.parse_nested_meta(|option| {
            if !option.path.is_ident("deprecated") {
                return Err(option.error("a model has one option: `deprecated = \"...\"`"));
            }
            deprecated = Some(option.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(deprecated)
}

/// The doc comment as Markdown: its lines without the space after the slashes.
fn doc(attributes: &[Attribute]) -> LitStr {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => Some(&pair.value),
            _ => None,
        })
        .filter_map(|value| match value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').map(str::to_owned).unwrap_or(line))
        .collect();
    LitStr::new(lines.join("\n").trim(), proc_macro2::Span::call_site())
}
