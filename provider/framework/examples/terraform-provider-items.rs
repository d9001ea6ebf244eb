//! A provider of items, each in a JSON file of its own: what `make bench` holds
//! against the same provider on HashiCorp's Go framework
//! (`tests/peers/framework-go`), with the same configurations and the same files.
//!
//! ```hcl
//! provider "items" { directory = "/tmp/items" }
//! resource "items_item" "first" {
//!   name   = "first"
//!   limits = { cpu = 2 }
//! }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use tfplugin::{
    Attr, Context, Diagnostic, Diagnostics, Failure, Import, Model, Plan, Provider, Registry, Resource, validate,
};

fn main() -> ExitCode {
    tfplugin::serve(ItemsProvider)
}

/// Items in a directory.
#[derive(Model, Clone)]
pub struct Config {
    /// Where the items are.
    #[attr(required)]
    directory: Attr<String>,
}

/// The directory; unknown while planning, if it is made in the same run.
pub struct Store {
    directory: Option<PathBuf>,
}

/// The provider.
pub struct ItemsProvider;

impl Provider for ItemsProvider {
    type Config = Config;
    type Shared = Store;
    const NAME: &'static str = "items";

    fn register(&self, registry: &mut Registry<Store>) {
        registry.resource(Item);
    }

    async fn configure(&self, _ctx: &Context<Store>, config: Config) -> Result<Store, Diagnostics> {
        Ok(Store { directory: config.directory.into_known().map(PathBuf::from) })
    }
}

/// An item in a file of its own.
#[derive(Model, Clone, Default)]
struct ItemModel {
    /// `item/<name>`.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// The name of the file. Another name is another item.
    #[attr(required, replace, validate = [validate::name(63)])]
    name: Attr<String>,
    /// What it is for.
    #[attr(default = "", validate = [validate::length(0, 200)])]
    description: Attr<String>,
    /// Whether it is in use.
    #[attr(default = true)]
    enabled: Attr<bool>,
    /// How many there are.
    #[attr(default = 1, validate = [validate::range(1, 100)])]
    replicas: Attr<i64>,
    /// Its share of the traffic.
    #[attr(optional)]
    ratio: Attr<f64>,
    /// How good it is.
    #[attr(default = "standard", validate = [validate::one_of(["basic", "standard", "premium"])])]
    tier: Attr<String>,
    /// Words to find it by.
    #[attr(optional)]
    labels: Attr<BTreeMap<String, String>>,
    /// Where it runs.
    #[attr(optional)]
    zones: Attr<Vec<String>>,
    /// How much it may use.
    #[attr(optional)]
    limits: Attr<Limits>,
    /// How often it was changed.
    #[attr(computed, depends_on = ["*"])]
    revision: Attr<i64>,
    /// FNV-1a of what it says.
    #[attr(computed, depends_on = ["*"])]
    checksum: Attr<String>,
}

/// Limits of an item.
#[derive(Model, Clone)]
struct Limits {
    /// Processors.
    #[attr(default = 1, validate = [validate::range(1, 64)])]
    cpu: Attr<i64>,
    /// Memory, with its unit.
    #[attr(default = "512Mi", validate = [validate::length(2, 16)])]
    memory: Attr<String>,
    /// Whether it may use more for a while.
    #[attr(default = false)]
    burst: Attr<bool>,
}

/// An item as its file holds it.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    name: String,
    description: String,
    enabled: bool,
    replicas: i64,
    ratio: Option<f64>,
    tier: String,
    labels: Option<BTreeMap<String, String>>,
    zones: Option<Vec<String>>,
    limits: Option<StoredLimits>,
    revision: i64,
    checksum: String,
}

#[derive(Serialize, Deserialize)]
struct StoredLimits {
    cpu: i64,
    memory: String,
    burst: bool,
}

impl From<ItemModel> for Stored {
    fn from(item: ItemModel) -> Self {
        Self {
            id: item.id.or_default(),
            name: item.name.or_default(),
            description: item.description.or_default(),
            enabled: item.enabled.or_default(),
            replicas: item.replicas.or_default(),
            ratio: item.ratio.into_known(),
            tier: item.tier.or_default(),
            labels: item.labels.into_known(),
            zones: item.zones.into_known(),
            limits: item.limits.into_known().map(|limits| StoredLimits {
                cpu: limits.cpu.or_default(),
                memory: limits.memory.or_default(),
                burst: limits.burst.or_default(),
            }),
            revision: item.revision.or_default(),
            checksum: item.checksum.or_default(),
        }
    }
}

