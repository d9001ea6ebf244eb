use std::sync::Arc;

use falaj_api::{KeyUri, KmsKey};

use crate::{FileKms, Kms, KmsError, Problem};

/// Opens the declared key.
///
/// A URI that carries its region (an AWS ARN) must agree with `key.region`; for a key file the
/// declared region is only reported.
pub async fn open(key: &KmsKey) -> Result<Arc<dyn Kms>, KmsError> {
    let region = key
        .effective_region()
        .map_err(|why| KmsError::new(&key.uri.to_string(), "open the key", Problem::BadUri).detail(why))?;
    match &key.uri {
        KeyUri::File { path } => Ok(Arc::new(FileKms::open(path, Some(region.as_str()))?)),
        #[cfg(feature = "aws")]
        KeyUri::AwsKms { .. } => Ok(Arc::new(crate::AwsKms::open(&key.uri).await?)),
        #[cfg(not(feature = "aws"))]
        KeyUri::AwsKms { .. } => Err(KmsError::new(&key.uri.to_string(), "open the key", Problem::BadUri)
            .detail("this build has no AWS support (feature `aws`)")),
    }
}
