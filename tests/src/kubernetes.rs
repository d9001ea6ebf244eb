//! A real single-node Kubernetes (`tests/kubernetes/node`), one for all the tests
//! of a process.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::{repository, text, tool};

/// What runs on the node's own address, at these ports.
pub const ADDRESS: &str = "172.30.0.1";
/// An image that is there: Debian's busybox, as a user who is not root.
pub const BUSYBOX: &str = "falaj.test/busybox:1";
/// The registry, over plain HTTP. Nodes pull from it.
pub const REGISTRY: &str = "172.30.0.1:5000";
/// Where `node.start_aws()` answers: KMS, S3 and EKS by `moto`.
pub const AWS: &str = "http://172.30.0.1:5555";

/// The node. It ends when dropped, and with the process that asked for it, however
/// that ends.
pub struct Node {
    dir: PathBuf,
    // The node goes down when nobody holds the other end of its standard input.
    holder: Child,
}

impl Node {
    /// The node of this process, brought up for the first test that asks, and shared
    /// by all. Where it cannot be had, says `SKIPPED` and returns nothing; in CI that
    /// is a failure.
    ///
    /// # Panics
    /// It does not come up, or cannot be had in CI.
    #[must_use]
    pub fn start() -> Option<&'static Self> {
        static NODE: OnceLock<Result<Node, Refusal>> = OnceLock::new();
        said_if_skipped(NODE.get_or_init(|| Self::bring_up("kubernetes-node")).as_ref())
    }

    /// A node of the test's own, whose programs it may kill. The name is that of the
    /// folder, and of no other test's.
    ///
    /// # Panics
    /// As for [`Node::start`].
    #[must_use]
    pub fn alone(name: &str) -> Option<Self> {
        said_if_skipped(Self::bring_up(&format!("kubernetes-node-{name}")))
    }

    fn bring_up(name: &str) -> Result<Self, Refusal> {
        let target = std::env::current_exe().unwrap();
        // Its place is the same each time, so that what a killed run left is cleaned up.
        let dir = target.ancestors().nth(2).unwrap().join(name);
        let errors = dir.with_extension("errors");
        let mut holder = Command::new(script())
            .arg("hold")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&errors).unwrap())
            // Ctrl-C ends the tests, and the node in its own time.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.trim() == "ready" {
            return Ok(Self { dir, holder });
        }
        let status = holder.wait().unwrap();
        let said = fs::read_to_string(errors).unwrap();
        Err(Refusal { said, cannot: status.code() == Some(125) })
    }

    /// A program that reaches the node's addresses, its pods and services. It runs
    /// in the node's network, and sees this machine's files.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        exec(&self.dir, program)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The administrator's.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Runs something on a thread in the node's network.
    ///
    /// # Panics
    /// It panics, or the node is gone.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let first = fs::read_to_string(self.dir.join("run/machine.pid")).unwrap();
        let network = fs::File::open(format!("/proc/{}/ns/net", first.trim())).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                use std::os::fd::AsFd;
                move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs kubectl as the administrator.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_command(arguments).output().unwrap()
    }

    /// kubectl as the administrator, ready to run.
    #[must_use]
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(tool("kubernetes").join("kubectl"));
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// Runs kubectl, which must succeed; returns what it printed.
    ///
    /// # Panics
    /// It failed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.try_kubectl(arguments);
        assert!(output.status.success(), "kubectl {arguments:?} failed:\n{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the API server answers for an object or a list.
    ///
    /// # Panics
    /// There is no such object.
    #[must_use]
    pub fn get(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.kubectl(&[&["get", "--output=json"], arguments].concat())).unwrap()
    }

    /// Creates or changes objects, from YAML.
    ///
    /// # Panics
    /// They are refused.
    pub fn apply(&self, objects: &str) {
        self.apply_in("default", objects);
    }

    /// Creates or changes objects of a namespace, from YAML.
    ///
    /// # Panics
    /// They are refused.
    pub fn apply_in(&self, namespace: &str, objects: &str) {
        let output = self.try_apply_in(namespace, objects);
        assert!(output.status.success(), "kubectl apply failed:\n{}", text(&output));
    }

    /// Creates or changes objects of a namespace, which may be refused.
    ///
    /// # Panics
    /// kubectl cannot be started.
    #[must_use]
    pub fn try_apply_in(&self, namespace: &str, objects: &str) -> Output {
        let mut kubectl = self.kubectl_command(&["apply", "--namespace", namespace, "--filename=-"]);
        let mut child = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(objects.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A namespace with a name of its own, with pod security `restricted`. It is
    /// deleted when dropped.
    ///
    /// # Panics
    /// It is refused.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Namespace<'_> {
        self.apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  labels: {{pod-security.kubernetes.io/enforce: restricted}}\n"
        ));
        self.wait_for("the default service account", || {
            self.try_kubectl(&["get", "serviceaccount", "default", "--namespace", name]).status.success()
        });
        Namespace { node: self, name: name.to_owned() }
    }

    /// Loads an image's archive; returns its name with its digest.
    ///
    /// # Panics
    /// It is no archive of an image with a name.
    pub fn load(&self, archive: &Path) -> String {
        let said = self.script(&["load", &archive.to_string_lossy()]);
        said.trim().to_owned()
    }

    /// Pushes a loaded image to the registry.
    ///
    /// # Panics
    /// There is no such image, or the registry refuses it.
    pub fn push(&self, image: &str, reference: &str) {
        self.script(&["push", image, reference]);
    }

    /// The archive of [`BUSYBOX`].
    #[must_use]
    pub fn busybox_archive(&self) -> PathBuf {
        self.dir.join("busybox.tar")
    }

    /// Kills a program of the node: `kube-apiserver`, `etcd`, `kubelet`, ...
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(&self, program: &str) {
        self.script(&["stop", program]);
    }

    /// Starts a program of the node again.
    ///
    /// # Panics
    /// It does not come up.
    pub fn restart(&self, program: &str) {
        self.script(&["start", program]);
    }

    /// Starts `moto`, where it does not run, at [`AWS`].
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_aws(&self) {
        self.script(&["start", "aws"]);
    }

    /// Adds a node that is there without a machine, as its pods will be, with the
    /// taint `kwok`; by kwok, which is started where it does not run.
    ///
    /// # Panics
    /// It is refused.
    pub fn simulate(&self, name: &str, region: &str, gpus: u32) {
        self.script(&["start", "kwok"]);
        let resources = format!("{{cpu: 96, memory: 1Ti, pods: 110, nvidia.com/gpu: {gpus}}}");
        self.apply(&format!(
            "{{apiVersion: v1, kind: Node, \
             metadata: {{name: {name}, annotations: {{kwok.x-k8s.io/node: fake}}, \
               labels: {{kubernetes.io/hostname: {name}, topology.kubernetes.io/region: {region}}}}}, \
             spec: {{taints: [{{key: kwok, effect: NoSchedule}}]}}, \
             status: {{allocatable: {resources}, capacity: {resources}}}}}"
        ));
        self.kubectl(&["wait", "--for=condition=Ready", &format!("node/{name}"), "--timeout=60s"]);
    }

    /// Starts Karpenter, which makes such nodes for pods that wait, of the machine
    /// types of `tests/kubernetes/lib/simulated.sh`.
    ///
    /// # Panics
    /// It does not come up.
    pub fn start_karpenter(&self) {
        self.script(&["start", "karpenter"]);
    }

    fn script(&self, arguments: &[&str]) -> String {
        let (command, rest) = arguments.split_first().unwrap();
        let output = Command::new(script()).arg(command).arg(&self.dir).args(rest).output().unwrap();
        assert!(output.status.success(), "tests/kubernetes/node {arguments:?} failed:\n{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// It is not within two minutes.
    pub fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            if since.elapsed() > Duration::from_secs(120) {
                let events =
                    text(&self.try_kubectl(&["get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"]));
                let last: Vec<&str> = events.lines().rev().take(20).collect();
                panic!("{what} did not come; the last events:\n{}", last.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

/// A namespace of a test.
pub struct Namespace<'a> {
    node: &'a Node,
    name: String,
}

impl Namespace<'_> {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs kubectl in this namespace.
    ///
    /// # Panics
    /// It failed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.node.kubectl(&[&["--namespace", &self.name], arguments].concat())
    }

    /// Runs kubectl in this namespace, which may fail.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn try_kubectl(&self, arguments: &[&str]) -> Output {
        self.node.try_kubectl(&[&["--namespace", &self.name], arguments].concat())
    }

    /// What the API server answers for an object or a list of this namespace.
    ///
    /// # Panics
    /// There is no such object.
    #[must_use]
    pub fn get(&self, arguments: &[&str]) -> Value {
        self.node.get(&[&["--namespace", &self.name], arguments].concat())
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let _ = self.node.try_kubectl(&["delete", "namespace", &self.name, "--wait=false"]);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // This closes its standard input first.
        let _ = self.holder.wait();
    }
}

/// Why there is no node.
struct Refusal {
    said: String,
    /// Not here at all, for want of a privilege or a program.
    cannot: bool,
}

fn said_if_skipped<T>(node: Result<T, impl std::borrow::Borrow<Refusal>>) -> Option<T> {
    let refusal = match node {
        Ok(node) => return Some(node),
        Err(refusal) => refusal,
    };
    let Refusal { said, cannot } = refusal.borrow();
    assert!(*cannot, "the node does not come up:\n{said}");
    assert!(std::env::var_os("CI").is_none(), "CI must be able to run a Kubernetes node: {said}");
    let thread = std::thread::current();
    let skipped = format!("SKIPPED {}: {}\n", thread.name().unwrap_or("a test"), said.trim());
    // Past the capture of a passing test's output: nobody shall take it for proven.
    std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    None
}

/// A program in the network of the node in a folder.
pub(crate) fn exec(dir: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(script());
    command.arg("exec").arg(dir).arg(program);
    command
}

fn script() -> PathBuf {
    repository().join("tests/kubernetes/node")
}
