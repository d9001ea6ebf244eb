//! Objects by server-side apply, so that every field has an owner.

use std::fmt::Debug;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::Resource;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::Kube;
use crate::error::{KubeError, chain};

/// How long an API server may take to answer.
const ANSWER: Duration = Duration::from_secs(60);
/// How many questions are asked before the first is answered.
const AT_ONCE: usize = 8;

/// A type of the API, such as `Service`.
pub trait Object: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug + Send + Sync {}

impl<K: Resource<DynamicType = ()> + Serialize + DeserializeOwned + Clone + Debug + Send + Sync> Object for K {}

/// An object as people name it: `Service falaj-retail/falaj-server`.
#[must_use]
pub fn describe<K: Resource<DynamicType = ()>>(object: &K) -> String {
    let meta = object.meta();
    named(&K::kind(&()), meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
}

fn named(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// An untyped object, with what its type is called in paths.
#[derive(Clone, Debug)]
pub struct Untyped {
    pub resource: ApiResource,
    pub object: DynamicObject,
}

impl Untyped {
    /// Any typed object.
    ///
    /// # Errors
    /// It is not JSON, which no object of the API is.
    pub fn of<K: Object>(object: &K) -> Result<Self, KubeError> {
        let what = describe(object);
        let failed = |error: serde_json::Error| KubeError::Failed {
            verb: "write",
            object: what.clone(),
            reason: error.to_string(),
        };
        let value = serde_json::to_value(object).map_err(failed)?;
        let object = serde_json::from_value(value).map_err(failed)?;
        Ok(Self { resource: ApiResource::erase::<K>(&()), object })
    }

    #[must_use]
    pub fn describe(&self) -> String {
        named(&self.resource.kind, self.namespace(), self.name())
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.object.metadata.namespace.as_deref()
    }
}

impl Kube {
    /// Writes the fields that `object` has and leaves all others alone.
    ///
    /// # Errors
    /// Somebody else manages one of these fields ([`KubeError::Conflict`] names
    /// both), or the API server refuses.
    pub async fn apply<K: Object>(&self, object: &K) -> Result<K, KubeError> {
        typed(self.apply_untyped(&Untyped::of(object)?, false).await?, object)
    }

    /// Writes the fields that `object` has, also those that somebody else
    /// changed: for what only Falaj may decide.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn take<K: Object>(&self, object: &K) -> Result<K, KubeError> {
        typed(self.apply_untyped(&Untyped::of(object)?, true).await?, object)
    }

    /// [`Kube::apply`], or with `force` [`Kube::take`], for a type that is not
    /// known here, such as a custom resource.
    ///
    /// # Errors
    /// As for these.
    pub async fn apply_untyped(&self, untyped: &Untyped, force: bool) -> Result<DynamicObject, KubeError> {
        self.patch(
            untyped,
            PatchParams { force, field_manager: Some(self.manager.to_owned()), ..PatchParams::default() },
        )
        .await
    }

    /// What [`Kube::take`] would make of the object; nothing is written.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn preview(&self, untyped: &Untyped) -> Result<DynamicObject, KubeError> {
        let manager = Some(self.manager.to_owned());
        self.patch(
            untyped,
            PatchParams { force: true, dry_run: true, field_manager: manager, ..PatchParams::default() },
        )
        .await
    }

    async fn patch(&self, untyped: &Untyped, params: PatchParams) -> Result<DynamicObject, KubeError> {
        let api = self.dynamic(&untyped.resource, untyped.namespace());
        let patch = Patch::Apply(&untyped.object);
        self.answer("apply", &untyped.describe(), api.patch(untyped.name(), &params, &patch)).await
    }

    /// Makes an object.
    ///
    /// # Errors
    /// There is one of its name ([`KubeError::Exists`]), or the API server refuses.
    pub async fn create<K: Object>(&self, object: &K) -> Result<K, KubeError> {
        let untyped = Untyped::of(object)?;
        let api = self.dynamic(&untyped.resource, untyped.namespace());
        let params = PostParams { field_manager: Some(self.manager.to_owned()), ..PostParams::default() };
        typed(self.answer("create", &untyped.describe(), api.create(&params, &untyped.object)).await?, object)
    }

    /// The object of this name; `None` if there is none. Of a type without
    /// namespaces `namespace` is `None`.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn get<K: Object>(&self, namespace: Option<&str>, name: &str) -> Result<Option<K>, KubeError> {
        let resource = ApiResource::erase::<K>(&());
        let what = named(&resource.kind, namespace, name);
        match self.answer("read", &what, self.dynamic(&resource, namespace).get_opt(name)).await? {
            Some(found) => read(found, &what).map(Some),
            None => Ok(None),
        }
    }

    /// The object that an untyped one would be applied to.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn get_untyped(&self, untyped: &Untyped) -> Result<Option<DynamicObject>, KubeError> {
        let api = self.dynamic(&untyped.resource, untyped.namespace());
        self.answer("read", &untyped.describe(), api.get_opt(untyped.name())).await
    }

    /// The objects whose labels `selector` selects (`name=value,...`; empty: all).
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn list<K: Object>(&self, namespace: Option<&str>, selector: &str) -> Result<Vec<K>, KubeError> {
        let resource = ApiResource::erase::<K>(&());
        let what = named(&resource.plural, namespace, selector);
        let params = ListParams::default().labels(selector);
        let listed = self.answer("list", &what, self.dynamic(&resource, namespace).list(&params)).await?;
        listed.items.into_iter().map(|item| read(item, &what)).collect()
    }

    /// Deletes an object with what belongs to it. True if it was there.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn delete<K: Object>(&self, namespace: Option<&str>, name: &str) -> Result<bool, KubeError> {
        let resource = ApiResource::erase::<K>(&());
        self.delete_named(&resource, namespace, name, None).await
    }

    /// Deletes an object if it is still the one with this uid. True if it was there.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn delete_exactly<K: Object>(&self, object: &K) -> Result<bool, KubeError> {
        let meta = object.meta();
        let name = meta.name.as_deref().unwrap_or_default();
        self.delete_named(&ApiResource::erase::<K>(&()), meta.namespace.as_deref(), name, meta.uid.clone()).await
    }

    async fn delete_named(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
        uid: Option<String>,
    ) -> Result<bool, KubeError> {
        let what = named(&resource.kind, namespace, name);
        let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), ..Preconditions::default() });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        match self.answer("delete", &what, self.dynamic(resource, namespace).delete(name, &params)).await {
            Ok(_) => Ok(true),
            Err(KubeError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes whatever an untyped object names. True if it was there.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn delete_untyped(&self, untyped: &Untyped) -> Result<bool, KubeError> {
        self.delete_named(&untyped.resource, untyped.namespace(), untyped.name(), None).await
    }

    /// What is not as `objects` say, as `KIND NAME: fields`. What others added to
    /// them is none of it.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn differences(&self, objects: &[Untyped]) -> Result<Vec<String>, KubeError> {
        let asked: Vec<_> = objects.iter().map(|object| self.difference(object)).collect();
        let told: Vec<Option<String>> = futures::stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        Ok(told.into_iter().flatten().collect())
    }

    async fn difference(&self, object: &Untyped) -> Result<Option<String>, KubeError> {
        let name = format!("{} {}", object.resource.kind, object.name());
        let Some(found) = self.get_untyped(object).await? else { return Ok(Some(format!("{name}: missing"))) };
        match self.preview(object).await {
            Ok(wanted) => {
                let paths = differences(&found, &wanted);
                Ok((!paths.is_empty()).then(|| format!("{name}: {}", paths.join(", "))))
            }
            // Such as a field that cannot be changed any more; an apply says it again.
            Err(KubeError::Invalid { reason, .. }) => Ok(Some(format!("{name}: {reason}"))),
            Err(error) => Err(error),
        }
    }

    fn dynamic(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    /// The answer to a request, in time and with what it was about in its error.
    pub(crate) async fn answer<T>(
        &self,
        verb: &'static str,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, KubeError> {
        match tokio::time::timeout(ANSWER, request).await {
            Ok(answer) => answer.map_err(|error| KubeError::of(error, self.server(), verb, what)),
            Err(_) => Err(KubeError::Unreachable {
                server: self.server().to_owned(),
                reason: format!("no answer within {} s", ANSWER.as_secs()),
            }),
        }
    }
}

fn typed<K: Object>(found: DynamicObject, asked: &K) -> Result<K, KubeError> {
    read(found, &describe(asked))
}

fn read<K: Object>(found: DynamicObject, what: &str) -> Result<K, KubeError> {
    found.try_parse().map_err(|error| KubeError::Failed {
        verb: "read",
        object: what.to_owned(),
        reason: chain(&error),
    })
}

/// Where two states of one object differ, as paths; who manages which field and
/// how often it was written is no difference.
#[must_use]
pub fn differences(found: &DynamicObject, wanted: &DynamicObject) -> Vec<String> {
    let plain = |object: &DynamicObject| {
        let mut value = serde_json::to_value(object).unwrap_or_default();
        if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            for field in ["managedFields", "resourceVersion", "generation"] {
                meta.remove(field);
            }
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("status");
        }
        value
    };
    let mut paths = Vec::new();
    compare(&plain(found), &plain(wanted), String::new(), &mut paths);
    paths
}

fn compare(found: &Value, wanted: &Value, path: String, paths: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null), below, paths);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(a, b, format!("{path}[{index}]"), paths);
            }
        }
        _ if found == wanted => {}
        _ => paths.push(path),
    }
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;

    use super::{describe, differences};

    fn object(value: serde_json::Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_changed_field_is_named_and_bookkeeping_is_not() {
        let base = |replicas: u32, version: &str| {
            object(json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": { "name": "s", "resourceVersion": version, "managedFields": [{ "manager": version }], "labels": { "a.b/c": "d" } },
                "spec": { "replicas": replicas, "template": { "spec": { "containers": [{ "name": "server" }] } } },
                "status": { "replicas": replicas },
            }))
        };
        assert!(differences(&base(1, "7"), &base(1, "8")).is_empty());
        assert_eq!(differences(&base(0, "7"), &base(1, "8")), ["spec.replicas"]);
    }

    #[test]
    fn an_object_is_named_as_people_name_it() {
        let mut service = k8s_openapi::api::core::v1::Service::default();
        service.metadata.name = Some("falaj-server".into());
        service.metadata.namespace = Some("retail".into());
        assert_eq!(describe(&service), "Service retail/falaj-server");
    }
}
