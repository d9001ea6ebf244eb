//! Packs a tree into a layer: the same tree gives the same bytes.

use std::io::Write;

use anyhow::{Context, Result};
use tar::{EntryType, Header};

use super::tree::{Node, Tree};
use crate::sha256_hex;

pub const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// Beyond this, zstd takes ten times as long for a tenth less.
const LEVEL: i32 = 9;

/// A packed layer.
#[derive(Debug)]
pub struct Layer {
    pub bytes: Vec<u8>,
    /// `sha256:` of the packed bytes.
    pub digest: String,
    /// `sha256:` of the tar before it was compressed.
    pub diff_id: String,
    /// Bytes before compression.
    pub unpacked: usize,
}

impl Layer {
    /// `time` is what every entry gets as its time of change, in seconds of Unix time.
    ///
    /// # Errors
    /// A path cannot stand in a tar archive.
    pub fn pack(tree: &Tree, time: u64) -> Result<Self> {
        let tar = archive(tree, time)?;
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        // The length goes into the frame, so that whoever unpacks can plan.
        encoder.set_pledged_src_size(Some(u64::try_from(tar.len())?))?;
        encoder.include_checksum(true)?;
        encoder.write_all(&tar)?;
        let bytes = encoder.finish()?;
        Ok(Self { digest: digest(&bytes), diff_id: digest(&tar), unpacked: tar.len(), bytes })
    }
}

/// `sha256:` and the digest of these bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}

/// The tree as a tar archive.
///
/// # Errors
/// A path cannot stand in one.
pub fn archive(tree: &Tree, time: u64) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, entry) in tree.iter() {
        let failed = || format!("/{path} cannot be packed");
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.owner.into());
        header.set_gid(entry.owner.into());
        header.set_mtime(time);
        header.set_size(0);
        match &entry.node {
            Node::Directory => {
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, format!("{path}/"), std::io::empty()).with_context(failed)?;
            }
            Node::File(bytes) => {
                header.set_entry_type(EntryType::Regular);
                header.set_size(u64::try_from(bytes.len())?);
                builder.append_data(&mut header, path, bytes.as_slice()).with_context(failed)?;
            }
            Node::Link(target) => {
                header.set_entry_type(EntryType::Symlink);
                builder.append_link(&mut header, path, target).with_context(failed)?;
            }
        }
    }
    Ok(builder.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::{Layer, Node, Tree};

    #[test]
    fn equal_trees_pack_to_equal_bytes_however_they_were_filled() {
        let long = format!("usr/share/{}/copyright", "long".repeat(60));
        let files = [("etc/passwd", "root"), ("usr/bin/falaj", "program"), (long.as_str(), "text")];
        let mut forwards = Tree::default();
        let mut backwards = Tree::default();
        for (path, contents) in files {
            forwards.file(path, contents);
        }
        for (path, contents) in files.iter().rev() {
            backwards.file(path, *contents);
        }
        let layer = Layer::pack(&forwards, 0).unwrap();
        let again = Layer::pack(&backwards, 0).unwrap();
        assert_eq!((&layer.digest, &layer.diff_id), (&again.digest, &again.diff_id));
        assert_ne!(layer.diff_id, Layer::pack(&forwards, 1).unwrap().diff_id);

        let tar = zstd::decode_all(layer.bytes.as_slice()).unwrap();
        assert_eq!(tar.len(), layer.unpacked);
        let mut archive = tar::Archive::new(tar.as_slice());
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .collect();
        assert!(paths.contains(&long) && paths.contains(&"etc/".to_owned()), "{paths:?}");
    }

    #[test]
    fn modes_owners_and_links_are_kept_and_the_time_is_the_given_one() {
        let mut tree = Tree::default();
        tree.put_owned("var/lib/falaj", 0o700, 65532, Node::Directory);
        tree.put("lib", 0o777, Node::Link("usr/lib".to_owned()));
        let layer = Layer::pack(&tree, 1_000_000).unwrap();
        let tar = zstd::decode_all(layer.bytes.as_slice()).unwrap();
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 1_000_000);
            seen.push((
                String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
                header.mode().unwrap(),
                header.uid().unwrap(),
                entry.link_name_bytes().map(|name| String::from_utf8(name.into_owned()).unwrap()),
            ));
        }
        assert!(seen.contains(&("var/lib/falaj/".to_owned(), 0o700, 65532, None)), "{seen:?}");
        assert!(seen.contains(&("lib".to_owned(), 0o777, 0, Some("usr/lib".to_owned()))), "{seen:?}");
    }
}
