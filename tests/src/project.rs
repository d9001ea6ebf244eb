use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use falaj_api::{
    Call,
    client::{Client, ClientError},
    local::{ADMIN_DIR, CA_FILE, CERT_FILE, KEY_FILE, RUNNING_FILE, Running},
};
use serde_json::Value;

use crate::{
    built,
    kubernetes::{self, Node},
    repository, text, tool,
};

/// Who reads the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// The one on PATH.
    Terraform,
    /// The newest line.
    NewestTerraform,
    OpenTofu,
}

impl Core {
    fn program(self) -> PathBuf {
        match self {
            Self::Terraform => "terraform".into(),
            Self::NewestTerraform => tool("terraform-1.15"),
            Self::OpenTofu => tool("opentofu"),
        }
    }
}

/// A configuration in a directory of its own, with everything that applying it
/// makes. Dropping it ends what still runs from there.
pub struct Project {
    dir: tempfile::TempDir,
    core: Core,
    environment: Vec<(String, String)>,
    node: Option<PathBuf>,
}

/// What a plan says.
pub struct Plan {
    pub json: Value,
}

impl Plan {
    /// The actions of a resource: `["create"]`, `["no-op"]`, ...
    ///
    /// # Panics
    /// The plan does not mention it.
    #[must_use]
    pub fn actions(&self, address: &str) -> Vec<String> {
        let actions = &self.change(address)["change"]["actions"];
        actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect()
    }

    /// # Panics
    /// The plan does not mention it.
    #[must_use]
    pub fn change(&self, address: &str) -> &Value {
        let changes = self.json["resource_changes"].as_array().unwrap();
        changes.iter().find(|change| change["address"] == address).unwrap_or_else(|| panic!("no {address} in the plan"))
    }
}

impl Project {
    /// # Panics
    /// The directory cannot be made.
    #[must_use]
    pub fn new(core: Core, configuration: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("falaj-test-").tempdir().unwrap();
        let project = Self { dir, core, environment: Vec::new(), node: None };
        fs::DirBuilder::new().mode(0o700).create(project.path("data")).unwrap();
        let mut key =
            fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(project.path("key")).unwrap();
        std::io::Write::write_all(&mut key, &[7; 32]).unwrap();
        let provider = built("terraform-provider-falaj");
        let overrides = ["registry.terraform.io/falaj/falaj", "registry.opentofu.org/falaj/falaj", "falaj/falaj"]
            .map(|source| format!("    {source:?} = {:?}\n", provider.parent().unwrap()))
            .concat();
        project.write(
            "cli.rc",
            &format!("provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  direct {{}}\n}}\n"),
        );
        project.write("main.tf", configuration);
        project
    }

