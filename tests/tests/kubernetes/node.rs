//! The real Kubernetes that tests of clusters run on does what they rely on.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
};

use falaj_tests::kubernetes::{ADDRESS, AWS, BUSYBOX, Node, REGISTRY};

/// What `restricted` asks of a container.
const RESTRICTED: &str = "{runAsNonRoot: true, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}";

/// A page from an address of the node's network.
fn page(node: &Node, address: &str) -> std::io::Result<String> {
    node.inside(|| {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    })
}

/// A pod that says "here" on port 8080 and in its log.
pub(crate) fn web(name: &str, image: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: {image}
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo here >/www/index.html; echo started; exec httpd -f -v -p 8080 -h /www"]
    readinessProbe: {{httpGet: {{port: 8080}}, periodSeconds: 1}}
    securityContext: {RESTRICTED}
    volumeMounts: [{{name: www, mountPath: /www}}]
  volumes: [{{name: www, emptyDir: {{}}}}]
"#
    )
}

fn job(name: &str, command: &str) -> String {
    format!(
        r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      securityContext: {{runAsUser: 65532, fsGroup: 65532}}
      containers:
      - {{name: job, image: {BUSYBOX}, command: [sh, -c, {command:?}], securityContext: {RESTRICTED}, volumeMounts: [{{name: data, mountPath: /data}}]}}
      volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
"#
    )
}

#[test]
fn a_node_is_ready_and_says_in_which_region_it_is() {
    let Some(node) = Node::start() else { return };
    let nodes = node.get(&["nodes"]);
    let found =
        nodes["items"].as_array().unwrap().iter().find(|node| node["metadata"]["name"] == "falaj-test").unwrap();
    let labels = &found["metadata"]["labels"];
    assert_eq!(labels["topology.kubernetes.io/region"], "dubai-1");
    assert_eq!(labels["topology.kubernetes.io/zone"], "dubai-1a");
    assert_eq!(found["status"]["addresses"][0]["address"], ADDRESS);
    let ready =
        found["status"]["conditions"].as_array().unwrap().iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    assert!(ready, "{found:#}");
    assert!(node.kubectl(&["version"]).contains("Server Version: v1.34.2"));
}

