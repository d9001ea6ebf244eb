//! What a workspace should serve, from its records.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use falaj_api::{Problem, endpoint::EndpointSpec, model::ModelVersion};
use falaj_store::{KeyRef, records, versions};

use crate::{
    control::Control,
    identity::Principal,
    model::resolve,
    serve::protocol::{CaptureSnapshot, EndpointSnapshot, Format, Secret, VariantSnapshot},
    stored::{from_json, store_problem},
    train::protocol::{NATIVE, ONNX},
};

/// A segment of captures is closed at so many rows, or so many seconds.
const SEGMENT_ROWS: u64 = 50_000;
const SEGMENT_SECONDS: u64 = 60;

/// What a process should have.
pub struct Desired {
    pub endpoints: BTreeMap<String, EndpointSnapshot>,
    pub artifacts: BTreeMap<String, Format>,
    /// The declarations that this came from.
    pub records: Vec<records::Record>,
    /// Applications that get a certificate.
    pub applications: BTreeSet<String>,
}

impl Desired {
    pub fn versions(&self) -> BTreeMap<String, BTreeMap<String, u32>> {
        let versions = |endpoint: &EndpointSnapshot| {
            endpoint.variants.iter().map(|(name, variant)| (name.clone(), variant.version)).collect()
        };
        self.endpoints.iter().map(|(name, endpoint)| (name.clone(), versions(endpoint))).collect()
    }
}

/// Name of the key that an endpoint's captures are sealed with.
#[must_use]
pub fn capture_key(workspace_uid: &str, endpoint_uid: &str) -> KeyRef {
    KeyRef::segment(workspace_uid, format!("captures/{endpoint_uid}"))
}

/// # Errors
/// The store failed.
pub async fn desired(control: &Control, workspace: &records::Record) -> Result<Desired, Problem> {
    let mut desired = Desired {
        endpoints: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        records: Vec::new(),
        applications: BTreeSet::new(),
    };
    let mut session = control.store.read().await.map_err(store_problem)?;
    let declared = records::list(&mut session, "endpoint", &workspace.uid).await.map_err(store_problem)?;
    let mut captures = Vec::new();
    for record in declared {
        let spec: EndpointSpec = from_json(record.spec.clone())?;
        let mut variants = BTreeMap::new();
        for (name, variant) in &spec.variants {
            let model =
                records::get(&mut session, "model", &workspace.uid, &variant.model).await.map_err(store_problem)?;
            let wanted = variant.version.map(|version| version.to_string()).or_else(|| variant.alias.clone());
            let (Some(model), Some(wanted)) = (model, wanted) else { continue };
            // A shadow whose alias is not set yet waits for it.
            let Some(version) = resolve(&mut session, &model.uid, &wanted).await? else { continue };
            let (digest, format) = artifact(control, &version)?;
            let document: ModelVersion = from_json(version.metadata.clone())?;
            desired.artifacts.insert(digest.clone(), format);
            variants.insert(
                name.clone(),
                VariantSnapshot {
                    model: variant.model.clone(),
                    version: u32::try_from(version.version).unwrap_or(u32::MAX),
                    weight: if variant.shadow { 0 } else { variant.weight.unwrap_or(100) },
                    shadow: variant.shadow,
                    artifact: digest,
                    signature: document.signature,
                },
            );
        }
        let applications: BTreeSet<String> = spec.invokers.iter().cloned().chain([record.name.clone()]).collect();
        let uri = |application: &String| {
            let (workspace, application) = (workspace.name.clone(), application.clone());
            Principal::Invoker { workspace, application }.uri(&control.cluster.uid)
        };
        let invokers = applications.iter().map(uri).collect();
        desired.applications.extend(applications);
        captures.push((record.name.clone(), record.uid.clone(), spec.capture.map(|capture| capture.sampling_percent)));
        desired.endpoints.insert(record.name.clone(), EndpointSnapshot { variants, invokers, capture: None });
        desired.records.push(record);
    }
    drop(session);
    for (name, uid, sampling) in captures {
        let Some(sampling_percent) = sampling else { continue };
        let capture = capture(control, &workspace.uid, &uid, sampling_percent).await?;
        if let Some(endpoint) = desired.endpoints.get_mut(&name) {
            endpoint.capture = Some(capture);
        }
    }
    Ok(desired)
}

async fn capture(
    control: &Control,
    workspace_uid: &str,
    endpoint_uid: &str,
    sampling_percent: f64,
) -> Result<CaptureSnapshot, Problem> {
    let keys = control.store.keys(&capture_key(workspace_uid, endpoint_uid)).await.map_err(store_problem)?;
    let file_key = keys.file_key();
    let (uid, secret) = file_key.expose();
    let directory = control.host.data.dir(&["captures", workspace_uid, endpoint_uid]);
    Ok(CaptureSnapshot {
        directory: directory.map_err(|error| Problem::internal(format!("{error:#}")))?,
        key: Secret::new(STANDARD.encode(secret)),
        key_id: uid.to_string(),
        sampling_percent,
        max_rows: SEGMENT_ROWS,
        max_seconds: SEGMENT_SECONDS,
    })
}

/// The form of a version that this machine serves: ONNX where its runtime
/// library is here, else the native one.
fn artifact(control: &Control, version: &versions::Version) -> Result<(String, Format), Problem> {
    let (name, format) =
        if control.host.onnxruntime.is_some() { (ONNX, Format::Onnx) } else { (NATIVE, Format::Native) };
    let digest = version.artifacts.get(name);
    let digest = digest.ok_or_else(|| Problem::internal(format!("version {} has no {name}", version.version)))?;
    Ok((digest.to_string(), format))
}