    /// Sets a variable of the environment that the core runs in.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Has the core run where it reaches a Kubernetes node; `KUBECONFIG` is its
    /// administrator's.
    pub fn on(&mut self, node: &Node) {
        self.node = Some(node.dir().to_owned());
        self.set("KUBECONFIG", &node.kubeconfig().to_string_lossy());
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// # Panics
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Replaces a part of the configuration.
    ///
    /// # Panics
    /// The part is not there.
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("main.tf")).unwrap();
        assert!(text.contains(from), "the configuration has no {from:?}");
        self.write("main.tf", &text.replace(from, to));
    }

    /// Runs the core.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The core, ready to run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let program = self.core.program();
        let mut command =
            self.node.as_deref().map_or_else(|| Command::new(&program), |node| kubernetes::exec(node, &program));
        command.args(arguments).current_dir(self.dir.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TF_")) {
            command.env_remove(name);
        }
        command
            .env("TF_CLI_CONFIG_FILE", self.path("cli.rc"))
            .env("FALAJ_DATA_DIR", self.path("data"))
            .env("FALAJ_RUNTIME", built("falaj"))
            .env("ORT_DYLIB_PATH", tool("onnxruntime"))
            .env("TF_VAR_key_file", self.path("key"))
            .env("TF_VAR_data", repository().join("examples/quickstart/data/people.parquet"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the core, which must succeed; returns what it printed.
    ///
    /// # Panics
    /// It failed.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text(&output);
        assert!(output.status.success(), "{:?} {arguments:?} failed:\n{text}\n{}", self.core, self.logs());
        text
    }

    /// Runs the core, which must fail; returns what it printed, in one line.
    ///
    /// # Panics
    /// It succeeded.
    pub fn fail(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text(&output);
        assert!(!output.status.success(), "{:?} {arguments:?} succeeded:\n{text}", self.core);
        // The frame that errors are drawn in breaks lines anywhere.
        text.replace(['│', '╷', '╵'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    pub fn apply(&self) -> String {
        self.succeed(&["apply", "-auto-approve", "-no-color"])
    }

    pub fn destroy(&self) -> String {
        self.succeed(&["destroy", "-auto-approve", "-no-color"])
    }

    /// # Panics
    /// The plan cannot be made.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.succeed(&["plan", "-out=tfplan", "-no-color"]);
        let output = self.run(&["show", "-json", "tfplan"]);
        assert!(output.status.success(), "{}", text(&output));
        Plan { json: serde_json::from_slice(&output.stdout).unwrap() }
    }

    /// # Panics
    /// The plan is not empty.
    pub fn assert_plan_is_empty(&self) {
        let output = self.run(&["plan", "-detailed-exitcode", "-no-color"]);
        assert_eq!(output.status.code(), Some(0), "the plan is not empty:\n{}\n{}", text(&output), self.logs());
    }

    /// # Panics
    /// There is no such output.
    #[must_use]
    pub fn output(&self, name: &str) -> Value {
        let output = self.run(&["output", "-json", name]);
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The directory of the one cluster.
    ///
    /// # Panics
    /// There is not exactly one.
    #[must_use]
    pub fn cluster_dir(&self) -> PathBuf {
        let clusters = self.clusters();
        assert_eq!(clusters.len(), 1, "{clusters:?}");
        clusters.into_iter().next().unwrap()
    }

    /// The directories of clusters that are there.
    ///
    /// # Panics
    /// The data directory cannot be read.
    #[must_use]
    pub fn clusters(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("data")).unwrap();
        let dirs = entries.map(|entry| entry.unwrap().path());
        dirs.filter(|path| path.join(falaj_api::local::SEED_FILE).is_file()).collect()
    }

    /// What the server of the cluster says of itself.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn running(&self) -> Running {
        read_running(&self.cluster_dir()).expect("the server runs")
    }

    /// Makes a call with the platform's certificate.
    ///
    /// # Errors
    /// As the client says.
    ///
    /// # Panics
    /// The server does not run.
    pub fn call<C: Call>(&self, call: &C) -> Result<C::Response, ClientError> {
        let admin = self.cluster_dir().join(ADMIN_DIR);
        let client =
            Client::new(&self.running().url, &admin.join(CA_FILE), &admin.join(CERT_FILE), &admin.join(KEY_FILE))?;
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(client.call(call))
    }

    /// Sends a request to the endpoint of an output, as its own application.
    ///
    /// # Panics
    /// There is no answer, or none of success.
    pub fn post(&self, output: &str, path: &str, body: &Value) -> Value {
        let endpoint = self.output(output);
        let file = |name: &str| fs::read(endpoint[name].as_str().unwrap()).unwrap();
        let identity = [file("client_cert_file"), file("client_key_file")].concat();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&file("ca_file")).unwrap()])
            .identity(reqwest::Identity::from_pem(&identity).unwrap())
            .build()
            .unwrap();
        let request = client.post(format!("{}{path}", endpoint["url"].as_str().unwrap())).json(body);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let response = request.send().await.unwrap();
            let status = response.status();
            let text = response.text().await.unwrap();
            assert!(status.is_success(), "{path}: {status}: {text}");
            serde_json::from_str(&text).unwrap_or(Value::Null)
        })
    }

    /// Ends the server as a crash would, and waits until it is gone.
    ///
    /// # Panics
    /// It does not run, or does not end.
    pub fn kill_server(&self) {
        let pid = self.running().pid;
        kill(pid);
        let since = Instant::now();
        while Path::new(&format!("/proc/{pid}")).exists() {
            assert!(since.elapsed() < Duration::from_secs(10), "the server does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Processes that run from the data directory.
    ///
    /// # Panics
    /// The system's processes cannot be listed.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let data = self.path("data").canonicalize().unwrap();
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        // Not by /proc/PID/exe: of a process that keeps its memory from others only root can read that.
        let ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(program).starts_with(&*data.to_string_lossy())
        };
        pids.filter(ours).collect()
    }

    /// The ends of the runtime's logs, for a failure's message.
    fn logs(&self) -> String {
        let mut shown = String::new();
        for cluster in self.clusters() {
            let Ok(logs) = fs::read_dir(cluster.join("logs")) else { continue };
            for log in logs.filter_map(Result::ok) {
                let text = fs::read_to_string(log.path()).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines.iter().skip(lines.len().saturating_sub(15)).copied().collect::<Vec<_>>().join("\n");
                shown.push_str(&format!("--- {}\n{last}\n", log.path().display()));
            }
        }
        shown
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        for pid in self.processes() {
            kill(pid);
        }
    }
}

fn read_running(cluster: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(cluster.join(RUNNING_FILE)).ok()?).ok()
}

/// Ends a process as a crash would.
pub fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

/// Asks a process to end, as Ctrl-C does.
pub fn interrupt(pid: u32) {
    signal(pid, rustix::process::Signal::INT);
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