#[test]
fn a_restricted_pod_runs_and_is_reached_by_logs_exec_port_forward_and_service() {
    let Some(node) = Node::start() else { return };
    let space = node.namespace("reached");
    let space_name = space.name();
    node.apply_in(space_name, &web("web", BUSYBOX));
    space.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]);
    assert!(space.kubectl(&["logs", "web"]).contains("started"));
    assert_eq!(space.kubectl(&["exec", "web", "--", "id", "-u"]).trim(), "65532");

    let mut forward = node
        .kubectl_command(&["--namespace", space_name, "port-forward", "pod/web", ":8080"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept: kubectl ends when it cannot say what it forwards.
    let mut said = BufReader::new(forward.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address =
        line.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap_or_else(|| panic!("{line}"));
    let through = page(node, address);
    falaj_tests::interrupt(forward.id());
    forward.wait().unwrap();
    assert!(through.unwrap().ends_with("here\n"));

    space.kubectl(&["expose", "pod", "web", "--port=80", "--target-port=8080"]);
    let service = space.get(&["service", "web"])["spec"]["clusterIP"].as_str().unwrap().to_owned();
    node.wait_for("an answer of the service", || {
        page(node, &format!("{service}:80")).is_ok_and(|page| page.ends_with("here\n"))
    });
    // The service's own pod reaches itself by it, too.
    assert_eq!(space.kubectl(&["exec", "web", "--", "wget", "-q", "-O-", &format!("http://{service}")]), "here\n");
}

#[test]
fn a_pod_that_is_not_restricted_is_refused() {
    let Some(node) = Node::start() else { return };
    let space = node.namespace("refused");
    let refused = node.try_apply_in(space.name(), &web("web", BUSYBOX).replace("runAsNonRoot: true, ", ""));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("violates PodSecurity \"restricted"), "{said}");
}

#[test]
fn a_claim_binds_and_what_one_job_writes_there_the_next_one_reads() {
    let Some(node) = Node::start() else { return };
    let space = node.namespace("claims");
    node.apply_in(
        space.name(),
        "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}",
    );
    node.apply_in(space.name(), &job("writes", "echo kept >/data/file"));
    space.kubectl(&["wait", "--for=condition=Complete", "job/writes", "--timeout=60s"]);
    assert_eq!(space.get(&["pvc", "data"])["status"]["phase"], "Bound");
    node.apply_in(space.name(), &job("reads", "cat /data/file"));
    space.kubectl(&["wait", "--for=condition=Complete", "job/reads", "--timeout=60s"]);
    assert_eq!(space.kubectl(&["logs", "job/reads"]), "kept\n");
    node.apply_in(space.name(), &job("fails", "exit 3"));
    space.kubectl(&["wait", "--for=condition=Failed", "job/fails", "--timeout=60s"]);
}

#[test]
fn an_image_runs_by_its_digest_from_an_archive_and_from_the_registry() {
    let Some(node) = Node::start() else { return };
    let space = node.namespace("images");
    let loaded = node.load(&node.busybox_archive());
    assert!(loaded.starts_with("falaj.test/busybox@sha256:"), "{loaded}");
    node.apply_in(space.name(), &web("loaded", &loaded));

    let digest = loaded.split_once('@').unwrap().1;
    node.push(BUSYBOX, &format!("{REGISTRY}/dubai/busybox:1"));
    node.apply_in(space.name(), &web("pulled", &format!("{REGISTRY}/dubai/busybox@{digest}")));
    space.kubectl(&["wait", "--for=condition=Ready", "pod/loaded", "pod/pulled", "--timeout=60s"]);
    let events = space.kubectl(&["get", "events", "--field-selector=involvedObject.name=pulled,reason=Pulled"]);
    assert!(events.contains("Successfully pulled image"), "{events}");
}

#[test]
fn aws_answers_where_pods_reach_it() {
    let Some(node) = Node::start() else { return };
    node.start_aws();
    let page = page(node, AWS.trim_start_matches("http://")).unwrap();
    assert!(page.contains("200 OK"), "{page}");
}

#[test]
fn a_node_of_ones_own_outlives_its_api_server_and_leaves_nothing_behind() {
    let Some(node) = Node::alone("killed") else { return };
    node.apply(&web("web", BUSYBOX));
    node.kubectl(&["wait", "--for=condition=Ready", "pod/web", "--timeout=60s"]);
    let address = node.get(&["pod", "web"])["status"]["podIP"].as_str().unwrap().to_owned();
    node.kill("kube-apiserver");
    assert!(!node.try_kubectl(&["get", "nodes"]).status.success());
    assert!(page(&node, &format!("{address}:8080")).unwrap().ends_with("here\n"), "pods need no API server");
    node.restart("kube-apiserver");
    assert_eq!(node.get(&["pod", "web"])["status"]["podIP"], address);

    assert!(programs_of("killed") > 8 && groups_of("killed") > 0);
    drop(node);
    assert_eq!((programs_of("killed"), groups_of("killed")), (0, 0));
}

/// How many processes run from the folder of a node.
fn programs_of(node: &str) -> usize {
    let part = format!("/kubernetes-node-{node}/").into_bytes();
    let pids = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
    pids.filter(|line| std::fs::read(line).is_ok_and(|line| line.windows(part.len()).any(|found| found == part)))
        .count()
}

/// How many control groups it has.
fn groups_of(node: &str) -> usize {
    let hierarchies =
        std::fs::read_dir("/sys/fs/cgroup").unwrap().filter_map(|entry| std::fs::read_dir(entry.ok()?.path()).ok());
    let prefix = format!("falaj-kubernetes-node-{node}-");
    let groups = hierarchies.chain(std::fs::read_dir("/sys/fs/cgroup")).flatten().filter_map(Result::ok);
    groups.filter(|group| group.file_name().to_string_lossy().starts_with(&prefix)).count()
}
