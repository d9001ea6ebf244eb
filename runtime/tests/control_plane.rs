//! The control plane of a local cluster, by its API alone: declared, trained,
//! served, watched, killed and started again.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use falaj_api::{
    Kind, Problem, Record, Residency,
    audit::VerifyAudit,
    client::{Client, ClientError},
    cluster::{Cluster, ClusterSpec},
    endpoint::{Capture, Endpoint, EndpointSpec, Variant},
    feature_store::{DataType, Entity, Feature, FeatureStore, FeatureStoreSpec, Location, Source, SourceFormat},
    local::{ADMIN_DIR, CA_FILE, CERT_FILE, KEY_FILE, RUNNING_FILE, Running, SEED_FILE, Seed},
    model::{
        Algorithm, FeatureView, GetModelVersion, Label, Mlp, Model, ModelSpec, PromoteWhen, Promotion, Ridge, Training,
    },
    monitor::{Monitor, MonitorSpec, RetrainRule, RunMonitor, Verdict},
    operation::{GetOperation, OperationState},
    record::{Delete, Get, Put, State},
    workspace::{Environment, Workspace, WorkspaceSpec},
};

const REGION: &str = "onprem:ae-du:dubai-1";

struct Server {
    dir: tempfile::TempDir,
    child: Child,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn start(dir: &Path) -> (Child, Client) {
    let data = dir.join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_falaj"));
    command.arg("server").arg("--data-dir").arg(&data).stdin(Stdio::null());
    let library = repository().join(".cache/tools/onnxruntime/libonnxruntime.so.1.32.0");
    assert!(library.is_file(), "install ONNX Runtime: tests/tools/install onnxruntime");
    command.arg("--onnxruntime").arg(library);
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("server.log")).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let mut child = command.spawn().unwrap();
    let since = Instant::now();
    let running: Running = loop {
        let read = fs::read(data.join(RUNNING_FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        match read {
            Some(running) if running_pid(&running) == child.id() => break running,
            _ => {}
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the server ended ({status}): {}", fs::read_to_string(dir.join("server.log")).unwrap());
        }
        assert!(since.elapsed() < Duration::from_secs(30), "the server does not answer");
        std::thread::sleep(Duration::from_millis(20));
    };
    let admin = data.join(ADMIN_DIR);
    let client =
        Client::new(&running.url, &admin.join(CA_FILE), &admin.join(CERT_FILE), &admin.join(KEY_FILE)).unwrap();
    (child, client)
}

fn running_pid(running: &Running) -> u32 {
    running.pid
}

impl Server {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
        let key = dir.path().join("key");
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&key).unwrap();
        std::io::Write::write_all(&mut file, &[7; 32]).unwrap();
        let seed = Seed { name: "retail".into(), uid: uuid::Uuid::new_v4().to_string(), spec: cluster_spec(&key) };
        fs::write(data.join(SEED_FILE), serde_json::to_vec(&seed).unwrap()).unwrap();
        let (child, client) = start(dir.path());
        Self { dir, child, client }
    }

