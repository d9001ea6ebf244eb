//! An OCI image layout as one tar file: what `falaj image build` writes, and what
//! `ctr images import`, `skopeo` and `docker load` read.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor,
    OciImageIndex, OciImageManifest,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::layer::{self, Layer};
use super::tree::Tree;

const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The tag within a layout, in its index.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name, as containerd imports it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image, and the documents about it, with everything they consist of.
#[derive(Debug, Default)]
pub struct Layout {
    /// Contents by digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub image: Option<Image>,
    /// Manifests whose subject is the image, such as its bill of materials.
    pub referrers: Vec<ImageIndexEntry>,
}

/// The manifest of the image itself.
#[derive(Debug, Clone)]
pub struct Image {
    pub entry: ImageIndexEntry,
    pub manifest: OciImageManifest,
}

impl Image {
    /// The tag it was built under.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.entry.annotations.as_ref()?.get(REF_NAME).map(String::as_str)
    }
}

impl Layout {
    /// An image of these layers. `name` and `tag` are what an engine calls it once it
    /// is imported.
    ///
    /// # Errors
    /// A document cannot be written as JSON.
    pub fn image(layers: Vec<Layer>, config: &Value, name: &str, tag: &str) -> Result<Self> {
        let mut layout = Self::default();
        let layers =
            layers.into_iter().map(|layer| layout.put(layer::MEDIA_TYPE, layer.bytes)).collect::<Result<_>>()?;
        let config = layout.put_json(IMAGE_CONFIG_MEDIA_TYPE, config)?;
        let manifest = OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config,
            layers,
            ..OciImageManifest::default()
        };
        let mut entry = layout.put_manifest(&manifest)?;
        let names = [(REF_NAME, tag), (CONTAINERD_NAME, name)];
        entry.annotations = Some(names.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        layout.image = Some(Image { entry, manifest });
        Ok(layout)
    }

    /// The image that it holds.
    ///
    /// # Errors
    /// It holds none.
    pub fn its_image(&self) -> Result<&Image> {
        self.image.as_ref().context("it holds no image")
    }

    /// Attaches a document to the image (OCI 1.1: a manifest with a `subject`).
    ///
    /// # Errors
    /// The document cannot be written as JSON.
    pub fn attach(&mut self, media_type: &str, document: &Value) -> Result<()> {
        let image = &self.its_image()?.entry;
        let subject = OciDescriptor {
            media_type: image.media_type.clone(),
            digest: image.digest.clone(),
            size: image.size,
            ..OciDescriptor::default()
        };
        let config = self.put(EMPTY_MEDIA_TYPE, b"{}".to_vec())?;
        let document = self.put_json(media_type, document)?;
        let manifest = OciImageManifest {
            media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
            config,
            layers: vec![document],
            subject: Some(subject),
            artifact_type: Some(media_type.to_owned()),
            ..OciImageManifest::default()
        };
        let mut entry = self.put_manifest(&manifest)?;
        entry.artifact_type = Some(media_type.to_owned());
        self.referrers.push(entry);
        Ok(())
    }

    fn put(&mut self, media_type: &str, bytes: Vec<u8>) -> Result<OciDescriptor> {
        let descriptor = OciDescriptor {
            media_type: media_type.to_owned(),
            digest: layer::digest(&bytes),
            size: i64::try_from(bytes.len())?,
            ..OciDescriptor::default()
        };
        self.blobs.insert(descriptor.digest.clone(), bytes);
        Ok(descriptor)
    }

    fn put_json(&mut self, media_type: &str, document: &impl Serialize) -> Result<OciDescriptor> {
        self.put(media_type, serde_json::to_vec(document)?)
    }

    fn put_manifest(&mut self, manifest: &OciImageManifest) -> Result<ImageIndexEntry> {
        let descriptor = self.put_json(OCI_IMAGE_MEDIA_TYPE, manifest)?;
        Ok(ImageIndexEntry {
            media_type: descriptor.media_type,
            digest: descriptor.digest,
            size: descriptor.size,
            platform: None,
            annotations: None,
            artifact_type: None,
        })
    }

    /// The layout as a tar file.
    ///
    /// # Errors
    /// It holds no image.
    pub fn to_tar(&self) -> Result<Vec<u8>> {
        let image = self.its_image()?;
        let path = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
        let index = OciImageIndex {
            schema_version: 2,
            media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
            manifests: std::iter::once(&image.entry).chain(&self.referrers).cloned().collect(),
            artifact_type: None,
            annotations: None,
        };
        // For engines that know no OCI layout.
        let docker = json!([{
            "Config": path(&image.manifest.config.digest),
            "RepoTags": image.entry.annotations.as_ref().and_then(|names| names.get(CONTAINERD_NAME)).map(|name| [name]),
            "Layers": image.manifest.layers.iter().map(|layer| path(&layer.digest)).collect::<Vec<_>>(),
        }]);
        let mut tree = Tree::default();
        tree.file("oci-layout", serde_json::to_vec(&json!({"imageLayoutVersion": "1.0.0"}))?);
        tree.file("index.json", serde_json::to_vec(&index)?);
        tree.file("manifest.json", serde_json::to_vec(&docker)?);
        for (digest, bytes) in &self.blobs {
            tree.file(&path(digest), bytes.as_slice());
        }
        layer::archive(&tree, 0)
    }

