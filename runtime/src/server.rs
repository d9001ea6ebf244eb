//! `falaj server`: the control plane of a cluster, from start to end.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use falaj_api::{
    feature_store::FeatureStore,
    gpu_node_pool::GpuNodePool,
    local::{ADMIN_DIR, CA_FILE, CERT_FILE, KEY_FILE, Running, Seed},
    workspace::Workspace,
};
use falaj_kms::{Context, Custody, Kms};
use falaj_store::{Options, Store};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::{
    audit, cluster,
    control::{ClusterIdentity, Control},
    data_dir::{DataDir, write_private},
    endpoint, health,
    host::Host,
    http,
    identity::{Acceptor, Authority, Principal},
    in_cluster::InCluster,
    key, model, monitor, noun, operations,
    placement::Placement,
    retention,
    serving::{self, processes::Serving},
    switchboard::Switchboard,
    upload, workspace,
};

/// Arguments of `falaj server`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Directory of the cluster, which the provider made.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// The ONNX Runtime library; without it models are served natively.
    #[arg(long)]
    pub onnxruntime: Option<PathBuf>,
    /// Where it answers; by default a free port of this machine's own.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where it answers probes, in plain text; unset, nowhere.
    #[arg(long)]
    pub health: Option<SocketAddr>,
    /// Runs as a pod that the provider made, on Kubernetes.
    #[arg(long)]
    pub in_cluster: bool,
}

/// Days that the platform's certificate holds, and hours after which it is renewed.
const ADMIN_DAYS: i64 = 1;
const ADMIN_RENEWAL: Duration = Duration::from_secs(12 * 3600);
const ADMIN_RETRY: Duration = Duration::from_secs(60);
const SERVER_DAYS: i64 = 365;

/// Runs until SIGTERM.
///
/// # Errors
/// Something that the server needs cannot be had; the message says what.
pub async fn run(args: Args) -> Result<()> {
    // A session of its own: no terminal's signal reaches it. It fails only
    // where it is one already.
    let _ = rustix::process::setsid();
    let kubernetes = match args.in_cluster {
        true => Some(InCluster::prepare(&args.data_dir).await?),
        false => None,
    };
    let data = DataDir::open(&args.data_dir)?;
    let _lock = data.lock()?;
    let _ = std::fs::remove_file(data.running_file());
    let seed = match &kubernetes {
        Some(kubernetes) => kubernetes.plant(&data)?,
        None => data.seed()?,
    };
    tracing::info!(cluster = seed.name, version = falaj_api::version(), "starting");
    cluster::check_residency(&seed.spec).map_err(|problem| anyhow::anyhow!(problem.detail))?;

    let rule = seed.spec.residency.as_ref();
    let (kms, described) = key::open(data.root(), &seed.spec.kms_key, rule, "/spec/kms_key").await?;
    let store = Store::open(Options::new(data.root().join("store"), kms.clone(), &seed.uid)).await?;
    let authority = authority(&data, &seed, kms.as_ref()).await?;
    // An image says by a variable where its library is.
    let library = || std::env::var_os("ORT_DYLIB_PATH").filter(|_| args.in_cluster).map(PathBuf::from);
    let onnxruntime = match args.onnxruntime.clone().or_else(library) {
        Some(path) => Some(path.canonicalize().with_context(|| format!("ONNX Runtime: {}", path.display()))?),
        None => None,
    };
    workspace::open_keys(&data, &store).await?;
    let control = Arc::new(Control {
        store,
        cluster: ClusterIdentity {
            name: seed.name.clone(),
            uid: seed.uid.clone(),
            machine_id: match &kubernetes {
                Some(kubernetes) => kubernetes.machine_id().to_owned(),
                None => machine_id()?,
            },
            spec: seed.spec.clone(),
            key_custody: match described.custody {
                Custody::Host => "host",
                Custody::Service => "service",
            },
        },
        host: Host {
            program: std::env::current_exe()?,
            onnxruntime,
            authority,
            data,
            placement: kubernetes.as_ref().map_or(Placement::Processes, InCluster::placement),
            kubernetes,
        },
        serving: Serving::default(),
        switchboard: Switchboard::default(),
        work: Notify::new(),
        deleted: Notify::new(),
        stop: CancellationToken::new(),
    });
    serve(&control, &args).await?;
    let _ = std::fs::remove_file(control.host.data.running_file());
    control.store.close().await;
    tracing::info!("ended");
    Ok(())
}

