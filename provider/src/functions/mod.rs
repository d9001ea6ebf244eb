//! Functions: pure, so usable in any expression.

mod key_region;
mod region_jurisdiction;

use tfplugin::Registry;

use crate::connection::Shared;

pub fn register(registry: &mut Registry<Shared>) {
    registry.function(region_jurisdiction::RegionJurisdiction).function(key_region::KeyRegion);
}
