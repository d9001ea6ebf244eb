use serde_json::Value;

use super::fixtures::{Workshop, read_tar, untar};

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_inputs_give_the_same_bytes_and_another_input_does_not() {
    let workshop = Workshop::new().await;
    let first = workshop.build("first.tar", &[]).await;
    assert!(first.ok, "{}", first.stderr);
    assert!(first.stdout.starts_with("localhost/falaj@sha256:"), "{}", first.stdout);

    // From the cache: the mirror has nothing any more.
    workshop.mirror.rename("/debian", "/gone");
    let second = workshop.build("second.tar", &[]).await;
    assert_eq!(second.stdout, first.stdout, "{}", second.stderr);
    let bytes = |name: &str| std::fs::read(workshop.path(name)).unwrap();
    assert!(bytes("first.tar") == bytes("second.tar"));

    let later = workshop.build("later.tar", &["--time", "86400"]).await;
    assert_ne!(later.stdout, first.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_holds_what_the_process_needs_and_runs_as_nobody_special() {
    let workshop = Workshop::new().await;
    let said = workshop.build("image.tar", &["--name", "registry.example.ae/ml/falaj:7"]).await;
    assert!(said.ok, "{}", said.stderr);
    let digest = said.stdout.strip_prefix("registry.example.ae/ml/falaj@").unwrap();

    let layout = read_tar(&workshop.path("image.tar"));
    let blob = |digest: &Value| &layout[&format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))];
    let index = json(&layout["index.json"]);
    assert_eq!(index["manifests"][0]["digest"], digest);
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "registry.example.ae/ml/falaj:7");
    let manifest = json(blob(&index["manifests"][0]["digest"]));
    let config = json(blob(&manifest["config"]["digest"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/bin/falaj"]));
    assert!(
        config["config"]["Env"].to_string().contains("ORT_DYLIB_PATH=/usr/lib/falaj/libonnxruntime.so.1.32.0"),
        "{config}"
    );

    let layers: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| untar(&zstd::decode_all(blob(&layer["digest"]).as_slice()).unwrap()))
        .collect();
    let [base, library, program] = layers.as_slice() else { panic!("three layers: {manifest}") };
    assert_eq!(base["usr/lib/x86_64-linux-gnu/libc.so.6"], b"glibc");
    assert_eq!(base["etc/ssl/certs/ca-certificates.crt"], b"first\nsecond\n");
    assert_eq!(base["usr/share/doc/libc6/copyright"], b"LGPL");
    assert_eq!(base["var/lib/dpkg/status.d/libc6"], b"Package: libc6\nVersion: 1\n");
    assert!(String::from_utf8_lossy(&base["etc/passwd"]).contains("falaj:x:65532:65532:"));
    assert!(!base.keys().any(|path| path.contains("gconv") || path.starts_with("usr/share/ca-certificates")));
    assert_eq!(library["usr/share/doc/onnxruntime/ThirdPartyNotices.txt"], b"notices");
    let given = std::fs::read(workshop.path("release/falaj")).unwrap();
    assert!(program["usr/bin/falaj"] == given, "a program without symbols goes in byte for byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bill_of_materials_and_the_provenance_are_about_the_image() {
    let workshop = Workshop::new().await;
    let said = workshop.build("image.tar", &[]).await;
    let (_, digest) = said.stdout.split_once('@').unwrap();
    let layout = read_tar(&workshop.path("image.tar"));
    let blob = |digest: &Value| json(&layout[&format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"))]);
    let index = json(&layout["index.json"]);
    let document = |kind: &str| {
        let entries = index["manifests"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["artifactType"] == kind).unwrap();
        let manifest = blob(&entry["digest"]);
        assert_eq!(manifest["subject"]["digest"], digest);
        assert_eq!(manifest["layers"][0]["mediaType"], kind);
        blob(&manifest["layers"][0]["digest"])
    };

    let bill = document("application/spdx+json");
    assert_eq!(bill["spdxVersion"], "SPDX-2.3");
    let named = |name: &str| bill["packages"].as_array().unwrap().iter().any(|package| package["name"] == name);
    for name in ["libc6", "ca-certificates", "onnxruntime", "falaj", "tokio"] {
        assert!(named(name), "{name}");
    }

    let statement = document("application/vnd.in-toto+json");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()), digest);
    let went_in = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    let program = falaj::sha256_hex(&std::fs::read(workshop.path("release/falaj")).unwrap());
    let digests: Vec<&str> =
        went_in.as_array().unwrap().iter().map(|part| part["digest"]["sha256"].as_str().unwrap()).collect();
    assert_eq!(digests.len(), 6, "two packages, program, library, two notices: {went_in}");
    assert!(digests.contains(&program.as_str()), "{went_in}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_has_left_the_mirror_comes_from_the_snapshot_of_its_day() {
    let workshop = Workshop::new().await;
    workshop.mirror.rename("/debian/", "/snapshot/debian/20260101T000000Z/");
    let said = workshop.build("image.tar", &[]).await;
    assert!(said.ok, "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_package_is_refused_with_both_digests_and_nothing_is_written() {
    let workshop = Workshop::new().await;
    workshop.mirror.alter();
    let said = workshop.build("image.tar", &[]).await;
    assert!(!said.ok);
    for part in ["libc6 1 cannot be had", "pinned are", "not there", "--mirror"] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    assert!(!workshop.path("image.tar").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cache_is_fetched_anew() {
    let workshop = Workshop::new().await;
    let first = workshop.build("first.tar", &[]).await;
    for entry in std::fs::read_dir(workshop.path(".cache/falaj/debian")).unwrap() {
        std::fs::write(entry.unwrap().path(), b"damaged").unwrap();
    }
    assert_eq!(workshop.build("second.tar", &[]).await.stdout, first.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_does_not_fit_is_named_with_what_would_be_right() {
    let workshop = Workshop::new().await;
    let library = workshop.path("release/libonnxruntime.so.1.32.0");
    let mut bytes = std::fs::read(&library).unwrap();
    // The machine of its header: aarch64.
    bytes[18] = 183;
    std::fs::write(&library, bytes).unwrap();
    let said = workshop.build("image.tar", &[]).await;
    assert!(said.stderr.contains("is for arm64, the program for amd64"), "{}", said.stderr);

    std::fs::remove_file(&library).unwrap();
    let said = workshop.build("image.tar", &[]).await;
    assert!(said.stderr.contains("--onnxruntime names one"), "{}", said.stderr);

    std::fs::write(workshop.path("release/falaj"), "#!/bin/sh\n").unwrap();
    let said = workshop.build("image.tar", &[]).await;
    assert!(said.stderr.contains("no 64-bit program of Linux"), "{}", said.stderr);

    let said = workshop.build("image.tar", &["--name", "falaj"]).await;
    assert!(said.stderr.contains("such as falaj:1.0"), "{}", said.stderr);
}