impl From<Stored> for ItemModel {
    fn from(stored: Stored) -> Self {
        let limits = |limits: StoredLimits| Limits {
            cpu: limits.cpu.into(),
            memory: limits.memory.into(),
            burst: limits.burst.into(),
        };
        Self {
            id: stored.id.into(),
            name: stored.name.into(),
            description: stored.description.into(),
            enabled: stored.enabled.into(),
            replicas: stored.replicas.into(),
            ratio: stored.ratio.into(),
            tier: stored.tier.into(),
            labels: stored.labels.into(),
            zones: stored.zones.into(),
            limits: stored.limits.map(limits).into(),
            revision: stored.revision.into(),
            checksum: stored.checksum.into(),
        }
    }
}

impl Store {
    fn file(&self, name: &str) -> Result<PathBuf, Diagnostic> {
        let directory = self.directory.as_deref().ok_or_else(|| Diagnostic::error("The directory is not known yet"))?;
        Ok(directory.join(format!("{name}.json")))
    }

    fn load(&self, name: &str) -> Result<Option<Stored>, Diagnostic> {
        let file = self.file(name)?;
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed("read", &file, &error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &file, &error)),
        }
    }

    /// Writes the item, with what the provider computes of it.
    fn save(&self, item: ItemModel, revision: i64) -> Result<ItemModel, Diagnostic> {
        let mut stored = Stored::from(item);
        stored.id = format!("item/{}", stored.name);
        stored.revision = revision;
        stored.checksum = checksum(&stored);
        let file = self.file(&stored.name)?;
        let json = serde_json::to_vec(&stored).map_err(|error| failed("write", &file, &error.into()))?;
        fs::write(&file, json).map_err(|error| failed("write", &file, &error))?;
        Ok(stored.into())
    }
}

fn failed(action: &str, file: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("Cannot {action} the item")).detail(format!("{}: {error}", file.display()))
}

/// 64-bit FNV-1a of the texts, in hexadecimal.
fn checksum(item: &Stored) -> String {
    let text = format!("{}\0{}\0{}", item.name, item.description, item.tier);
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

struct Item;

impl Resource for Item {
    type Shared = Store;
    type Model = ItemModel;
    const NAME: &'static str = "items_item";

    async fn create(&self, ctx: &Context<Store>, plan: Plan<ItemModel>) -> Result<ItemModel, Failure<ItemModel>> {
        let store = ctx.shared()?;
        let name = plan.planned.name.as_deref().unwrap_or_default();
        if store.load(name)?.is_some() {
            let detail = format!("Import it: terraform import <address> item/{name}");
            return Err(Diagnostic::error("An item of this name exists").detail(detail).at("name").into());
        }
        Ok(store.save(plan.planned, 1)?)
    }

    async fn read(&self, ctx: &Context<Store>, state: ItemModel) -> Result<Option<ItemModel>, Diagnostics> {
        let stored = ctx.shared()?.load(state.name.as_deref().unwrap_or_default())?;
        Ok(stored.map(ItemModel::from))
    }

    async fn update(&self, ctx: &Context<Store>, plan: Plan<ItemModel>) -> Result<ItemModel, Failure<ItemModel>> {
        let revision = plan.prior.and_then(|prior| prior.revision.into_known()).unwrap_or(0);
        Ok(ctx.shared()?.save(plan.planned, revision + 1)?)
    }

    async fn delete(&self, ctx: &Context<Store>, state: ItemModel) -> Result<(), Diagnostics> {
        let file = ctx.shared()?.file(state.name.as_deref().unwrap_or_default())?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", &file, &error).into()),
            _ => Ok(()),
        }
    }

    async fn import(&self, _ctx: &Context<Store>, import: Import) -> Result<ItemModel, Diagnostics> {
        let name = import.id().and_then(|id| id.strip_prefix("item/"));
        let name = name.ok_or_else(|| Diagnostic::error("Not an item's id").detail("`item/<name>` was expected."))?;
        Ok(ItemModel { name: name.into(), ..ItemModel::default() })
    }
}
