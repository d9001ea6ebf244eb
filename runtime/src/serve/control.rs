//! From a snapshot to what is served.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rustls::ServerConfig;

use super::capture::Target;
use super::metrics::Metrics;
use super::models::{Model, Models, check_signature};
use super::protocol::{EndpointSnapshot, Snapshot, Tls, VariantSnapshot};
use super::routing::{Endpoint, Routing, Variant};
use crate::oip::InputSpec;

/// Makes routings of snapshots.
pub struct Builder {
    models: Models,
    metrics: Arc<Metrics>,
    tls: Option<(Tls, Arc<ServerConfig>)>,
}

impl Builder {
    pub fn new(models: Models, metrics: Arc<Metrics>) -> Self {
        Self { models, metrics, tls: None }
    }

    pub fn models(&mut self) -> &mut Models {
        &mut self.models
    }

    /// Everything the snapshot describes, loaded and checked.
    ///
    /// # Errors
    /// The first reason why it cannot be served as a whole.
    pub fn build(&mut self, snapshot: &Snapshot) -> Result<Routing, String> {
        let tls = match (&snapshot.tls, &self.tls) {
            (None, _) => None,
            (Some(wanted), Some((known, config))) if wanted == known => Some(config.clone()),
            (Some(wanted), _) => {
                let config = super::identity::server_config(wanted)?;
                self.tls = Some((wanted.clone(), config.clone()));
                Some(config)
            }
        };
        let variants = snapshot.endpoints.values().flat_map(|endpoint| endpoint.variants.values());
        let digests: BTreeSet<&str> = variants.map(|variant| variant.artifact.as_str()).collect();
        let models = self.models.load(&digests)?;
        let endpoints = snapshot.endpoints.iter().map(|(name, endpoint)| {
            let built = self.endpoint(name, endpoint, &models).map_err(|e| format!("endpoint {name:?}: {e}"))?;
            Ok((name.clone(), Arc::new(built)))
        });
        let endpoints = endpoints.collect::<Result<HashMap<_, _>, String>>()?;
        let authority = snapshot.tls.as_ref().map(|tls| tls.client_ca_pem.as_str().into());
        Ok(Routing { tls, authority, endpoints })
    }

    fn endpoint(
        &self,
        name: &str,
        snapshot: &EndpointSnapshot,
        models: &HashMap<String, Model>,
    ) -> Result<Endpoint, String> {
        let (mut variants, mut shadows) = (Vec::new(), Vec::new());
        for (variant_name, variant) in &snapshot.variants {
            let built = self.variant(name, variant_name, variant, models);
            let built = Arc::new(built.map_err(|e| format!("variant {variant_name:?}: {e}"))?);
            if variant.shadow { shadows.push(built) } else { variants.push(built) }
        }
        let capture = snapshot.capture.as_ref().map(|capture| Target::new(name, capture)).transpose()?;
        Ok(Endpoint {
            name: name.to_owned(),
            variants,
            shadows,
            invokers: snapshot.invokers.clone(),
            capture: capture.map(Arc::new),
            refused: self.metrics.requests(name, ""),
        })
    }

    fn variant(
        &self,
        endpoint: &str,
        name: &str,
        snapshot: &VariantSnapshot,
        models: &HashMap<String, Model>,
    ) -> Result<Variant, String> {
        let model =
            models.get(&snapshot.artifact).ok_or_else(|| format!("artifact {} is missing", snapshot.artifact))?;
        check_signature(&snapshot.signature, model.session.as_ref())?;
        let inputs = snapshot.signature.inputs.iter().map(|spec| {
            InputSpec::new(spec).ok_or_else(|| format!("input {:?} has no datatype of the protocol's", spec.name))
        });
        Ok(Variant {
            name: name.to_owned(),
            model: snapshot.model.clone(),
            version: snapshot.version,
            version_text: snapshot.version.to_string(),
            weight: snapshot.weight,
            shadow: snapshot.shadow,
            format: model.format,
            inputs: inputs.collect::<Result<_, _>>()?,
            signature: snapshot.signature.clone(),
            session: model.session.clone(),
            requests: self.metrics.requests(endpoint, name),
        })
    }
}
