//! `kubernetes` of a cluster: what a user declares, and the control plane that
//! it means.

use std::collections::{BTreeMap, BTreeSet};

use falaj_api::local::Seed;
use falaj_api::{KeyUri, Region};
use falaj_kube::settings::{KEY_DIR, WORKLOAD};
use falaj_kube::{ControlPlane, NodeRegions, Settings};
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model, Plan, validate};

use super::ClusterModel;
use crate::attributes::access::{ExecModel, Written};
use crate::attributes::{kubernetes_rules, parse, rules, want};
use crate::cluster::Target;
use crate::connection::namespace;

/// Names the image where no configuration does.
const IMAGE: &str = "FALAJ_IMAGE";
const SIZE: &str = "10Gi";

/// A control plane on Kubernetes: one replica on a volume, in a namespace of its own.
///
/// The provider makes everything in it by server-side apply, and reaches it through
/// the API server: a kubeconfig is all that it needs.
#[derive(Model, Debug, Clone)]
pub struct KubernetesModel {
    /// Kubeconfig. Unset, with everything else that says how Kubernetes is reached: the variable `KUBECONFIG`, else `~/.kube/config`.
    #[attr(optional)]
    pub config_path: Attr<String>,
    /// Context of the kubeconfig. Unset: its current one.
    #[attr(optional)]
    pub config_context: Attr<String>,
    /// Uses the account of the pod that Terraform runs in.
    #[attr(optional)]
    pub in_cluster: Attr<bool>,
    /// Address of the API server, such as `https://10.0.0.1:6443`.
    #[attr(optional, validate = [kubernetes_rules::host()])]
    pub host: Attr<String>,
    /// Certificates (PEM) that the API server's own is signed with. Unset: those that the system trusts.
    #[attr(optional, validate = [kubernetes_rules::certificate()])]
    pub cluster_ca_certificate: Attr<String>,
    /// Program that prints credentials for `host`. (A token goes into the provider's `connections`, which no state keeps.)
    #[attr(optional)]
    pub exec: Attr<ExecModel>,
    /// Namespace of the control plane and of all that it runs. Unset: `falaj-` and the cluster's name. One that is not there is made, and deleted with the cluster; one that is there must belong to no other cluster.
    #[attr(optional, computed, replace, validate = [kubernetes_rules::namespace()])]
    pub namespace: Attr<String>,
    /// Image of every pod, by digest, as `falaj image push` prints it. Unset: the variable `FALAJ_IMAGE`. Another image replaces the control plane's pod in place.
    #[attr(optional, computed, validate = [kubernetes_rules::image()])]
    pub image: Attr<String>,
    /// Existing Secrets with credentials of the registry.
    #[attr(optional, validate = [validate::each(kubernetes_rules::object_name())])]
    pub image_pull_secrets: Attr<BTreeSet<String>>,
    /// The volume that holds everything of the cluster.
    #[attr(optional)]
    pub storage: Attr<StorageModel>,
    /// What the control plane asks for. Unset: 250m of CPU and 512Mi of memory, at most 2Gi.
    #[attr(optional)]
    pub resources: Attr<ResourcesModel>,
    /// Annotations of the control plane's service account, such as the role that may use the key.
    #[attr(optional, validate = [kubernetes_rules::keys(kubernetes_rules::label_key())])]
    pub service_account_annotations: Attr<BTreeMap<String, String>>,
    /// Variables of the control plane.
    #[attr(optional, validate = [kubernetes_rules::keys(kubernetes_rules::variable())])]
    pub environment: Attr<BTreeMap<String, String>>,
    /// Existing Secrets whose keys become variables of the control plane, such as credentials for the key service.
    #[attr(optional, validate = [validate::each(kubernetes_rules::object_name())])]
    pub environment_secrets: Attr<Vec<String>>,
    /// Existing Secret whose keys become key files, for development: its key `root` is `file:///run/falaj/keys/root`.
    #[attr(optional, validate = [kubernetes_rules::object_name()])]
    pub key_secret: Attr<String>,
    /// How the labels of nodes say where they are. Nodes elsewhere are never used, and the control plane refuses to start on one.
    #[attr(optional)]
    pub node_region: Attr<NodeRegionModel>,
    /// Where the control plane may connect to besides its own pods, the API server and name servers: the addresses of the key service, in CIDR form. Unset: nowhere.
    #[attr(optional, validate = [validate::each(kubernetes_rules::cidr())])]
    pub egress_cidrs: Attr<BTreeSet<String>>,
    /// Bounds of what the namespace may use, by the names of a ResourceQuota, such as `requests.cpu`.
    #[attr(optional, validate = [validate::each(kubernetes_rules::quantity())])]
    pub quota: Attr<BTreeMap<String, String>>,
    /// What containers in the namespace get that say nothing themselves.
    #[attr(optional)]
    pub container_defaults: Attr<ResourcesModel>,
    /// Objects in Kubernetes that are not as declared here, with the fields that differ; the next apply makes them right. Planned empty, so that each shows as a change.
    #[attr(computed)]
    pub differences: Attr<Vec<String>>,
}

