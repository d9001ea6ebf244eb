//! Where an object is and what its id begins with, read from its parent's id
//! already at plan.

use falaj_api::id::{Id, Prefix};
use tfplugin::{Attr, AttributePath, Diagnostic, Refinement};

/// The place that an id says, which may be unknown but for its beginning.
/// `None` where it says nothing yet.
pub fn of_id(id: &Attr<String>, path: impl Into<AttributePath>) -> Result<Option<Prefix>, Diagnostic> {
    match id {
        Attr::Null => Ok(None),
        Attr::Known(text) => match text.parse::<Id>() {
            Ok(id) => Ok(Some(id.place)),
            Err(problem) => Err(Diagnostic::error("Not an id").detail(problem).at(path)),
        },
        // A beginning that is cut somewhere else is of no use.
        Attr::Unknown(refinement) => Ok(refinement.prefix().and_then(|prefix| prefix.parse().ok())),
    }
}

/// The noun of what a place is the place of: `cluster`, `workspace`, `model`.
pub fn noun(place: &Prefix) -> &str {
    match (&place.object, &place.workspace) {
        (Some((noun, _)), _) => noun,
        (None, Some(_)) => "workspace",
        (None, None) => "cluster",
    }
}

/// The place that the id at `path` says, which must be that of a `wanted`.
pub fn expect(id: &Attr<String>, wanted: &str, path: impl Into<AttributePath>) -> Result<Option<Prefix>, Diagnostic> {
    let path = path.into();
    match of_id(id, path.clone())? {
        Some(place) if noun(&place) != wanted => Err(Diagnostic::error("The id of something else")
            .detail(format!("A falaj_{wanted} is meant here; this is the id of a falaj_{}.", noun(&place)))
            .at(path)),
        place => Ok(place),
    }
}

/// Checks that the `wanted` whose id stands at `path` is in the workspace of `place`.
pub fn same_workspace(
    id: &Attr<String>,
    wanted: &str,
    place: Option<&Prefix>,
    path: AttributePath,
) -> Result<(), Diagnostic> {
    let (Some(other), Some(place)) = (expect(id, wanted, path.clone())?, place) else { return Ok(()) };
    let workspace = |place: &Prefix| (place.region.clone(), place.cluster.clone(), place.workspace.clone());
    if workspace(&other) == workspace(place) {
        return Ok(());
    }
    let say = |place: &Prefix| {
        place.workspace.clone().map_or_else(|| "none".to_owned(), |name| format!("{}/{name}", place.cluster))
    };
    Err(Diagnostic::error(format!("The {} is in another workspace", wanted.replace('_', " ")))
        .detail(format!(
            "It is in {}, and this is declared in {}: what belongs together lies in one workspace.",
            say(&other),
            say(place)
        ))
        .at(path))
}

/// The id of an object that is still to be made: unknown but for its beginning.
pub fn planned_id(place: Option<&Prefix>) -> Attr<String> {
    let known = Refinement::not_null();
    Attr::Unknown(match place {
        Some(place) => known.with_prefix(place.to_string()),
        None => known,
    })
}

#[cfg(test)]
mod tests {
    use falaj_api::id::Prefix;
    use tfplugin::Attr;

    use super::{expect, planned_id, same_workspace};

    const STORE: &str = "onprem:ae-du:dubai-1/retail/people/feature_store/people/0190f3c2-7a52-7cc0-8000-000000000000";

    #[test]
    fn an_unknown_id_says_its_place_by_its_beginning() {
        let place: Prefix = "onprem:ae-du:dubai-1/retail/people/".parse().unwrap();
        let id = planned_id(Some(&place));
        assert_eq!(expect(&id, "workspace", "workspace_id"), Ok(Some(place)));
        assert_eq!(expect(&Attr::unknown(), "workspace", "workspace_id"), Ok(None));
    }

    #[test]
    fn the_id_of_something_else_is_refused_by_name() {
        let error = expect(&STORE.into(), "workspace", "workspace_id").unwrap_err();
        assert!(error.to_string().contains("falaj_feature_store"), "{error}");
        assert!(expect(&"people".into(), "workspace", "workspace_id").is_err());
    }

    #[test]
    fn a_store_of_another_workspace_is_refused() {
        let place: Prefix = "onprem:ae-du:dubai-1/retail/risk/model/m1/".parse().unwrap();
        let error = same_workspace(&STORE.into(), "feature_store", Some(&place), "x".into()).unwrap_err();
        assert!(error.detail.contains("retail/people") && error.detail.contains("retail/risk"), "{error}");
    }
}
