//! Who may connect to whom: nobody, but for what is listed here.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

use super::{ControlPlane, object};
use crate::labels;
use crate::objects::Untyped;
use crate::settings::{CONTROL_PORT, SERVER, SERVING_PORT};

impl ControlPlane {
    pub(super) fn network_policies(&self) -> Vec<Untyped> {
        let pods = |component: &str| json!({ "matchLabels": labels::selector(self.cluster(), component) });
        let server = pods(labels::COMPONENT_SERVER);
        let workloads = json!({ "matchExpressions": [
            { "key": labels::INSTANCE, "operator": "In", "values": [self.cluster()] },
            { "key": labels::COMPONENT, "operator": "In", "values": [labels::COMPONENT_SERVING, labels::COMPONENT_TRAINING] },
        ] });
        let to_server = json!({ "to": [{ "podSelector": server }], "ports": ports("TCP", &[CONTROL_PORT]) });
        let mut beyond = vec![dns()];
        if !self.egress_cidrs.is_empty() {
            let blocks: Vec<Value> =
                self.egress_cidrs.iter().map(|cidr| json!({ "ipBlock": { "cidr": cidr } })).collect();
            beyond.push(json!({ "to": blocks }));
        }
        let mut server_egress = beyond;
        server_egress.extend(self.to_api_server());
        server_egress.push(json!({ "to": [{ "podSelector": pods(labels::COMPONENT_SERVING) }], "ports": ports("TCP", &[SERVING_PORT]) }));
        let policy =
            |name: &str, spec: Value| object::<NetworkPolicy>(json!({ "metadata": self.meta(name), "spec": spec }));
        vec![
            policy("falaj-default-deny", json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })),
            policy(
                SERVER,
                json!({
                    "podSelector": server,
                    "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{ "from": [{ "podSelector": workloads }], "ports": ports("TCP", &[CONTROL_PORT]) }],
                    "egress": server_egress,
                }),
            ),
            policy(
                "falaj-workload",
                json!({
                    "podSelector": workloads, "policyTypes": ["Egress"], "egress": [dns(), to_server],
                }),
            ),
            // Who calls an endpoint shows a certificate; from where, the platform does not know.
            policy(
                "falaj-serving",
                json!({
                    "podSelector": pods(labels::COMPONENT_SERVING),
                    "policyTypes": ["Ingress"],
                    "ingress": [{ "ports": ports("TCP", &[SERVING_PORT]) }],
                }),
            ),
        ]
    }

    fn to_api_server(&self) -> Vec<Value> {
        let rule = |(address, port): &(std::net::IpAddr, u16)| {
            let cidr = format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
            json!({ "to": [{ "ipBlock": { "cidr": cidr } }], "ports": ports("TCP", &[*port]) })
        };
        let mut addresses = self.api_server.clone();
        addresses.sort();
        addresses.dedup();
        addresses.iter().map(rule).collect()
    }

    pub(super) fn service(&self) -> Untyped {
        object::<Service>(json!({
            "metadata": self.meta(SERVER),
            "spec": {
                "selector": labels::selector(self.cluster(), labels::COMPONENT_SERVER),
                "ports": [{ "name": "control", "port": CONTROL_PORT, "targetPort": CONTROL_PORT, "protocol": "TCP" }],
            },
        }))
    }
}

fn ports(protocol: &str, ports: &[u16]) -> Vec<Value> {
    ports.iter().map(|port| json!({ "protocol": protocol, "port": port })).collect()
}

/// Name servers: pods, which some clusters have on another port, and the address
/// of the cache that nodes have. Elsewhere names would be a way out for data.
fn dns() -> Value {
    let mut both = ports("UDP", &[53, 5353]);
    both.extend(ports("TCP", &[53, 5353]));
    json!({ "to": [{ "namespaceSelector": {} }, { "ipBlock": { "cidr": "169.254.20.10/32" } }], "ports": both })
}
