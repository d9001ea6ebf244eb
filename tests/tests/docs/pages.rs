//! The pages of the registry: its layout, from a schema and `examples/`.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    attributes,
    schema::{Function, Identity, Object, Parameter, Provider},
    types,
};

/// A kind of object that has pages.
struct Kind {
    noun: &'static str,
    /// Below `docs/` and below `examples/`.
    folder: &'static str,
    example: &'static str,
    objects: fn(&Provider) -> &BTreeMap<String, Object>,
}

const KINDS: [Kind; 5] = [
    Kind { noun: "Resource", folder: "resources", example: "resource.tf", objects: |p| &p.resource_schemas },
    Kind {
        noun: "Data Source",
        folder: "data-sources",
        example: "data-source.tf",
        objects: |p| &p.data_source_schemas,
    },
    Kind {
        noun: "Ephemeral Resource",
        folder: "ephemeral-resources",
        example: "ephemeral-resource.tf",
        objects: |p| &p.ephemeral_resource_schemas,
    },
    Kind {
        noun: "List Resource",
        folder: "list-resources",
        example: "list-resource.tfquery.hcl",
        objects: |p| &p.list_resource_schemas,
    },
    Kind { noun: "Action", folder: "actions", example: "action.tf", objects: |p| &p.action_schemas },
];

/// Folders below `docs/` that hold nothing but pages made here.
pub fn folders() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.folder).chain(["functions"])
}

/// The pages of a provider, by their path below `docs/`.
pub fn render(name: &str, provider: &Provider, examples: &Path) -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::from([(PathBuf::from("index.md"), index(name, provider, examples))]);
    for kind in &KINDS {
        for (full_name, object) in (kind.objects)(provider) {
            let short = full_name.strip_prefix(&format!("{name}_")).unwrap_or(full_name);
            let identity = provider.resource_identity_schemas.get(full_name).filter(|_| kind.folder == "resources");
            let page =
                object_page(name, kind, full_name, object, identity, &examples.join(kind.folder).join(full_name));
            pages.insert(Path::new(kind.folder).join(format!("{short}.md")), page);
        }
    }
    for (function, signature) in &provider.functions {
        let page = function_page(name, function, signature, &examples.join("functions").join(function));
        pages.insert(Path::new("functions").join(format!("{function}.md")), page);
    }
    pages
}

fn index(name: &str, provider: &Provider, examples: &Path) -> String {
    let block = &provider.provider.block;
    let example = read(&examples.join("provider/provider.tf"));
    [
        front_matter(&format!("{name} Provider"), None, &block.description),
        format!("# {name} Provider\n\n{}\n", block.description),
        format!("## Example Usage\n\n{}", code("terraform", &example)),
        attributes::section(name, &block.attributes),
    ]
    .join("\n")
}

fn object_page(
    provider: &str,
    kind: &Kind,
    name: &str,
    object: &Object,
    identity: Option<&Identity>,
    examples: &Path,
) -> String {
    let block = &object.block;
    assert!(!block.description.is_empty(), "{name} has no description");
    let mut sections = vec![
        front_matter(&format!("{name} {} - {provider}", kind.noun), Some(""), &block.description),
        format!("# {name} ({})\n\n{}\n", kind.noun, block.description),
    ];
    if block.deprecated {
        sections.push(format!("~> **Deprecated.** {}\n", block.deprecation_message));
    }
    sections.push(format!("## Example Usage\n\n{}", code("terraform", &read(&examples.join(kind.example)))));
    sections.push(attributes::section(name, &block.attributes));
    sections.extend(import(examples, identity));
    sections.join("\n")
}

/// How existing objects are imported, each way that has an example.
fn import(examples: &Path, identity: Option<&Identity>) -> Option<String> {
    let mut text = String::new();
    let example = |file: &str| fs::read_to_string(examples.join(file)).ok();
    if let Some(identity) = identity {
        let example = read(&examples.join("import-by-identity.tf"));
        let _ = write!(text, "\nBy identity, from Terraform 1.12 on:\n\n{}\n", code("terraform", &example));
        for (name, attribute) in &identity.attributes {
            let need = if attribute.required_for_import { "required" } else { "optional" };
            let kind = types::words(&attribute.kind);
            let _ = writeln!(text, "- `{name}` ({kind}, {need}) {}", attribute.description);
        }
    }
    if let Some(example) = example("import-by-string-id.tf") {
        let _ = write!(
            text,
            "\nWith an `import` block, so that the plan shows it first:\n\n{}",
            code("terraform", &example)
        );
    }
    if let Some(example) = example("import.sh") {
        let _ = write!(text, "\nOn the command line:\n\n{}", code("shell", &example));
    }
    (!text.is_empty()).then(|| format!("## Import\n{text}"))
}

fn function_page(provider: &str, name: &str, function: &Function, examples: &Path) -> String {
    let parameters = function.parameters.iter().map(|parameter| (parameter, ""));
    let parameters = || parameters.clone().chain(function.variadic_parameter.iter().map(|last| (last, "...")));
    let signature: Vec<String> = parameters()
        .map(|(parameter, dots)| format!("{} {}{dots}", parameter.name, types::expression(&parameter.kind)))
        .collect();
    let signature = format!("{name}({}) {}", signature.join(", "), types::expression(&function.return_type));
    let arguments: String = parameters().map(|(parameter, dots)| argument(parameter, !dots.is_empty())).collect();
    let mut sections = vec![
        front_matter(&format!("{name} Function - {provider}"), Some(""), &format!("{}.", function.summary)),
        format!("# {name} (Function)\n\n{}. {}\n", function.summary, function.description),
    ];
    if !function.deprecation_message.is_empty() {
        sections.push(format!("~> **Deprecated.** {}\n", function.deprecation_message));
    }
    sections.extend([
        format!("## Example Usage\n\n{}", code("terraform", &read(&examples.join("function.tf")))),
        format!("## Signature\n\n{}", code("text", &signature)),
        format!("## Arguments\n\n{arguments}"),
    ]);
    sections.join("\n")
}

fn argument(parameter: &Parameter, variadic: bool) -> String {
    let marks = [(parameter.is_nullable, ", may be null"), (variadic, ", any number of them")];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    format!("1. `{}` ({}{marks}) {}\n", parameter.name, types::words(&parameter.kind), parameter.description)
}

/// What the registry lists a page by. The description is the first paragraph, as
/// plain text.
fn front_matter(title: &str, subcategory: Option<&str>, description: &str) -> String {
    let first = description.split("\n\n").next().unwrap_or_default();
    let plain = first.replace(['`', '*'], "").replace('\n', " ");
    let subcategory = subcategory.map(|name| format!("subcategory: {name:?}\n")).unwrap_or_default();
    format!(
        "---\n# Made by `make docs` from the provider's schema and examples/: edit those.\npage_title: {title:?}\n{subcategory}description: |-\n  {plain}\n---\n"
    )
}

fn code(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}

fn read(example: &Path) -> String {
    fs::read_to_string(example).unwrap_or_else(|error| panic!("write an example, {}: {error}", example.display()))
}
