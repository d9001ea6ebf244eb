use super::fixtures::{Said, Workshop, run};
use super::registry::{Kept, Registry};

/// A workshop with `image.tar`, and the image's digest.
async fn built() -> (Workshop, String) {
    let workshop = Workshop::new().await;
    let said = workshop.build("image.tar", &[]).await;
    assert!(said.ok, "{}", said.stderr);
    let digest = said.stdout.split_once('@').unwrap().1.to_owned();
    (workshop, digest)
}

async fn push(workshop: &Workshop, to: &str, variables: &[(&str, &str)]) -> Said {
    let mut command = workshop.falaj();
    command.args(["image", "push", "--image"]).arg(workshop.path("image.tar")).arg(to);
    command.envs(variables.iter().copied());
    run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_image_is_named_by_the_digest_it_was_built_with_and_pushing_again_sends_nothing() {
    let (workshop, digest) = built().await;
    let registry = Registry::start(Kept { lists_referrers: true, ..Kept::default() }).await;
    let to = format!("{}/ml/falaj:7", registry.address);
    let said = push(&workshop, &to, &[]).await;
    assert_eq!(said.stdout, format!("{}/ml/falaj@{digest}", registry.address), "{}", said.stderr);
    assert_eq!(registry.manifest("7"), registry.manifest(&digest));
    let uploads = registry.kept.lock().unwrap().uploads.clone();
    // Three layers and a config; two documents, and the empty config that they share.
    assert_eq!(uploads.len(), 7, "{uploads:?}");
    assert_eq!(registry.manifest(&digest.replace(':', "-")), None, "this registry lists referrers itself");

    let again = push(&workshop, &to, &[]).await;
    assert_eq!(again.stdout, said.stdout);
    assert_eq!(registry.kept.lock().unwrap().uploads, uploads);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_referrers_gets_a_tag_that_lists_them() {
    let (workshop, digest) = built().await;
    let registry = Registry::start(Kept::default()).await;
    let to = format!("{}/ml/falaj", registry.address);
    for _ in 0..2 {
        let said = push(&workshop, &to, &[]).await;
        assert!(said.ok, "{}", said.stderr);
        let listed = registry.manifest(&digest.replace(':', "-")).unwrap();
        let kinds: Vec<&str> = listed["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["artifactType"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["application/spdx+json", "application/vnd.in-toto+json"]);
    }
    assert!(registry.manifest(env!("CARGO_PKG_VERSION")).is_some(), "the tag it was built under");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_push_leaves_no_tag_and_the_next_one_finishes_it() {
    let (workshop, digest) = built().await;
    let registry = Registry::start(Kept { fails_after: Some(2), ..Kept::default() }).await;
    let to = format!("{}/ml/falaj:7", registry.address);
    let said = push(&workshop, &to, &[]).await;
    assert!(!said.ok && said.stderr.contains("pushing again goes on where this ended"), "{}", said.stderr);
    assert_eq!(registry.manifest("7"), None);
    let before = registry.kept.lock().unwrap().uploads.clone();
    assert_eq!(before.len(), 2);

    registry.kept.lock().unwrap().fails_after = None;
    let said = push(&workshop, &to, &[]).await;
    assert!(said.ok && said.stdout.ends_with(&digest), "{}", said.stderr);
    let uploads = registry.kept.lock().unwrap().uploads.clone();
    assert_eq!((&uploads[..2], uploads.len()), (before.as_slice(), 7), "nothing is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stumbles_is_asked_again() {
    let (workshop, _) = built().await;
    let registry = Registry::start(Kept { hiccups: 1, ..Kept::default() }).await;
    let said = push(&workshop, &format!("{}/ml/falaj", registry.address), &[]).await;
    assert!(said.ok, "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_environment_or_from_dockers_file_and_their_absence_is_said() {
    let (workshop, _) = built().await;
    let registry = Registry::start(Kept { login: Some("ml:secret".to_owned()), ..Kept::default() }).await;
    let to = format!("{}/ml/falaj", registry.address);
    let said = push(&workshop, &to, &[]).await;
    assert!(said.stderr.contains("there are no credentials for it; set FALAJ_REGISTRY_USERNAME"), "{}", said.stderr);

    let variable = |password| [("FALAJ_REGISTRY_USERNAME", "ml"), ("FALAJ_REGISTRY_PASSWORD", password)];
    let said = push(&workshop, &to, &variable("wrong")).await;
    assert!(said.stderr.contains("does not let these credentials push to ml/falaj"), "{}", said.stderr);
    let said = push(&workshop, &to, &variable("secret")).await;
    assert!(said.ok, "{}", said.stderr);

    registry.kept.lock().unwrap().login = Some("docker:other".to_owned());
    let login = serde_json::json!({"auths": {&registry.address: {"auth": "ZG9ja2VyOm90aGVy"}}});
    std::fs::create_dir(workshop.path(".docker")).unwrap();
    std::fs::write(workshop.path(".docker/config.json"), login.to_string()).unwrap();
    let said = push(&workshop, &to, &[]).await;
    assert!(said.ok, "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_image_is_named() {
    let workshop = Workshop::new().await;
    let said = push(&workshop, "127.0.0.1:1/ml/falaj", &[]).await;
    assert!(said.stderr.contains("image.tar cannot be read; `falaj image build` writes an image"), "{}", said.stderr);
}
