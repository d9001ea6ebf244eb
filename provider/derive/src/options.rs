//! The grammar of `#[attr(...)]`, and what makes no sense in it.

use syn::{Attribute, Error, Expr, ExprArray, Ident, LitInt, LitStr, Path, Result, Token};
use syn::{parse::ParseStream, punctuated::Punctuated, spanned::Spanned};

use crate::suggest::nearest;

/// The options of one field, as documented at the derive.
#[derive(Default)]
pub struct Options {
    pub required: Option<Ident>,
    pub optional: Option<Ident>,
    pub computed: Option<Ident>,
    pub replace: Option<Ident>,
    pub local: Option<Ident>,
    pub not_null: Option<Ident>,
    pub sensitive: Option<Ident>,
    pub write_only: Option<Ident>,
    pub variadic: Option<Ident>,
    pub allow_unknown: Option<Ident>,
    pub block: Option<Ident>,
    pub min_items: Option<LitInt>,
    pub max_items: Option<LitInt>,
    pub refined: Option<Expr>,
    pub default: Option<Expr>,
    pub depends_on: Vec<LitStr>,
    pub validate: Vec<Expr>,
    pub same: Option<Path>,
    pub name: Option<LitStr>,
    pub deprecated: Option<LitStr>,
}

const NAMES: [&str; 20] = [
    "required",
    "optional",
    "computed",
    "replace",
    "local",
    "not_null",
    "sensitive",
    "write_only",
    "variadic",
    "allow_unknown",
    "block",
    "min_items",
    "max_items",
    "refined",
    "default",
    "depends_on",
    "validate",
    "same",
    "name",
    "deprecated",
];

