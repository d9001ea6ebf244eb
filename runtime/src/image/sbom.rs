//! The bill of materials of an image (SPDX 2.3): Debian packages, ONNX Runtime, the
//! program and the crates it was built from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cargo_lock::{Lockfile, Package};
use serde_json::{Value, json};

use super::contents::Contents;
use super::root::PACKAGES_DIR;

pub const MEDIA_TYPE: &str = "application/spdx+json";

/// The crates this release was built from. The file names what any platform and any
/// test needs too, so of some crates nothing is in the program.
const CARGO_LOCK: &str = include_str!("../../../Cargo.lock");

const IMAGE: &str = "SPDXRef-image";
const PROGRAM: &str = "SPDXRef-falaj";
const LIBRARY: &str = "SPDXRef-onnxruntime";

/// The document about the image with this name and digest (without `sha256:`).
///
/// # Errors
/// The lock file of this release cannot be read.
pub fn document(contents: &Contents, name: &str, sha256: &str) -> Result<Value> {
    let mut packages = vec![
        json!({
            "SPDXID": IMAGE,
            "name": name,
            "primaryPackagePurpose": "CONTAINER",
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
        }),
        json!({
            "SPDXID": PROGRAM,
            "name": "falaj",
            "versionInfo": contents.version,
            "primaryPackagePurpose": "APPLICATION",
            "packageFileName": contents.program.path,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseDeclared": "Apache-2.0",
            "checksums": [{"algorithm": "SHA256", "checksumValue": contents.program.packed_sha256}],
            "externalRefs": [purl(&contents.program_purl())],
        }),
        json!({
            "SPDXID": LIBRARY,
            "name": "onnxruntime",
            "versionInfo": contents.library_version.as_deref().unwrap_or("NOASSERTION"),
            "primaryPackagePurpose": "LIBRARY",
            "packageFileName": contents.library.path,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseDeclared": "MIT",
            "checksums": [{"algorithm": "SHA256", "checksumValue": contents.library.packed_sha256}],
            "externalRefs": [purl(&contents.library_purl())],
        }),
    ];
    let mut relationships = vec![
        related("SPDXRef-DOCUMENT", "DESCRIBES", IMAGE),
        related(IMAGE, "CONTAINS", PROGRAM),
        related(IMAGE, "CONTAINS", LIBRARY),
        related(PROGRAM, "DYNAMIC_LINK", LIBRARY),
    ];
    for package in &contents.lock.packages {
        let id = id("deb", &package.name, "");
        relationships.push(related(IMAGE, "CONTAINS", &id));
        packages.push(json!({
            "SPDXID": id,
            "name": package.name,
            "versionInfo": package.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "comment": format!("files chosen from the package; its licence is in /usr/share/doc, its description in /{PACKAGES_DIR}"),
            "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
            "externalRefs": [purl(&contents.debian_purl(&package.name, &package.version))],
        }));
    }
    add_crates(&mut packages, &mut relationships)?;
    Ok(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://github.com/falaj/falaj/spdx/sha256-{sha256}"),
        "creationInfo": {
            "created": contents.created,
            "creators": [format!("Tool: falaj-{}", falaj_api::version())],
            "comment": "The crates are those of Cargo.lock that falaj can reach; some are of tests, or of other platforms only.",
        },
        "packages": packages,
        "relationships": relationships,
    }))
}

/// Adds what can be reached from the program in the lock file.
fn add_crates(packages: &mut Vec<Value>, relationships: &mut Vec<Value>) -> Result<()> {
    let lock: Lockfile = CARGO_LOCK.parse().context("Cargo.lock of this release")?;
    let by_name: BTreeMap<(&str, String), &Package> =
        lock.packages.iter().map(|package| ((package.name.as_str(), package.version.to_string()), package)).collect();
    let root = lock.packages.iter().find(|package| package.name.as_str() == "falaj");
    let mut reached: BTreeMap<String, &Package> = BTreeMap::new();
    let mut ahead: Vec<&Package> = vec![root.context("Cargo.lock of this release names no falaj")?];
    while let Some(package) = ahead.pop() {
        let from = crate_id(package);
        if reached.insert(from, package).is_some() {
            continue;
        }
        let key = |needed: &cargo_lock::Dependency| (needed.name.as_str().to_owned(), needed.version.to_string());
        for needed in &package.dependencies {
            let (name, version) = key(needed);
            ahead.extend(by_name.get(&(name.as_str(), version)));
        }
    }
    for (from, package) in &reached {
        for needed in &package.dependencies {
            let to = id("crate", needed.name.as_str(), &needed.version.to_string());
            relationships.push(related(from, "DEPENDS_ON", &to));
        }
        if from == PROGRAM {
            continue;
        }
        let version = package.version.to_string();
        let mut described = json!({
            "SPDXID": from,
            "name": package.name.as_str(),
            "versionInfo": version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "externalRefs": [purl(&format!("pkg:cargo/{}@{}", package.name, version.replace('+', "%2B")))],
        });
        if let (Some(checksum), Some(fields)) = (&package.checksum, described.as_object_mut()) {
            let checksum = json!([{"algorithm": "SHA256", "checksumValue": checksum.to_string()}]);
            fields.insert("checksums".to_owned(), checksum);
        }
        packages.push(described);
    }
    Ok(())
}

fn crate_id(package: &Package) -> String {
    if package.name.as_str() == "falaj" {
        return PROGRAM.to_owned();
    }
    id("crate", package.name.as_str(), &package.version.to_string())
}

/// An identifier of SPDX: letters, digits, `.` and `-`.
fn id(kind: &str, name: &str, version: &str) -> String {
    let plain = |text: &str| text.replace('_', "-u-").replace('+', "-p-");
    let version = if version.is_empty() { String::new() } else { format!("-{}", plain(version)) };
    format!("SPDXRef-{kind}-{}{version}", plain(name))
}

fn related(from: &str, how: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to})
}

fn purl(locator: &str) -> Value {
    json!({"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::add_crates;

    #[test]
    fn every_crate_the_program_needs_is_described_once_and_nothing_else_is_related() {
        let (mut packages, mut relationships) = (Vec::new(), Vec::new());
        add_crates(&mut packages, &mut relationships).unwrap();
        let ids: BTreeSet<&str> = packages.iter().map(|package| package["SPDXID"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), packages.len());
        assert!(ids.iter().any(|id| id.starts_with("SPDXRef-crate-tokio-1.")), "{ids:?}");
        assert!(!ids.iter().any(|id| id.starts_with("SPDXRef-crate-tfplugin")), "the provider is not in the image");
        for id in ids {
            assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'), "{id}");
        }
        for related in &relationships {
            let to = related["relatedSpdxElement"].as_str().unwrap();
            assert!(packages.iter().any(|package| package["SPDXID"] == to), "{to}");
        }
    }
}
