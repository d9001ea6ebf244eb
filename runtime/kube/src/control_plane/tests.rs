use std::collections::BTreeMap;

use falaj_api::cluster::ClusterSpec;
use falaj_api::local::Seed;
use falaj_api::{KmsKey, Residency};
use k8s_openapi::api::{
    apps::v1 as apps, core::v1 as core, networking::v1 as net, policy::v1 as policy, rbac::v1 as rbac,
};
use serde_json::Value;

use super::ControlPlane;
use crate::objects::{Object, Untyped};
use crate::settings::{NodeRegions, Settings, WORKLOAD};

fn plane() -> ControlPlane {
    let region: falaj_api::Region = "onprem:ae-du:dubai-1".parse().unwrap();
    let spec = ClusterSpec {
        region: region.clone(),
        residency: Some(Residency { jurisdiction: "AE".into(), allowed_regions: [region.clone()].into() }),
        kms_key: KmsKey { uri: "file:///run/falaj/keys/root".parse().unwrap(), region: Some(region) },
        labels: BTreeMap::new(),
    };
    let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    ControlPlane {
        seed: Seed { name: "retail".into(), uid: "u1".into(), spec },
        settings: Settings {
            namespace: "falaj-retail".into(),
            kubernetes_uid: "k1".into(),
            image: "registry/falaj@sha256:00".into(),
            image_pull_secrets: vec!["pull".into()],
            workload_service_account: WORKLOAD.into(),
            node_regions: NodeRegions::default(),
        },
        owns_namespace: true,
        storage_class: Some("fast".into()),
        storage_size: "10Gi".into(),
        requests: map("cpu", "250m"),
        limits: map("memory", "2Gi"),
        service_account_annotations: map("eks.amazonaws.com/role-arn", "arn"),
        environment: map("AWS_REGION", "me-central-1"),
        environment_secrets: vec!["aws".into()],
        key_secret: Some("key".into()),
        egress_cidrs: vec!["10.0.0.0/8".into()],
        api_server: vec![("10.96.0.1".parse().unwrap(), 443), ("172.30.0.1".parse().unwrap(), 6443)],
        quota: map("requests.cpu", "8"),
        default_limits: map("memory", "1Gi"),
        default_requests: map("cpu", "100m"),
    }
}

/// Reads an object as its type and writes it again: a misspelt field would be lost.
fn round<K: Object>(untyped: &Untyped) -> Value {
    let typed: K = untyped.object.clone().try_parse().unwrap();
    serde_json::to_value(typed).unwrap()
}

#[test]
fn every_field_of_every_object_is_one_of_its_type() {
    for untyped in plane().objects() {
        let read = match untyped.resource.kind.as_str() {
            "Namespace" => round::<core::Namespace>(&untyped),
            "Secret" => round::<core::Secret>(&untyped),
            "ResourceQuota" => round::<core::ResourceQuota>(&untyped),
            "LimitRange" => round::<core::LimitRange>(&untyped),
            "ServiceAccount" => round::<core::ServiceAccount>(&untyped),
            "Role" => round::<rbac::Role>(&untyped),
            "RoleBinding" => round::<rbac::RoleBinding>(&untyped),
            "ClusterRole" => round::<rbac::ClusterRole>(&untyped),
            "ClusterRoleBinding" => round::<rbac::ClusterRoleBinding>(&untyped),
            "NetworkPolicy" => round::<net::NetworkPolicy>(&untyped),
            "PersistentVolumeClaim" => round::<core::PersistentVolumeClaim>(&untyped),
            "Service" => round::<core::Service>(&untyped),
            "PodDisruptionBudget" => round::<policy::PodDisruptionBudget>(&untyped),
            "StatefulSet" => round::<apps::StatefulSet>(&untyped),
            other => panic!("{other}"),
        };
        let written = serde_json::to_value(&untyped.object).unwrap();
        assert_eq!(read, written, "{}", untyped.describe());
    }
}

#[test]
fn the_control_plane_only_goes_where_the_rule_allows() {
    let affinity = |plane: &ControlPlane| {
        let objects = plane.objects();
        let set = objects.iter().find(|object| object.resource.kind == "StatefulSet").unwrap();
        set.object.data["spec"]["template"]["spec"]["affinity"].clone()
    };
    let mut plane = plane();
    assert!(affinity(&plane).to_string().contains(r#""values":["dubai-1"]"#));
    plane.seed.spec.residency = None;
    assert!(affinity(&plane).is_null());
}

#[test]
fn no_pod_connects_anywhere_that_is_not_listed() {
    let objects = plane().objects();
    let policies: Vec<_> = objects.iter().filter(|object| object.resource.kind == "NetworkPolicy").collect();
    let deny = policies.iter().find(|policy| policy.name() == "falaj-default-deny").unwrap();
    assert_eq!(
        deny.object.data["spec"],
        serde_json::json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })
    );
    let text = |name: &str| {
        let found = policies.iter().find(|policy| policy.name() == name).unwrap();
        found.object.data["spec"]["egress"].to_string()
    };
    assert!(text("falaj-server").contains("10.0.0.0/8") && text("falaj-server").contains("172.30.0.1/32"));
    let workload = text("falaj-workload");
    assert!(!workload.contains("10.0.0.0/8") && !workload.contains("172.30.0.1"), "{workload}");
}
