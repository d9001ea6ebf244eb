//! Opening keys: where a key is, is asked of who holds it.

use std::{path::Path, sync::Arc};

use falaj_api::{Evidence, KeyUri, KmsKey, Place, Problem, Residency};
use falaj_kms::{Description, Kms};

/// Opens a key and checks every region that its service says it is in.
///
/// # Errors
/// The key cannot be used, lies in the data directory or outside of the rule.
pub async fn open(
    data_dir: &Path,
    key: &KmsKey,
    rule: Option<&Residency>,
    pointer: &str,
) -> Result<(Arc<dyn Kms>, Description), Problem> {
    let at = |problem: Problem| Problem { pointer: Some(pointer.to_owned()), ..problem };
    if let KeyUri::File { path } = &key.uri {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if real.starts_with(data_dir) {
            let detail = format!(
                "the key file {} lies in the cluster's data directory: one copy would hold both; keep it elsewhere",
                path.display()
            );
            return Err(at(Problem::refused("key-custody", detail)));
        }
    }
    let unusable =
        |error: falaj_kms::KmsError| at(Problem::new(422, "key", "The key cannot be used", error.to_string()));
    let kms = falaj_kms::open(key).await.map_err(unusable)?;
    let described = kms.describe().await.map_err(unusable)?;
    if let Some(rule) = rule {
        for region in described.region.iter().chain(&described.replica_regions) {
            let region = region.parse().map_err(|error: String| at(Problem::internal(error)))?;
            let place = Place { region, evidence: Evidence::Attested };
            rule.permits(&place)
                .map_err(|error| at(Problem::refused("residency", format!("the key {}: {error}", key.uri))))?;
        }
    }
    Ok((kms, described))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt;

    use falaj_api::{KmsKey, Residency};

    fn key(path: &std::path::Path) -> KmsKey {
        let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path).unwrap();
        std::io::Write::write_all(&mut file, &[1; 32]).unwrap();
        KmsKey {
            uri: format!("file://{}", path.display()).parse().unwrap(),
            region: Some("aws:eu-west-1".parse().unwrap()),
        }
    }

    #[tokio::test]
    async fn a_key_inside_the_data_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let refused = super::open(&root, &key(&root.join("key")), None, "/spec/kms_key").await.unwrap_err();
        assert!(refused.is("key-custody"), "{refused:?}");
    }

    #[tokio::test]
    async fn a_key_outside_of_the_rule_is_refused() {
        let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let rule =
            Residency { jurisdiction: "AE".into(), allowed_regions: ["aws:me-central-1".parse().unwrap()].into() };
        let key = key(&dir.path().join("key"));
        let refused = super::open(data.path(), &key, Some(&rule), "/spec/kms_key").await.unwrap_err();
        assert!(refused.is("residency") && refused.detail.contains("IE"), "{refused:?}");
        assert!(super::open(data.path(), &key, None, "/spec/kms_key").await.is_ok());
    }
}
