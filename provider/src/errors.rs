//! What the runtime answered, in the words of a configuration.

use falaj_api::Problem;
use falaj_api::client::ClientError;
use tfplugin::schema::{Attribute, Kind, Nesting};
use tfplugin::{AttributePath, Diagnostic};

/// The diagnostic for a call that failed, about the attribute that the runtime
/// blames where the resource has it.
pub fn diagnostic(error: &ClientError, what: &str, attributes: &[Attribute]) -> Diagnostic {
    match error {
        ClientError::Problem(problem) => refused(problem, what, attributes),
        ClientError::Unreachable { .. } => Diagnostic::error(format!("The runtime did not answer about {what}")).detail(
            format!("{error}. If it is down, the next run starts it; its log lies in the cluster's data directory, logs/server.log."),
        ),
        ClientError::Malformed { .. } => Diagnostic::error(format!("The runtime's answer about {what} was not understood"))
            .detail(format!("{error}. Are provider and runtime of releases next to each other? `runtime_version` of the cluster says which runs.")),
        ClientError::Credentials { .. } => Diagnostic::error(format!("No valid credentials for {what}"))
            .detail(format!("{error}. The files are named by the provider's `connections`, or lie in the cluster's data directory.")),
    }
}

fn refused(problem: &Problem, what: &str, attributes: &[Attribute]) -> Diagnostic {
    let path = problem.pointer.as_deref().map(|pointer| path(pointer, attributes)).unwrap_or_default();
    let at = match (&problem.pointer, path.is_empty()) {
        (Some(pointer), true) => format!(" (at {pointer})"),
        _ => String::new(),
    };
    Diagnostic::error(format!("{}: {what}", problem.title))
        .detail(format!("{}{at}.", capital(&problem.detail)))
        .at(path)
}

/// A sentence begins with a capital, whoever wrote it.
pub fn capital(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The attribute that a JSON pointer into a declaration means: as far as the
/// schema has the same names.
fn path(pointer: &str, attributes: &[Attribute]) -> AttributePath {
    let Some(pointer) = pointer.strip_prefix("/spec/") else { return AttributePath::new() };
    let mut path = AttributePath::new();
    let mut level = attributes;
    let mut steps = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    while let Some(step) = steps.next() {
        let Some(attribute) = level.iter().find(|attribute| attribute.name == step) else { return path };
        path = path.attribute(attribute.name);
        match &attribute.kind {
            Kind::Nested(Nesting::Single, nested) => level = nested,
            Kind::Nested(Nesting::Map, nested) => {
                let Some(key) = steps.next() else { return path };
                path = path.key(key);
                level = nested;
            }
            _ => return path,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use falaj_api::Problem;
    use tfplugin::schema::{Attribute, Kind, Mode, Nesting};
    use tfplugin::{Type, schema};

    fn attributes() -> Vec<Attribute> {
        let plain = |name| Attribute::new(name, schema::Kind::Plain(Type::String), Mode::Optional);
        let features = Attribute::new("features", Kind::Nested(Nesting::Map, vec![plain("names")]), Mode::Optional);
        vec![Attribute::new("training", Kind::Nested(Nesting::Single, vec![features]), Mode::Optional), plain("name")]
    }

    #[test]
    fn the_runtimes_pointer_becomes_the_attributes_path() {
        for (pointer, path) in [
            ("/spec/training/features/people/names", r#"training.features["people"].names"#),
            ("/spec/training/features/people/elsewhere", r#"training.features["people"]"#),
            ("/spec/elsewhere", ""),
            ("/name", ""),
        ] {
            assert_eq!(super::path(pointer, &attributes()).to_string(), path, "{pointer}");
        }
    }

    #[test]
    fn a_pointer_that_no_attribute_answers_to_is_told_in_words() {
        let problem = Problem::invalid("/name", "too long");
        let told = super::refused(&problem, "the model \"x\"", &attributes());
        assert_eq!(told.detail, "Too long (at /name).");
    }
}