    fn restart_after_kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.client) = start(self.dir.path());
    }

    fn log(&self) -> String {
        let logs = self.dir.path().join("data/logs");
        let mut text = fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
        for entry in fs::read_dir(logs).into_iter().flatten().filter_map(Result::ok) {
            text.push_str(&fs::read_to_string(entry.path()).unwrap_or_default());
        }
        text
    }

    async fn put<K: Kind>(&self, workspace: Option<&str>, name: &str, spec: K::Spec) -> Result<Record<K>, ClientError> {
        self.client.call(&Put::<K> { workspace: workspace.map(Into::into), name: name.into(), uid: None, spec }).await
    }

    async fn get<K: Kind>(&self, workspace: Option<&str>, name: &str) -> Result<Record<K>, ClientError> {
        let call = Get::<K> {
            workspace: workspace.map(Into::into),
            name: name.into(),
            uid: None,
            kind: std::marker::PhantomData,
        };
        self.client.call(&call).await
    }

    async fn delete<K: Kind>(&self, workspace: Option<&str>, record: &Record<K>) -> Result<(), ClientError> {
        let uid = record.id.rsplit('/').next().unwrap().to_owned();
        let call = Delete::<K> {
            workspace: workspace.map(Into::into),
            name: record.name.clone(),
            uid,
            kind: std::marker::PhantomData,
        };
        self.client.call(&call).await.map(|_| ())
    }

    async fn settled<K: Kind>(&self, workspace: &str, name: &str) -> Record<K> {
        let since = Instant::now();
        loop {
            let record = self.get::<K>(Some(workspace), name).await.unwrap();
            match record.state {
                State::Ready => return record,
                State::Failed => panic!("{name} failed: {:?}\n{}", record.status, self.log()),
                _ => {}
            }
            assert!(since.elapsed() < Duration::from_secs(120), "{name} is not ready\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Declares everything up to the model.
    async fn platform(&self, algorithm: Algorithm) -> Record<Model> {
        self.put::<Cluster>(None, "retail", cluster_spec(&self.dir.path().join("key"))).await.unwrap();
        self.put::<Workspace>(None, "people", workspace_spec()).await.unwrap();
        let bytes = fs::read(repository().join("examples/quickstart/data/people.parquet")).unwrap();
        let digest = falaj::sha256_hex(&bytes);
        self.client.upload("people", &digest, bytes).await.unwrap();
        self.put::<FeatureStore>(Some("people"), "people", store_spec(&digest)).await.unwrap();
        self.put::<Model>(Some("people"), "employed", model_spec(algorithm)).await.unwrap();
        self.settled::<Model>("people", "employed").await
    }
}

fn cluster_spec(key: &Path) -> ClusterSpec {
    ClusterSpec {
        region: REGION.parse().unwrap(),
        residency: Some(Residency { jurisdiction: "AE".into(), allowed_regions: [REGION.parse().unwrap()].into() }),
        kms_key: serde_json::from_value(
            serde_json::json!({ "uri": format!("file://{}", key.display()), "region": REGION }),
        )
        .unwrap(),
        labels: BTreeMap::new(),
    }
}

fn workspace_spec() -> WorkspaceSpec {
    WorkspaceSpec {
        environment: Environment::Development,
        access: Default::default(),
        budget: None,
        kms_key: None,
        residency: None,
        labels: BTreeMap::new(),
    }
}

fn store_spec(digest: &str) -> FeatureStoreSpec {
    let feature = |data_type, column: &str| Feature {
        data_type,
        column: Some(column.into()),
        classification: Default::default(),
        purposes: Vec::new(),
    };
    FeatureStoreSpec {
        entity: Entity { name: "person_id".into(), data_type: DataType::String },
        source: Source {
            format: SourceFormat::Parquet,
            location: Location::Upload { digest: digest.into() },
            event_time: "observed_at".into(),
            created_time: Some("loaded_at".into()),
        },
        features: [
            ("age".to_owned(), feature(DataType::Int64, "AGEP")),
            ("schooling".to_owned(), feature(DataType::Int64, "SCHL")),
            ("marital_status".to_owned(), feature(DataType::String, "MAR")),
            ("sex".to_owned(), feature(DataType::String, "SEX")),
        ]
        .into(),
        online: None,
        retention: Default::default(),
        labels: BTreeMap::new(),
    }
}

fn model_spec(algorithm: Algorithm) -> ModelSpec {
    let names = ["age", "schooling", "marital_status"].map(str::to_owned).to_vec();
    ModelSpec {
        training: Training {
            features: [("people".to_owned(), FeatureView { feature_store: "people".into(), names })].into(),
            label: Label { column: "employed".into(), feature_store: "people".into() },
            protected: vec!["sex".into()],
            purpose: None,
            window: None,
            algorithm,
            evaluation: Default::default(),
            seed: 7,
            triggers: BTreeMap::new(),
        },
        gates: Default::default(),
        promotion: Some(Promotion { alias: "champion".into(), when: PromoteWhen::Gates }),
        labels: BTreeMap::new(),
    }
}

fn endpoint_spec() -> EndpointSpec {
    let variant = Variant {
        model: "employed".into(),
        version: None,
        alias: Some("champion".into()),
        weight: Some(100),
        shadow: false,
    };
    EndpointSpec {
        replicas: 1,
        variants: [("champion".to_owned(), variant)].into(),
        capture: Some(Capture { sampling_percent: 100.0 }),
        invokers: Default::default(),
        labels: BTreeMap::new(),
    }
}

fn monitor_spec() -> MonitorSpec {
    MonitorSpec {
        endpoint: "employed".into(),
        schedule: None,
        window: "24h".parse().unwrap(),
        drift: Default::default(),
        performance: None,
        on_alert: Default::default(),
        labels: BTreeMap::new(),
    }
}

fn logistic() -> Algorithm {
    Algorithm::Logistic(Ridge::default())
}

fn problem(error: ClientError) -> Problem {
    match error {
        ClientError::Problem(problem) => problem,
        other => panic!("{other}"),
    }
}

/// A client with an application's certificate, as its own program would have it.
fn invoker(record: &Record<Endpoint>) -> reqwest::Client {
    let read = |path: &str| fs::read(path).unwrap();
    let status = &record.status;
    let identity = [read(&status.client_cert_file), read(&status.client_key_file)].concat();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&read(&status.ca_file)).unwrap()])
        .identity(reqwest::Identity::from_pem(&identity).unwrap())
        .build()
        .unwrap()
}

