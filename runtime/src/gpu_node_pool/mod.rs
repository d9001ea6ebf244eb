//! GPU node pools. On one machine a pool is a claim on devices that are here.

use falaj_api::{
    Problem,
    gpu_node_pool::{GpuNodePool, GpuNodePoolSpec, GpuNodePoolStatus},
};
use falaj_store::records;

use crate::{control::Control, noun::Noun, placement::Placement, scope::Scope};

/// Where the NVIDIA driver lists its devices.
const DRIVER_DEVICES: &str = "/proc/driver/nvidia/gpus";

impl Noun for GpuNodePool {
    async fn admit(
        control: &Control,
        _: &Scope,
        _: &str,
        spec: &GpuNodePoolSpec,
        _: Option<&records::Record>,
    ) -> Result<GpuNodePoolStatus, Problem> {
        if matches!(control.host.placement, Placement::Pods(_)) {
            return Err(Problem::invalid(
                "/spec",
                "this release makes no GPU node pools on Kubernetes; training and serving on CPU need no pool",
            ));
        }
        let present = devices();
        let wanted = &spec.accelerator;
        let matching: Vec<&Device> = present.iter().filter(|device| device.product.contains(&wanted.product)).collect();
        let count = usize::try_from(wanted.count_per_node).unwrap_or(usize::MAX);
        if count == 0 || matching.len() < count {
            let here = if present.is_empty() {
                "this machine has no NVIDIA device with a loaded driver".to_owned()
            } else {
                let names: Vec<&str> = present.iter().map(|device| device.product.as_str()).collect();
                format!("this machine has {}", names.join(", "))
            };
            return Err(Problem::invalid(
                "/spec/accelerator",
                format!(
                    "a local cluster has no {} x {:?}: {here}; training and serving on CPU need no pool",
                    wanted.count_per_node, wanted.product
                ),
            ));
        }
        Ok(GpuNodePoolStatus { devices: matching.into_iter().take(count).map(|device| device.uuid.clone()).collect() })
    }
}

struct Device {
    product: String,
    uuid: String,
}

/// The devices that the driver knows, in the order of their PCI addresses.
fn devices() -> Vec<Device> {
    let Ok(entries) = std::fs::read_dir(DRIVER_DEVICES) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path().join("information")).collect();
    paths.sort();
    paths.iter().filter_map(|path| parse(&std::fs::read_to_string(path).ok()?)).collect()
}

fn parse(information: &str) -> Option<Device> {
    let field = |name: &str| {
        let line = information.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
        Some(line.trim().to_owned())
    };
    Some(Device { product: field("Model")?, uuid: field("GPU UUID")? })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_drivers_description_of_a_device_is_read() {
        let text = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 60\nGPU UUID: \t GPU-1234-5678\nVideo BIOS: \t 96\n";
        let device = super::parse(text).unwrap();
        assert_eq!((device.product.as_str(), device.uuid.as_str()), ("NVIDIA H100 80GB HBM3", "GPU-1234-5678"));
        assert!(super::parse("Model: x").is_none());
    }
}
