//! Simulated GPU nodes: Karpenter brings them up for a pod that waits, and takes
//! them away.

use falaj_tests::kubernetes::{BUSYBOX, Node};

const POOL: &str = r#"
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: simulated}
spec: {}
---
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: simulated}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.kwok.sh, kind: KWOKNodeClass, name: simulated}
      expireAfter: Never
      taints: [{key: nvidia.com/gpu, value: "true", effect: NoSchedule}]
      requirements:
      - {key: karpenter.kwok.sh/instance-family, operator: In, values: [h100, a100]}
      - {key: karpenter.sh/capacity-type, operator: In, values: [spot]}
      - {key: topology.kubernetes.io/region, operator: In, values: [dubai-1]}
      - {key: topology.kubernetes.io/zone, operator: In, values: [dubai-1b]}
  limits: {nvidia.com/gpu: 16}
  disruption:
    consolidationPolicy: WhenEmptyOrUnderutilized
    consolidateAfter: 1s
    budgets: [{nodes: "100%"}]
"#;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: trains}
spec:
  tolerations: [{key: nvidia.com/gpu, operator: Exists}]
  nodeSelector: {topology.kubernetes.io/region: dubai-1}
  containers:
  - name: trains
    image: IMAGE
    resources: {requests: {cpu: 8}, limits: {nvidia.com/gpu: 8}}
    securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
"#;

#[test]
#[ignore = "make test-all"]
fn a_pod_that_asks_for_gpus_gets_a_simulated_node_which_goes_with_it() {
    let Some(node) = Node::start() else { return };
    node.start_karpenter();
    node.apply(POOL);
    let space = node.namespace("simulated");
    node.apply_in(space.name(), &POD.replace("IMAGE", BUSYBOX));

    node.wait_for("the pod on a simulated node", || space.get(&["pod", "trains"])["status"]["phase"] == "Running");
    let of_pool = ["nodes", "--selector=karpenter.sh/nodepool=simulated"];
    let nodes = node.get(&of_pool);
    assert_eq!(nodes["items"].as_array().unwrap().len(), 1, "{nodes:#}");
    let found = &nodes["items"][0];
    let labels = &found["metadata"]["labels"];
    assert_eq!(labels["node.kubernetes.io/instance-type"], "a100-8g", "the cheapest with 8 GPUs");
    assert_eq!(labels["topology.kubernetes.io/region"], "dubai-1");
    assert_eq!(labels["topology.kubernetes.io/zone"], "dubai-1b");
    assert_eq!(found["status"]["capacity"]["nvidia.com/gpu"], "8");
    assert_eq!(space.get(&["pod", "trains"])["spec"]["nodeName"], found["metadata"]["name"]);

    space.kubectl(&["delete", "pod", "trains", "--wait=false"]);
    node.wait_for("the node's end", || node.get(&of_pool)["items"].as_array().unwrap().is_empty());
    node.kubectl(&["delete", "nodepool/simulated", "kwoknodeclass/simulated"]);
}

#[test]
#[ignore = "make test-all"]
fn a_simulated_node_of_another_region_takes_only_who_asks_for_it() {
    let Some(node) = Node::start() else { return };
    node.simulate("of-berlin", "berlin", 8);
    let space = node.namespace("berlin");
    let pod = POD.replace("IMAGE", BUSYBOX).replace("nvidia.com/gpu, operator", "kwok, operator");
    node.apply_in(space.name(), &pod);
    node.wait_for("the scheduler's answer", || {
        let conditions = &space.get(&["pod", "trains"])["status"]["conditions"];
        conditions[0]["message"]
            .as_str()
            .is_some_and(|message| message.contains("didn't match Pod's node affinity/selector"))
    });
    node.apply_in(space.name(), &pod.replace("dubai-1", "berlin").replace("name: trains}", "name: moves}"));
    node.wait_for("the pod in Berlin", || space.get(&["pod", "moves"])["spec"]["nodeName"] == "of-berlin");
    node.wait_for("its phase", || space.get(&["pod", "moves"])["status"]["phase"] == "Running");
    node.kubectl(&["delete", "node", "of-berlin"]);
}