/// The volume of a control plane.
#[derive(Model, Debug, Clone)]
pub struct StorageModel {
    /// Storage class, which must encrypt where a rule asks for it. Unset: the default class. It cannot be changed.
    #[attr(optional, validate = [kubernetes_rules::object_name()])]
    pub class: Attr<String>,
    /// Size. It can grow where the class allows that, and never shrink.
    #[attr(default = SIZE, validate = [kubernetes_rules::quantity()])]
    pub size: Attr<String>,
}

/// What a container gets.
#[derive(Model, Debug, Clone)]
pub struct ResourcesModel {
    /// What is set aside for it, such as `{ cpu = "500m", memory = "1Gi" }`.
    #[attr(optional, validate = [validate::each(kubernetes_rules::quantity())])]
    pub requests: Attr<BTreeMap<String, String>>,
    /// What it may use at most.
    #[attr(optional, validate = [validate::each(kubernetes_rules::quantity())])]
    pub limits: Attr<BTreeMap<String, String>>,
}

/// How nodes say where they are.
#[derive(Model, Debug, Clone)]
pub struct NodeRegionModel {
    /// Key of the label.
    #[attr(default = "topology.kubernetes.io/region", validate = [kubernetes_rules::label_key()])]
    pub label: Attr<String>,
    /// Its value for each region whose nodes do not have the region's own name: `me-central-1` for `aws:me-central-1`, `dubai-1` for `onprem:ae-du:dubai-1`.
    #[attr(optional, validate = [kubernetes_rules::keys(rules::region()), validate::each(kubernetes_rules::label_value())])]
    pub values: Attr<BTreeMap<String, String>>,
}

/// What a plane needs to know beyond its declaration.
pub struct Surroundings {
    pub kubernetes_uid: String,
    pub api_server: Vec<(std::net::IpAddr, u16)>,
    pub owns_namespace: bool,
}

