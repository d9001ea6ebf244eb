//! Where an image comes from: an in-toto statement with SLSA's predicate
//! (slsa.dev/provenance/v1). It is not signed; who signs images signs it too.

use serde_json::{Value, json};

use super::contents::Contents;

pub const MEDIA_TYPE: &str = "application/vnd.in-toto+json";

/// The statement about the image with this name and digest (without `sha256:`).
#[must_use]
pub fn statement(contents: &Contents, name: &str, sha256: &str) -> Value {
    let packages = contents.lock.packages.iter().map(|package| {
        json!({
            "name": format!("{}/{}", package.archive, package.path),
            "uri": contents.debian_purl(&package.name, &package.version),
            "digest": {"sha256": package.sha256},
        })
    });
    let binaries = [(&contents.program, contents.program_purl()), (&contents.library, contents.library_purl())];
    let binaries =
        binaries.map(|(part, purl)| json!({"name": part.path, "uri": purl, "digest": {"sha256": part.given_sha256}}));
    let notices =
        contents.notices.iter().map(|part| json!({"name": part.path, "digest": {"sha256": part.given_sha256}}));
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://github.com/falaj/falaj/blob/main/docs/guides/image.md",
                "externalParameters": {
                    "name": name,
                    "architecture": contents.architecture.debian(),
                    "created": contents.created,
                },
                "internalParameters": {
                    "suite": contents.lock.suite,
                    "snapshot": contents.lock.snapshot,
                },
                "resolvedDependencies": packages.chain(binaries).chain(notices).collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": {
                    "id": "https://github.com/falaj/falaj",
                    "version": {"falaj": falaj_api::version()},
                },
            },
        },
    })
}
