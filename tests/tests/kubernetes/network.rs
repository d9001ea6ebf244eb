//! Names and NetworkPolicies, which clusters of ours rely on.

use falaj_tests::kubernetes::{BUSYBOX, Namespace, Node};

use crate::node::web;

const NOBODY_COMES_IN: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: nobody-comes-in}, spec: {podSelector: {}, policyTypes: [Ingress]}}";
const CALLERS_COME_IN: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: callers-come-in}, spec: {podSelector: {matchLabels: {app: called}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: calls}}}], ports: [{port: 8080}]}]}}";
const NAMES_ALONE_GO_OUT: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: names-alone-go-out}, spec: {podSelector: {matchLabels: {app: calls}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{port: 5353, protocol: UDP}]}]}}";

/// Whether a pod gets a page, by the name of a service.
fn gets(space: &Namespace, from: &str, service: &str) -> bool {
    let address = format!("http://{service}.{}.svc.cluster.local", space.name());
    let output = space.try_kubectl(&["exec", from, "--", "timeout", "2", "wget", "-q", "-O-", &address]);
    output.stdout == b"here\n"
}

#[test]
fn pods_find_services_by_name_and_network_policies_say_who_reaches_whom() {
    let Some(node) = Node::start() else { return };
    let space = node.namespace("network");
    for name in ["called", "calls", "stranger"] {
        node.apply_in(space.name(), &web(name, BUSYBOX));
    }
    space.kubectl(&["wait", "--for=condition=Ready", "pod/called", "pod/calls", "pod/stranger", "--timeout=60s"]);
    space.kubectl(&["expose", "pod", "called", "--port=80", "--target-port=8080"]);
    node.wait_for("an answer by name", || gets(&space, "calls", "called"));
    assert!(gets(&space, "stranger", "called"));

    node.apply_in(space.name(), NOBODY_COMES_IN);
    node.wait_for("nobody's answer", || !gets(&space, "calls", "called") && !gets(&space, "stranger", "called"));
    node.apply_in(space.name(), CALLERS_COME_IN);
    node.wait_for("the caller's answer", || gets(&space, "calls", "called"));
    assert!(!gets(&space, "stranger", "called"));
    // What the kubelet asks is not kept out.
    assert_eq!(space.get(&["pod", "called"])["status"]["containerStatuses"][0]["ready"], true);

    node.apply_in(space.name(), NAMES_ALONE_GO_OUT);
    node.wait_for("the end of what goes out", || !gets(&space, "calls", "called"));
    let named =
        space.kubectl(&["exec", "calls", "--", "nslookup", &format!("called.{}.svc.cluster.local", space.name())]);
    assert!(named.contains("10.96."), "{named}");
}