async fn predict(client: &reqwest::Client, record: &Record<Endpoint>, rows: usize) -> serde_json::Value {
    let input = |name: &str, datatype: &str, data: serde_json::Value| serde_json::json!({ "name": name, "shape": [rows, 1], "datatype": datatype, "data": data });
    let body = serde_json::json!({ "inputs": [
        input("age", "INT64", vec![41; rows].into()),
        input("schooling", "INT64", vec![21; rows].into()),
        input("marital_status", "BYTES", vec!["1"; rows].into()),
    ]});
    let url = format!("{}/v2/models/employed/infer", record.status.url);
    let response = client.post(url).json(&body).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn a_platform_is_declared_trained_served_watched_and_survives_the_servers_death() {
    let mut server = Server::new();
    let model = server.platform(logistic()).await;
    assert_eq!(model.status.version, Some(1));
    assert!(model.status.metrics["auc"] > 0.75, "{:?}", model.status.metrics);

    server.put::<Endpoint>(Some("people"), "employed", endpoint_spec()).await.unwrap();
    let endpoint = server.settled::<Endpoint>("people", "employed").await;
    let client = invoker(&endpoint);
    let answer = predict(&client, &endpoint, 40).await;
    assert_eq!(answer["model_version"], "1", "{answer}");
    let probability = answer["outputs"][0]["data"][0].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&probability), "{answer}");

    server.put::<Monitor>(Some("people"), "employed", monitor_spec()).await.unwrap();
    let run = RunMonitor { workspace: "people".into(), monitor: "employed".into(), from: None };
    let report = server.client.call(&run).await.unwrap();
    assert_eq!(report.verdict, Verdict::Drift, "forty times the same person is another population: {report:?}");
    assert_eq!(report.rows_current, 40);
    let monitor = server.get::<Monitor>(Some("people"), "employed").await.unwrap();
    let page = fs::read_to_string(monitor.status.report_file.unwrap()).unwrap();
    assert!(page.contains("<svg"), "the report has plots");

    // What was captured, declared and served is there after a crash, at the same address.
    server.restart_after_kill();
    let again = server.settled::<Endpoint>("people", "employed").await;
    assert_eq!(again.status, endpoint.status);
    let since = Instant::now();
    loop {
        let url = format!("{}/v2/models/employed/ready", again.status.url);
        if invoker(&again).get(url).send().await.is_ok_and(|response| response.status().is_success()) {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(30), "not served again\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(predict(&invoker(&again), &again, 1).await["outputs"][0]["data"][0].as_f64().unwrap(), probability);
    assert_eq!(server.client.call(&run).await.unwrap().rows_current, 41);

    // Another declaration makes another version, and the alias leads the endpoint to it.
    let mut second = model_spec(Algorithm::Mlp(Mlp { epochs: 2, ..Mlp::default() }));
    second.labels.insert("why".into(), "test".into());
    let uid = model.id.rsplit('/').next().unwrap().to_owned();
    let update =
        Put::<Model> { workspace: Some("people".into()), name: "employed".into(), uid: Some(uid), spec: second };
    server.client.call(&update).await.unwrap();
    assert_eq!(server.settled::<Model>("people", "employed").await.status.version, Some(2));
    let since = Instant::now();
    while predict(&invoker(&again), &again, 1).await["model_version"] != "2" {
        assert!(since.elapsed() < Duration::from_secs(30), "version 2 is not served\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The first declaration leads back to its version without training.
    let back = Put::<Model> { spec: model_spec(logistic()), ..update };
    let record = server.client.call(&back).await.unwrap();
    assert_eq!((record.state, record.status.version), (State::Ready, Some(1)));

    for chain in server.client.call(&VerifyAudit {}).await.unwrap() {
        assert_eq!(chain.first_bad, None, "{chain:?}");
    }

    // Children first, and then nothing is left.
    let workspace = server.get::<Workspace>(None, "people").await.unwrap();
    let refused = problem(server.delete::<Workspace>(None, &workspace).await.unwrap_err());
    assert!(refused.detail.contains("endpoint \"employed\""), "{refused}");
    server.delete::<Monitor>(Some("people"), &server.get(Some("people"), "employed").await.unwrap()).await.unwrap();
    server.delete::<Endpoint>(Some("people"), &again).await.unwrap();
    server.delete::<Model>(Some("people"), &record).await.unwrap();
    server.delete::<FeatureStore>(Some("people"), &server.get(Some("people"), "people").await.unwrap()).await.unwrap();
    server.delete::<Workspace>(None, &workspace).await.unwrap();
    assert!(server.get::<Workspace>(None, "people").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn an_alarm_trains_again_within_its_limits_and_a_rule_that_fits_nothing_is_refused() {
    let server = Server::new();
    let model = server.platform(logistic()).await;
    server.put::<Endpoint>(Some("people"), "employed", endpoint_spec()).await.unwrap();
    let endpoint = server.settled::<Endpoint>("people", "employed").await;

    let mut misspelt = monitor_spec();
    misspelt.drift.features.insert("aeg".into(), Default::default());
    let refused = problem(server.put::<Monitor>(Some("people"), "employed", misspelt).await.unwrap_err());
    assert_eq!(refused.pointer.as_deref(), Some("/spec/drift/features/aeg"));
    assert!(refused.detail.contains("age, "), "what the model takes is named: {refused}");

    let mut retraining = monitor_spec();
    retraining.on_alert.retrain = Some(RetrainRule { cooldown: "1h".parse().unwrap(), max_per_month: 4 });
    server.put::<Monitor>(Some("people"), "employed", retraining.clone()).await.unwrap();
    predict(&invoker(&endpoint), &endpoint, 40).await;
    let run = RunMonitor { workspace: "people".into(), monitor: "employed".into(), from: None };
    assert_eq!(server.client.call(&run).await.unwrap().verdict, Verdict::Drift);
    let cooling = server.settled::<Model>("people", "employed").await;
    assert_eq!(cooling.operation, model.operation, "the last run is not an hour old");

    retraining.on_alert.retrain = Some(RetrainRule { cooldown: "1ms".parse().unwrap(), max_per_month: 4 });
    server.put::<Monitor>(Some("people"), "employed", retraining).await.unwrap();
    server.client.call(&run).await.unwrap();
    let again = server.get::<Model>(Some("people"), "employed").await.unwrap();
    assert_ne!(again.operation, model.operation, "the alarm started a run");
    let since = Instant::now();
    loop {
        let call = GetOperation { operation: again.operation.clone().unwrap() };
        match server.client.call(&call).await.unwrap().state {
            OperationState::Succeeded => break,
            OperationState::Running => assert!(since.elapsed() < Duration::from_secs(60), "{}", server.log()),
            ended => panic!("{ended:?}\n{}", server.log()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = server.settled::<Model>("people", "employed").await;
    assert_eq!((after.spec, after.status), (model.spec, model.status), "nothing that was declared has changed");
}

#[tokio::test]
async fn an_unclaimed_record_is_adopted_and_a_claimed_one_is_refused_with_the_import_command() {
    let server = Server::new();
    server.put::<Workspace>(None, "people", workspace_spec()).await.unwrap();
    let mut changed = workspace_spec();
    changed.labels.insert("team".into(), "risk".into());
    let adopted = server.put::<Workspace>(None, "people", changed.clone()).await.unwrap();
    assert_eq!((adopted.generation, &adopted.spec), (2, &changed));

    let uid = adopted.id.rsplit('/').next().unwrap().to_owned();
    let read =
        Get::<Workspace> { workspace: None, name: "people".into(), uid: Some(uid), kind: std::marker::PhantomData };
    server.client.call(&read).await.unwrap();
    let refused = problem(server.put::<Workspace>(None, "people", changed).await.unwrap_err());
    assert!(refused.detail.contains(&format!("terraform import falaj_workspace.NAME '{}'", adopted.id)), "{refused}");

    let other = Get::<Workspace> { uid: Some(uuid::Uuid::new_v4().to_string()), ..read };
    assert!(server.client.call(&other).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_with_its_place_and_audited() {
    let server = Server::new();
    let mut abroad = cluster_spec(&server.dir.path().join("key"));
    abroad.residency =
        Some(Residency { jurisdiction: "DE".into(), allowed_regions: ["aws:eu-central-1".parse().unwrap()].into() });
    let refused = problem(server.put::<Cluster>(None, "retail", abroad).await.unwrap_err());
    assert_eq!((refused.status, refused.pointer.as_deref()), (403, Some("/spec/region")), "{refused:?}");

    let mut wider = workspace_spec();
    wider.residency =
        Some(Residency { jurisdiction: "AE".into(), allowed_regions: ["aws:me-central-1".parse().unwrap()].into() });
    let refused = problem(server.put::<Workspace>(None, "people", wider).await.unwrap_err());
    assert!(refused.is("residency"), "{refused:?}");

    let chains = server.client.call(&VerifyAudit {}).await.unwrap();
    let cluster = chains.iter().find(|chain| chain.chain == "cluster").unwrap();
    assert!(cluster.events >= 2, "both refusals are in the chain: {chains:?}");
}

#[tokio::test]
async fn a_training_run_that_cannot_succeed_says_why_and_the_next_declaration_repairs_it() {
    let server = Server::new();
    server.put::<Cluster>(None, "retail", cluster_spec(&server.dir.path().join("key"))).await.unwrap();
    server.put::<Workspace>(None, "people", workspace_spec()).await.unwrap();
    let bytes = fs::read(repository().join("examples/quickstart/data/people.parquet")).unwrap();
    let digest = falaj::sha256_hex(&bytes);

    let early = problem(server.put::<FeatureStore>(Some("people"), "people", store_spec(&digest)).await.unwrap_err());
    assert!(early.detail.contains("upload it first"), "{early}");
    server.client.upload("people", &digest, bytes).await.unwrap();
    let mut misspelt = store_spec(&digest);
    misspelt.features.get_mut("age").unwrap().column = Some("AGE".into());
    let refused = problem(server.put::<FeatureStore>(Some("people"), "people", misspelt).await.unwrap_err());
    assert_eq!(refused.pointer.as_deref(), Some("/spec/features/age/column"));
    assert!(refused.detail.contains("AGEP"), "the columns that are there are named: {refused}");
    server.put::<FeatureStore>(Some("people"), "people", store_spec(&digest)).await.unwrap();

    let mut empty = model_spec(logistic());
    empty.training.window = Some(falaj_api::model::Window::Last("1d".parse().unwrap()));
    server.put::<Model>(Some("people"), "employed", empty).await.unwrap();
    let since = Instant::now();
    let failed = loop {
        let record = server.get::<Model>(Some("people"), "employed").await.unwrap();
        if record.state == State::Failed {
            break record;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{record:?}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(
        failed.status.failure.unwrap().contains("its event times run from 2015"),
        "the window and the data are named"
    );

    server.put::<Model>(Some("people"), "employed", model_spec(logistic())).await.unwrap();
    let repaired = server.settled::<Model>("people", "employed").await;
    assert_eq!((repaired.status.version, repaired.status.failure), (Some(1), None));
    let call = GetModelVersion { workspace: "people".into(), model: "employed".into(), version: "champion".into() };
    let version = server.client.call(&call).await.unwrap();
    assert_eq!(version.aliases, ["candidate", "champion"]);
    assert!(version.fairness["sex"].gap > 0.0);
}

#[tokio::test]
async fn a_workspace_is_sealed_under_a_key_of_its_own_where_it_has_one() {
    let server = Server::new();
    server.put::<Cluster>(None, "retail", cluster_spec(&server.dir.path().join("key"))).await.unwrap();
    let file = |name: &str| {
        let path = server.dir.path().join(name);
        let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &[9; 32]).unwrap();
        let key = serde_json::json!({ "uri": format!("file://{}", path.display()), "region": REGION });
        WorkspaceSpec { kms_key: Some(serde_json::from_value(key).unwrap()), ..workspace_spec() }
    };
    let inside = problem(server.put::<Workspace>(None, "inside", file("data/own")).await.unwrap_err());
    assert!(inside.is("key-custody"), "{inside:?}");
    let production = WorkspaceSpec { environment: Environment::Production, ..file("production") };
    let refused = problem(server.put::<Workspace>(None, "live", production).await.unwrap_err());
    assert_eq!(refused.pointer.as_deref(), Some("/spec/environment"));

    let own = file("own");
    server.put::<Workspace>(None, "people", own.clone()).await.unwrap();
    let bytes = fs::read(repository().join("examples/quickstart/data/people.parquet")).unwrap();
    let digest = falaj::sha256_hex(&bytes);
    server.client.upload("people", &digest, bytes).await.unwrap();
    server.put::<FeatureStore>(Some("people"), "people", store_spec(&digest)).await.unwrap();
    let changed = problem(server.put::<Workspace>(None, "people", workspace_spec()).await.unwrap_err());
    assert!(changed.detail.contains("cannot be changed in place"), "{changed}");

    // Without that key the cluster's own opens nothing of the workspace.
    fs::remove_file(server.dir.path().join("own")).unwrap();
    let mut server = server;
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_falaj"));
    let output = command.arg("server").arg("--data-dir").arg(server.dir.path().join("data")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("own"), "the missing key is named: {said}");
}