impl Options {
    /// Reads every `#[attr(...)]` of a field.
    pub fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("attr")) {
            attribute.parse_args_with(|input: ParseStream| {
                while !input.is_empty() {
                    options.read_one(input)?;
                    if !input.is_empty() {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            })?;
        }
        options.check()?;
        Ok(options)
    }

    fn read_one(&mut self, input: ParseStream) -> Result<()> {
        let name: Ident = input.parse()?;
        let text = name.to_string();
        let flag = match text.as_str() {
            "required" => &mut self.required,
            "optional" => &mut self.optional,
            "computed" => &mut self.computed,
            "replace" => &mut self.replace,
            "local" => &mut self.local,
            "not_null" => &mut self.not_null,
            "sensitive" => &mut self.sensitive,
            "write_only" => &mut self.write_only,
            "variadic" => &mut self.variadic,
            "allow_unknown" => &mut self.allow_unknown,
            "block" => &mut self.block,
            _ => return self.read_value(&name, input),
        };
        if flag.replace(name.clone()).is_some() {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        Ok(())
    }

    fn read_value(&mut self, name: &Ident, input: ParseStream) -> Result<()> {
        let text = name.to_string();
        if !NAMES.contains(&text.as_str()) {
            return Err(unknown(name));
        }
        input.parse::<Token![=]>()?;
        match text.as_str() {
            "default" => self.default = Some(input.parse()?),
            "min_items" => self.min_items = Some(input.parse()?),
            "max_items" => self.max_items = Some(input.parse()?),
            "refined" => self.refined = Some(input.parse()?),
            "same" => self.same = Some(input.parse()?),
            "name" => self.name = Some(input.parse()?),
            "deprecated" => self.deprecated = Some(input.parse()?),
            "depends_on" => {
                let content;
                syn::bracketed!(content in input);
                self.depends_on = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?.into_iter().collect();
            }
            _ => self.validate = input.parse::<ExprArray>()?.elems.into_iter().collect(),
        }
        Ok(())
    }

    /// Refuses combinations that contradict each other.
    fn check(&self) -> Result<()> {
        if let (Some(required), Some(_)) = (&self.required, self.optional.as_ref().or(self.computed.as_ref())) {
            return Err(Error::new(required.span(), "`required` excludes `optional` and `computed`"));
        }
        if let (Some(required), Some(_)) = (&self.required, &self.default) {
            return Err(Error::new(required.span(), "`required` excludes `default`: the user always gives it"));
        }
        let only_computed = self.computed.as_ref().filter(|_| self.optional.is_none());
        if let (Some(computed), Some(_)) = (only_computed, &self.default) {
            return Err(Error::new(
                computed.span(),
                "`default` is for what the user may give; `computed` alone is never given",
            ));
        }
        if let (Some(_), Some(write_only)) = (&self.computed, &self.write_only) {
            return Err(Error::new(write_only.span(), "`write_only` excludes `computed`: nothing of it is stored"));
        }
        if let (Some(default), Some(_)) = (&self.default, &self.write_only) {
            return Err(Error::new(default.span(), "`default` excludes `write_only`: nothing of it is stored"));
        }
        if let (Some(computed), Some(_)) = (only_computed, self.validate.first()) {
            return Err(Error::new(
                computed.span(),
                "`validate` checks what the user gives; `computed` alone is never given",
            ));
        }
        if let (None, Some(depends_on)) = (&self.computed, self.depends_on.first()) {
            return Err(Error::new(depends_on.span(), "`depends_on` is for `computed` attributes"));
        }
        let parameter = self.variadic.as_ref().or(self.allow_unknown.as_ref());
        let stored = self.computed.as_ref().or(self.write_only.as_ref()).or(self.replace.as_ref());
        if let (Some(parameter), Some(other)) = (parameter, stored) {
            return Err(Error::new(
                parameter.span(),
                format!("`{parameter}` is for a function's parameter, and `{other}` for a resource's attribute"),
            ));
        }
        if let (Some(variadic), Some(_)) = (&self.variadic, &self.default) {
            return Err(Error::new(
                variadic.span(),
                "`variadic` excludes `default`: without arguments the list is empty",
            ));
        }
        if let (None, Some(not_null)) = (&self.computed, &self.not_null) {
            return Err(Error::new(not_null.span(), "`not_null` is for `computed` attributes"));
        }
        if let (None, Some(refined)) = (&self.computed, &self.refined) {
            return Err(Error::new(refined.span(), "`refined` is for `computed` attributes"));
        }
        if let (Some(not_null), Some(_)) = (&self.not_null, &self.refined) {
            return Err(Error::new(not_null.span(), "`refined` says this too: begin it with `Refinement::not_null()`"));
        }
        self.check_block()
    }

    /// Refuses what a nested block cannot be, and what only one can be.
    fn check_block(&self) -> Result<()> {
        let bounds = self.min_items.as_ref().or(self.max_items.as_ref());
        let Some(block) = &self.block else {
            return match bounds {
                Some(bounds) => Err(Error::new(
                    bounds.span(),
                    "`min_items` and `max_items` are for a `block`; `validate::length` is for any attribute",
                )),
                None => Ok(()),
            };
        };
        let flags = [&self.sensitive, &self.write_only, &self.not_null, &self.variadic, &self.allow_unknown];
        if let Some(flag) = flags.into_iter().flatten().next() {
            return Err(Error::new(
                flag.span(),
                format!("`{flag}` is for attributes; say it of those inside the block"),
            ));
        }
        if let Some(default) = &self.default {
            return Err(Error::new(
                default.span(),
                "a block has no `default`; give one to the attributes inside, or make the block `computed`",
            ));
        }
        if let (Some(computed), Some(_)) = (&self.computed, &self.min_items) {
            return Err(Error::new(
                computed.span(),
                format!("`min_items` excludes `computed`: a `{block}` that may be left out cannot be demanded"),
            ));
        }
        let number = |items: &Option<LitInt>| items.as_ref().map(LitInt::base10_parse::<u32>).transpose();
        if let (Some(min), Some(max), Some(bounds)) = (number(&self.min_items)?, number(&self.max_items)?, bounds)
            && min > max
        {
            return Err(Error::new(bounds.span(), "`min_items` is greater than `max_items`"));
        }
        Ok(())
    }
}

fn unknown(name: &Ident) -> Error {
    let text = name.to_string();
    let message = match nearest(&text, NAMES) {
        Some(near) => format!("no option is named `{text}`; did you mean `{near}`?"),
        None => format!("no option is named `{text}`; there are {}", NAMES.join(", ")),
    };
    Error::new(name.span(), message)
}