async fn serve(control: &Arc<Control>, args: &Args) -> Result<()> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("the address {}", args.listen))?;
    let url = format!("https://{}", from_here(listener.local_addr()?));
    let places = control.host.kubernetes.as_ref().map(InCluster::places).unwrap_or_default();
    let leaf = control.host.authority.server(places, SERVER_DAYS)?;
    let acceptor = Acceptor::new(&control.host.authority, &leaf, &control.cluster.uid)?;
    issue_admin(control).await?;
    if let Some(address) = args.health {
        health::listen(address, control.clone()).await?;
    }

    let stop = control.stop.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending: requests in flight finish first");
        stop.cancel();
    });
    let reconciler = tokio::spawn(serving::reconciler(control.clone()));
    let worker = tokio::spawn(model::training::worker(control.clone()));
    let scheduler = tokio::spawn(monitor::scheduler(control.clone()));
    let keeper = tokio::spawn(retention::keeper(control.clone()));
    let renewal = tokio::spawn(renew_admin(control.clone()));

    let running = Running {
        pid: std::process::id(),
        url,
        version: falaj_api::version().to_owned(),
        cluster_uid: control.cluster.uid.clone(),
        machine_id: control.cluster.machine_id.clone(),
    };
    write_private(&control.host.data.running_file(), &serde_json::to_vec_pretty(&running)?)?;
    http::listen(listener, acceptor, routes().finish(control.clone()), control.clone()).await;
    for task in [reconciler, worker, scheduler, keeper, renewal] {
        if let Err(error) = task.await {
            tracing::error!(%error, "a task of the server failed");
        }
    }
    Ok(())
}

fn routes() -> http::Routes {
    let mut routes = http::Routes::default();
    for add in [
        cluster::routes,
        noun::routes::<Workspace>,
        noun::routes::<FeatureStore>,
        noun::routes::<GpuNodePool>,
        model::routes,
        endpoint::routes,
        monitor::routes,
        operations::routes,
        upload::routes,
        audit::routes,
    ] {
        routes = add(routes);
    }
    routes
}

/// The cluster's certificate authority, made at the first start. Its key lies
/// on disk only as the KMS wrapped it.
async fn authority(data: &DataDir, seed: &Seed, kms: &dyn Kms) -> Result<Authority> {
    let dir = data.dir(&["ca"])?;
    let (certificate, sealed) = (dir.join(CA_FILE), dir.join("key.sealed"));
    let context = Context::new().with("falaj:cluster", &seed.uid).with("falaj:purpose", "certificate authority");
    if certificate.exists() && sealed.exists() {
        let key = kms.unwrap(&std::fs::read(&sealed)?, &context).await?;
        let key = std::str::from_utf8(&key).context("the authority's key")?;
        return Authority::load(&std::fs::read_to_string(&certificate)?, key, &seed.uid);
    }
    let (authority, key) = Authority::create(&seed.name, &seed.uid)?;
    write_private(&sealed, &kms.wrap(key.as_bytes(), &context).await?)?;
    write_private(&certificate, authority.certificate_pem().as_bytes())?;
    Ok(authority)
}

/// An address as this machine reaches it.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Writes the platform's certificate where the provider finds it.
async fn issue_admin(control: &Control) -> Result<()> {
    let dir = control.host.data.dir(&[ADMIN_DIR])?;
    let leaf = control.host.authority.client(&Principal::Platform, ADMIN_DAYS)?;
    write_private(&dir.join(CA_FILE), control.host.authority.certificate_pem().as_bytes())?;
    write_private(&dir.join(KEY_FILE), leaf.key_pem.as_bytes())?;
    write_private(&dir.join(CERT_FILE), leaf.certificate_pem.as_bytes())?;
    if let Some(kubernetes) = &control.host.kubernetes {
        let ca = control.host.authority.certificate_pem();
        kubernetes.publish_admin(ca, &leaf.certificate_pem, &leaf.key_pem).await?;
    }
    Ok(())
}

async fn renew_admin(control: Arc<Control>) {
    let mut next = ADMIN_RENEWAL;
    loop {
        tokio::select! {
            () = control.stop.cancelled() => return,
            () = tokio::time::sleep(next) => {}
        }
        next = match issue_admin(&control).await {
            Ok(()) => ADMIN_RENEWAL,
            Err(error) => {
                tracing::error!(%error, "the platform's certificate could not be renewed");
                ADMIN_RETRY
            }
        };
    }
}

/// Says which machine this is, without telling the system's own id.
fn machine_id() -> Result<String> {
    for path in ["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id"] {
        if let Ok(id) = std::fs::read_to_string(path)
            && !id.trim().is_empty()
        {
            let hash = crate::sha256_hex(format!("falaj machine {}", id.trim()).as_bytes());
            return Ok(hash.chars().take(32).collect());
        }
    }
    bail!("this machine has no id in /etc/machine-id; run systemd-machine-id-setup")
}
