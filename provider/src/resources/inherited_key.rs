//! The key that an object is sealed under although it declares none: its
//! workspace's, or its cluster's.
//!
//! The core plans and reads parents before what refers to them, in the same
//! process, so their keys are remembered as they pass by. Where a parent did
//! not pass, because nothing changes in it, the runtime is asked.

use std::marker::PhantomData;

use falaj_api::{cluster::Cluster, id::Prefix, record::Get, workspace::Workspace};
use tfplugin::Attr;

use crate::attributes::KmsKeyModel;
use crate::connection::Shared;

/// The effective key of an object that declares `own`, and remembers it where
/// others inherit it. Unknown where nobody can say.
pub async fn effective(shared: &Shared, place: &Prefix, own: Attr<KmsKeyModel>) -> Attr<KmsKeyModel> {
    let key = match own {
        Attr::Null => inherited(shared, place).await,
        own => own,
    };
    if place.object.is_none() {
        shared.keys.learn(place, key.clone());
    }
    key
}

async fn inherited(shared: &Shared, place: &Prefix) -> Attr<KmsKeyModel> {
    let cluster = Prefix::cluster(place.region.clone(), &place.cluster);
    if let (Some(workspace), Some(_)) = (&place.workspace, &place.object) {
        let workspace_place = cluster.workspace(workspace);
        if let Some(key) = shared.keys.recall(&workspace_place) {
            return key;
        }
        let Ok(connection) = shared.connect(&place.cluster).await else { return Attr::unknown() };
        let get = Get::<Workspace> { workspace: None, name: workspace.clone(), uid: None, kind: PhantomData };
        let Ok(record) = shared.call(&connection, &get).await else { return Attr::unknown() };
        if let Some(own) = &record.spec.kms_key {
            let key = Attr::Known(KmsKeyModel::of(own));
            shared.keys.learn(&workspace_place, key.clone());
            return key;
        }
    }
    if let Some(key) = shared.keys.recall(&cluster) {
        return key;
    }
    let Ok(connection) = shared.connect(&place.cluster).await else { return Attr::unknown() };
    let get = Get::<Cluster> { workspace: None, name: place.cluster.clone(), uid: None, kind: PhantomData };
    let Ok(record) = shared.call(&connection, &get).await else { return Attr::unknown() };
    let key = Attr::Known(KmsKeyModel::of(&record.spec.kms_key));
    shared.keys.learn(&cluster, key.clone());
    key
}
