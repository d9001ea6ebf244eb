//! Pages of a provider that has one of everything the protocol knows.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{pages, schema::Schemas, validate};

fn schemas() -> Value {
    let text = |extra: Value| {
        let mut attribute = json!({ "type": "string", "description": "Words.", "description_kind": "markdown" });
        attribute.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        attribute
    };
    let block = |attributes: Value| {
        let description = "A `note`.\n\nKept until it is thrown away.";
        json!({ "version": 0, "block": { "attributes": attributes, "description": description } })
    };
    let object = block(json!({ "text": text(json!({ "required": true })) }));
    let link = json!({ "url": text(json!({ "optional": true })), "tags": {
        "type": ["map", ["list", "number"]], "description": "Numbers.", "computed": true
    }});
    let resource = block(json!({
        "text": text(json!({ "required": true })),
        "id": text(json!({ "computed": true })),
        "password_wo": text(json!({ "optional": true, "write_only": true, "sensitive": true })),
        "colour": text(json!({ "optional": true, "deprecated": true })),
        "first": { "description": "A link.", "optional": true, "nested_type": { "nesting_mode": "single", "attributes": link } },
        "others": { "description": "Links.", "optional": true, "nested_type": { "nesting_mode": "list", "attributes": link } },
    }));
    json!({ "format_version": "1.0", "provider_schemas": { "note": {
        "provider": object,
        "resource_schemas": { "note_page": resource },
        "data_source_schemas": { "note_page": object },
        "ephemeral_resource_schemas": { "note_token": object },
        "list_resource_schemas": { "note_page": object },
        "action_schemas": { "note_print": { "block": object["block"] } },
        "resource_identity_schemas": { "note_page": { "version": 0, "attributes": {
            "shelf": { "type": "string", "description": "Where it lies.", "required_for_import": true }
        }}},
        "functions": { "join": {
            "summary": "Texts as one", "description": "In order.", "return_type": "string",
            "parameters": [{ "name": "by", "description": "What is between.", "type": "string", "is_nullable": true }],
            "variadic_parameter": { "name": "parts", "description": "The texts.", "type": "dynamic" },
        }},
    }}})
}

fn rendered(schemas: &Value) -> BTreeMap<PathBuf, String> {
    let examples = tempfile::tempdir().unwrap();
    for path in [
        "provider/provider.tf",
        "resources/note_page/resource.tf",
        "resources/note_page/import-by-identity.tf",
        "data-sources/note_page/data-source.tf",
        "ephemeral-resources/note_token/ephemeral-resource.tf",
        "list-resources/note_page/list-resource.tfquery.hcl",
        "actions/note_print/action.tf",
        "functions/join/function.tf",
    ] {
        let path = examples.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "# an example\n").unwrap();
    }
    let parsed: Schemas = serde_json::from_value(schemas.clone()).unwrap();
    pages::render("note", &parsed.provider_schemas["note"], examples.path())
}

#[test]
fn every_kind_of_object_has_a_page_that_the_registrys_tool_accepts() {
    let schemas = schemas();
    let pages = rendered(&schemas);
    let repository = tempfile::tempdir().unwrap();
    for (path, page) in &pages {
        let path = repository.path().join("docs").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, page).unwrap();
    }
    let paths: Vec<&str> = pages.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "actions/print.md",
            "data-sources/page.md",
            "ephemeral-resources/token.md",
            "functions/join.md",
            "index.md",
            "list-resources/page.md",
            "resources/page.md",
        ]
    );
    validate(repository.path(), "note", &schemas);
}

#[test]
fn a_page_says_who_sets_what_and_how() {
    let pages = rendered(&schemas());
    let page = &pages[&PathBuf::from("resources/page.md")];
    for line in [
        "description: |-\n  A note.\n",
        "Kept until it is thrown away.",
        "### Required\n\n- `text` (String) Words.\n",
        "### Read-Only\n\n- `id` (String) Words.\n",
        "- `password_wo` (String, Sensitive, Write-only) Words.\n",
        "- `colour` (String, Deprecated) Words.\n",
        "- `others` (Attributes List) Links. (see [below](#nestedatt--others))\n",
        "<a id=\"nestedatt--first\"></a>\n<a id=\"nestedatt--others\"></a>\n\n### Nested Schema for `first`, `others`\n",
        "- `tags` (Map of List of Number) Numbers.\n",
        "By identity, from Terraform 1.12 on:\n\n```terraform\n# an example\n```\n\n- `shelf` (String, required) Where it lies.\n",
    ] {
        assert!(page.contains(line), "no {line:?} in:\n{page}");
    }
    let page = &pages[&PathBuf::from("functions/join.md")];
    for line in [
        "join(by string, parts any...) string\n",
        "1. `by` (String, may be null) What is between.\n1. `parts` (Dynamic, any number of them) The texts.\n",
    ] {
        assert!(page.contains(line), "no {line:?} in:\n{page}");
    }
}

#[test]
#[should_panic(expected = "unknown field `block_types`")]
fn what_the_pages_would_leave_out_is_an_error() {
    let mut schemas = schemas();
    schemas["provider_schemas"]["note"]["provider"]["block"]["block_types"] = json!({});
    rendered(&schemas);
}

#[test]
#[should_panic(expected = "note_page.text has no description")]
fn an_attribute_without_a_description_is_an_error() {
    let mut schemas = schemas();
    schemas["provider_schemas"]["note"]["resource_schemas"]["note_page"]["block"]["attributes"]["text"]["description"] =
        json!("");
    rendered(&schemas);
}