fn path() -> AttributePath {
    AttributePath::root("kubernetes")
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl KubernetesModel {
    fn written(&self) -> Written<'_> {
        Written {
            config_path: &self.config_path,
            config_context: &self.config_context,
            in_cluster: &self.in_cluster,
            host: &self.host,
            cluster_ca_certificate: &self.cluster_ca_certificate,
            token: &Attr::Null,
            exec: &self.exec,
        }
    }

    /// Where the control plane is; the name stands for an unset namespace.
    pub fn target(&self, name: &str) -> Result<Target, Diagnostic> {
        let namespace = self.namespace.known().cloned().unwrap_or_else(|| namespace(name));
        Ok(Target::new(self.written().access(&path())?, namespace))
    }

    /// The attributes of a cluster that was found at a target.
    pub fn found(target: &Target, settings: Option<&Settings>) -> Result<Self, Diagnostic> {
        let mut model: Self = crate::attributes::blank()?;
        match &target.access {
            falaj_kube::Access::Kubeconfig { path, context } => {
                model.config_path = path.as_ref().map(|path| path.display().to_string()).into();
                model.config_context = context.clone().into();
            }
            falaj_kube::Access::InCluster => model.in_cluster = Attr::Known(true),
            falaj_kube::Access::Host { host, ca_certificate, .. } => {
                model.host = host.clone().into();
                model.cluster_ca_certificate = ca_certificate.clone().into();
            }
        }
        model.namespace = target.namespace.clone().into();
        model.image = settings.map(|settings| settings.image.clone()).into();
        Ok(model)
    }

    /// The control plane that is declared, every part of it known.
    pub fn plane(&self, seed: Seed, around: Surroundings) -> Result<ControlPlane, Diagnostics> {
        let storage = self.storage.known();
        let resources = self.resources.known();
        let defaults = self.container_defaults.known();
        let requests = |model: Option<&ResourcesModel>| model.and_then(|model| model.requests.known().cloned());
        let limits = |model: Option<&ResourcesModel>| model.and_then(|model| model.limits.known().cloned());
        Ok(ControlPlane {
            settings: Settings {
                namespace: self.namespace.known().cloned().unwrap_or_else(|| namespace(&seed.name)),
                kubernetes_uid: around.kubernetes_uid,
                image: want(&self.image, path().attribute("image"))?.clone(),
                image_pull_secrets: self.image_pull_secrets.clone().or_default().into_iter().collect(),
                workload_service_account: WORKLOAD.to_owned(),
                node_regions: self.node_regions()?,
            },
            seed,
            owns_namespace: around.owns_namespace,
            storage_class: storage.and_then(|storage| storage.class.known().cloned()),
            storage_size: storage.and_then(|storage| storage.size.known().cloned()).unwrap_or_else(|| SIZE.to_owned()),
            requests: requests(resources).unwrap_or_else(|| map(&[("cpu", "250m"), ("memory", "512Mi")])),
            limits: limits(resources).unwrap_or_else(|| map(&[("memory", "2Gi")])),
            service_account_annotations: self.service_account_annotations.clone().or_default(),
            environment: self.environment.clone().or_default(),
            environment_secrets: self.environment_secrets.clone().or_default(),
            key_secret: self.key_secret.known().cloned(),
            egress_cidrs: self.egress_cidrs.clone().or_default().into_iter().collect(),
            api_server: around.api_server,
            quota: self.quota.clone().or_default(),
            default_limits: limits(defaults).unwrap_or_default(),
            default_requests: requests(defaults).unwrap_or_default(),
        })
    }

    fn node_regions(&self) -> Result<NodeRegions, Diagnostic> {
        let Some(model) = self.node_region.known() else { return Ok(NodeRegions::default()) };
        let at = path().attribute("node_region");
        let values = model.values.clone().or_default();
        let parsed = values.into_iter().map(|(region, value)| {
            parse::<Region>(&region, at.attribute("values").key(region.as_str())).map(|region| (region, value))
        });
        Ok(NodeRegions {
            label: want(&model.label, at.attribute("label"))?.clone(),
            values: parsed.collect::<Result<_, _>>()?,
        })
    }
}

/// What a configuration says that cannot be, before anything is known of the rest.
pub fn check(config: &ClusterModel) -> Diagnostics {
    let mut problems = Diagnostics::new();
    match (&config.local, &config.kubernetes) {
        (Attr::Null, Attr::Null) => problems.error_at(
            "local",
            "Nothing says where the cluster runs",
            "Write local = {} for this machine, or kubernetes = {} for a Kubernetes cluster.",
        ),
        (local, kubernetes) if !local.is_null() && !kubernetes.is_null() => {
            problems.error_at("kubernetes", "The cluster cannot run in two places", "Write either local or kubernetes.")
        }
        _ => {}
    }
    let Some(kubernetes) = config.kubernetes.known() else { return problems };
    problems.append(kubernetes.written().check(&path()));
    problems.append(check_key(config, kubernetes));
    if !config.runtime_version.is_null() {
        problems.error_at(
            "runtime_version",
            "The image says the release",
            "On Kubernetes the cluster runs what kubernetes.image holds: leave runtime_version out, and change the image to upgrade.",
        );
    }
    problems
}

