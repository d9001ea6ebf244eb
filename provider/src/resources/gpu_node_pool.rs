//! `falaj_gpu_node_pool`: accelerators for training.

use falaj_api::gpu_node_pool::{self as api, GpuNodePoolSpec, GpuNodePoolStatus};
use tfplugin::{Attr, AttributePath, Diagnostics, Model, Timeouts, validate};

use super::declared::{Declared, Finder};
use super::workspace::no_labels;
use crate::attributes::labels::Labels;
use crate::attributes::{PostureModel, object, rules, want};

/// A pool of accelerators.
///
/// On a local cluster it claims devices of the machine itself; what the machine does
/// not have is refused at apply.
#[derive(Model, Debug, Clone)]
pub struct GpuNodePoolModel {
    /// `<region>/<cluster>/gpu_node_pool/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the cluster it belongs to.
    #[attr(required, replace)]
    pub cluster_id: Attr<String>,
    /// Name, unique in the cluster: 2 to 63 lower-case letters, digits and hyphens.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// Which accelerators, and how many.
    #[attr(required)]
    pub accelerator: Attr<AcceleratorModel>,
    /// UUIDs of the devices that make up the pool of a local cluster.
    #[attr(computed, depends_on = ["accelerator"])]
    pub devices: Attr<Vec<String>>,
    /// Labels; they win over the provider's.
    #[attr(default = no_labels())]
    pub labels: Attr<Labels>,
    /// These labels with the provider's.
    #[attr(computed)]
    pub effective_labels: Attr<Labels>,
    /// What a policy needs to know of it, at plan already wherever it can be known.
    #[attr(computed, local)]
    pub posture: Attr<PostureModel>,
    /// How long each operation may take.
    #[attr(optional)]
    pub timeouts: Attr<Timeouts>,
}
object!(GpuNodePoolModel);

/// A kind of accelerator.
#[derive(Model, Debug, Clone)]
pub struct AcceleratorModel {
    /// Product as the driver names it, such as `NVIDIA H100 80GB HBM3`, or a part of that.
    #[attr(required, validate = [validate::not_empty()])]
    pub product: Attr<String>,
    /// How many a node has; on a local cluster, how many of the machine's.
    #[attr(default = 1, validate = [rules::at_least(1)])]
    pub count_per_node: Attr<u32>,
}

/// `falaj_gpu_node_pool`.
pub struct GpuNodePool;

impl Declared for GpuNodePool {
    type Kind = api::GpuNodePool;
    type Model = GpuNodePoolModel;
    const NAME: &'static str = "falaj_gpu_node_pool";
    const PARENT: (&'static str, &'static str) = ("cluster_id", "cluster");

    fn parent(model: &GpuNodePoolModel) -> &Attr<String> {
        &model.cluster_id
    }

    fn parent_mut(model: &mut GpuNodePoolModel) -> &mut Attr<String> {
        &mut model.cluster_id
    }

    fn spec(model: &GpuNodePoolModel, labels: Labels) -> Result<GpuNodePoolSpec, Diagnostics> {
        let path = AttributePath::root("accelerator");
        let accelerator = want(&model.accelerator, path.clone())?;
        Ok(GpuNodePoolSpec {
            accelerator: api::Accelerator {
                product: want(&accelerator.product, path.attribute("product"))?.clone(),
                count_per_node: *want(&accelerator.count_per_node, path.attribute("count_per_node"))?,
            },
            labels,
        })
    }

    fn labels(spec: &GpuNodePoolSpec) -> &Labels {
        &spec.labels
    }

    async fn declare(model: &mut GpuNodePoolModel, spec: &GpuNodePoolSpec, _: &Finder<'_>) -> Result<(), Diagnostics> {
        model.accelerator = Attr::Known(AcceleratorModel {
            product: spec.accelerator.product.clone().into(),
            count_per_node: spec.accelerator.count_per_node.into(),
        });
        Ok(())
    }

    fn observe(model: &mut GpuNodePoolModel, status: &GpuNodePoolStatus) {
        model.devices = status.devices.clone().into();
    }

    fn expect(model: &mut GpuNodePoolModel) {
        model.devices = Attr::unknown();
    }
}
