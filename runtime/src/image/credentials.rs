//! Who a registry is told we are.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use oci_client::secrets::RegistryAuth;

const USERNAME: &str = "FALAJ_REGISTRY_USERNAME";
const PASSWORD: &str = "FALAJ_REGISTRY_PASSWORD";

/// Where a person can put credentials, for messages.
pub const HINT: &str = "set FALAJ_REGISTRY_USERNAME and FALAJ_REGISTRY_PASSWORD, or put the registry into \
                        ~/.docker/config.json (DOCKER_CONFIG names another directory), as `docker login` does";

/// Credentials from the environment, else from Docker's configuration and its helpers.
///
/// # Errors
/// There are some, and they cannot be used.
pub fn find(registry: &str) -> Result<RegistryAuth> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable(USERNAME), variable(PASSWORD)) {
        (Some(username), Some(password)) => return Ok(RegistryAuth::Basic(username, password)),
        (None, None) => {}
        _ => bail!("{USERNAME} and {PASSWORD} are set together or not at all"),
    }
    if !has_configuration() {
        return Ok(RegistryAuth::Anonymous);
    }
    // The name under which Docker keeps credentials of its own registry.
    let key = if registry == "docker.io" { "https://index.docker.io/v1/" } else { registry };
    match get_credential(key) {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(RegistryAuth::Basic(username, password)),
        Ok(DockerCredential::IdentityToken(_)) => {
            bail!("Docker's configuration has an identity token for {registry}, and a password is needed; {HINT}")
        }
        Err(CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound) => {
            Ok(RegistryAuth::Anonymous)
        }
        Err(error) => Err(error).with_context(|| format!("the credentials for {registry} in Docker's configuration")),
    }
}

/// The library tells a missing file and an unreadable one alike.
fn has_configuration() -> bool {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let folder = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
    folder.is_some_and(|folder| folder.join("config.json").exists())
}