    /// # Errors
    /// The file cannot be read, holds no image, or a part of it is not what its digest says.
    pub fn read(file: &Path) -> Result<Self> {
        let opened = std::fs::File::open(file)
            .with_context(|| format!("{} cannot be read; `falaj image build` writes an image", file.display()))?;
        Self::from_tar(std::io::BufReader::new(opened)).with_context(|| format!("{}", file.display()))
    }

    /// # Errors
    /// As for [`Layout::read`].
    pub fn from_tar(reader: impl Read) -> Result<Self> {
        let mut layout = Self::default();
        let mut index = None;
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries()? {
            let mut entry = entry.context("it is no tar file, or is cut short")?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
            let hash = path.strip_prefix("blobs/sha256/").filter(|hash| !hash.is_empty()).map(str::to_owned);
            if hash.is_none() && path != "index.json" {
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).with_context(|| format!("{path} is cut short"))?;
            match hash {
                None => index = Some(bytes),
                Some(hash) => {
                    let digest = layer::digest(&bytes);
                    if digest != format!("sha256:{hash}") {
                        bail!("{path} has the digest {digest}: it was damaged or altered; build the image again");
                    }
                    layout.blobs.insert(digest, bytes);
                }
            }
        }
        let index = index.context("it holds no index.json, so it is no OCI image layout")?;
        let index: OciImageIndex = serde_json::from_slice(&index).context("its index.json")?;
        for entry in index.manifests {
            let manifest: OciImageManifest = serde_json::from_slice(layout.blob(&entry.digest)?)
                .with_context(|| format!("the manifest {}", entry.digest))?;
            for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
                layout.blob(&part.digest)?;
            }
            match &manifest.subject {
                Some(_) => layout.referrers.push(entry),
                None if layout.image.is_none() => layout.image = Some(Image { entry, manifest }),
                None => bail!("it holds several images; `falaj image build` writes one"),
            }
        }
        layout.its_image()?;
        Ok(layout)
    }

    /// Contents by digest.
    ///
    /// # Errors
    /// They are not here.
    pub fn blob(&self, digest: &str) -> Result<&Vec<u8>> {
        self.blobs.get(digest).with_context(|| format!("{digest} is missing; build the image again"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::layer::Layer;
    use super::super::tree::Tree;
    use super::Layout;

    fn layout() -> Layout {
        let mut tree = Tree::default();
        tree.file("usr/bin/falaj", "program");
        let layer = Layer::pack(&tree, 0).unwrap();
        let mut layout = Layout::image(vec![layer], &json!({"os": "linux"}), "localhost/falaj:1", "1").unwrap();
        layout.attach("application/spdx+json", &json!({"spdxVersion": "SPDX-2.3"})).unwrap();
        layout
    }

    #[test]
    fn what_was_written_is_read_again_with_its_documents() {
        let written = layout();
        let tar = written.to_tar().unwrap();
        assert_eq!(tar, layout().to_tar().unwrap());
        let read = Layout::from_tar(tar.as_slice()).unwrap();
        assert_eq!(read.blobs, written.blobs);
        assert_eq!(read.its_image().unwrap().tag(), Some("1"));
        assert_eq!(read.its_image().unwrap().entry.digest, written.its_image().unwrap().entry.digest);
        assert_eq!(read.referrers.len(), 1);
        assert_eq!(read.to_tar().unwrap(), tar);
    }

    #[test]
    fn an_altered_or_foreign_file_is_refused_and_says_what_is_wrong() {
        let mut altered = layout();
        for bytes in altered.blobs.values_mut() {
            bytes.push(b' ');
        }
        let said = |tar: &[u8]| format!("{:#}", Layout::from_tar(tar).unwrap_err());
        assert!(said(&altered.to_tar().unwrap()).contains("damaged or altered"));

        let mut poor = layout();
        let layer = poor.its_image().unwrap().manifest.layers[0].digest.clone();
        poor.blobs.remove(&layer);
        assert!(said(&poor.to_tar().unwrap()).contains(&format!("{layer} is missing")));
        assert!(said(&tar::Builder::new(Vec::new()).into_inner().unwrap()).contains("no OCI image layout"));
        assert!(said(&[b'x'; 1024]).contains("no tar file"));
    }
}