/// A key file must be one that the control plane's pod has.
fn check_key(config: &ClusterModel, kubernetes: &KubernetesModel) -> Diagnostics {
    let mut problems = Diagnostics::new();
    let uri = config.kms_key.known().and_then(|key| key.uri.known()).and_then(|uri| uri.parse::<KeyUri>().ok());
    let Some(KeyUri::File { path: file }) = uri else { return problems };
    let mounted = file.parent() == Some(std::path::Path::new(KEY_DIR));
    if !mounted {
        problems.error_at(
            AttributePath::root("kms_key").attribute("uri"),
            "The control plane has no such file",
            format!("It runs in a pod: put the key into a Secret, name that in kubernetes.key_secret, and write file://{KEY_DIR}/ and the Secret's key here."),
        );
    } else if kubernetes.key_secret.is_null() {
        problems.error_at(
            path().attribute("key_secret"),
            "No Secret holds the key",
            format!(
                "kms_key is the file {}: name the Secret here whose keys become the files of {KEY_DIR}.",
                file.display()
            ),
        );
    }
    problems
}

/// Fills in what is left to the provider.
pub fn plan(plan: &mut Plan<ClusterModel>, problems: &mut Diagnostics) {
    let name = plan.planned.name.clone();
    let prior = plan.prior.as_ref().and_then(|prior| prior.kubernetes.known()).cloned();
    if plan.prior.as_ref().is_some_and(|prior| prior.kubernetes.is_null() != plan.planned.kubernetes.is_null()) {
        let (from, to) = if prior.is_some() { ("kubernetes", "local") } else { ("local", "kubernetes") };
        problems.error_at(
            to,
            "A cluster does not move by itself",
            format!("This one runs as `{from}`; what it holds would stay there. Declare another cluster, and move what it should have."),
        );
        return;
    }
    let (config, Attr::Known(kubernetes)) = (plan.config.kubernetes.known(), &mut plan.planned.kubernetes) else {
        return;
    };
    kubernetes.differences = Attr::Known(Vec::new());
    if kubernetes.namespace.is_unknown()
        && config.is_some_and(|config| config.namespace.is_null())
        && let Some(name) = name.known()
    {
        kubernetes.namespace = namespace(name).into();
    }
    if config.is_some_and(|config| config.image.is_null()) {
        kubernetes.image = image(prior.as_ref(), problems);
    }
    let before = prior.as_ref().and_then(|prior| prior.image.known());
    if before.is_some() && before != kubernetes.image.known() {
        plan.planned.runtime_version = Attr::Unknown(tfplugin::Refinement::not_null());
    }
    match &prior {
        Some(prior) => check_storage(prior, kubernetes, problems),
        None => {
            let key = plan.planned.kms_key.known().and_then(|key| key.uri.known());
            if kubernetes.egress_cidrs.is_null() && key.is_some_and(|uri| uri.starts_with("aws-kms:")) {
                problems.warning_at(
                    path().attribute("egress_cidrs"),
                    "The control plane will not reach its key service",
                    "Where NetworkPolicies are enforced, it connects to nothing that is not listed here. Write the addresses of the key service, best those of an endpoint in this network.",
                );
            }
        }
    }
}

/// The image that the environment says, or the one that runs.
fn image(prior: Option<&KubernetesModel>, problems: &mut Diagnostics) -> Attr<String> {
    let at = path().attribute("image");
    let said = std::env::var(IMAGE).ok().filter(|text| !text.is_empty());
    if let Some(said) = said {
        if let Err(problem) = kubernetes_rules::image().check(&said.as_str().into()) {
            problems.error_at(at, format!("{IMAGE} is not right"), format!("It {problem}."));
        }
        return said.into();
    }
    match prior.and_then(|prior| prior.image.known()) {
        Some(runs) => runs.clone().into(),
        None => {
            problems.error_at(
                at,
                "No image",
                format!("Name the image of the runtime by digest, here or in the variable {IMAGE}: `falaj image build` makes it, `falaj image push` prints its name."),
            );
            Attr::unknown()
        }
    }
}

fn check_storage(prior: &KubernetesModel, planned: &KubernetesModel, problems: &mut Diagnostics) {
    let class = |model: &KubernetesModel| model.storage.known().and_then(|storage| storage.class.known().cloned());
    if class(prior) != class(planned) && prior.namespace == planned.namespace {
        problems.error_at(
            path().attribute("storage").attribute("class"),
            "The class of a volume cannot be changed",
            "Everything the cluster holds lies on it. Restore the class; to use another, make another cluster.",
        );
    }
}
