//! Reads a Debian package: an `ar` archive of a compressed control and data tar
//! (deb(5)).

use std::io::Read;

use anyhow::{Context, Result, bail};
use object::read::archive::ArchiveFile;

use super::tree::{Node, Tree};

/// What a package holds.
#[derive(Debug)]
pub struct Deb {
    /// The paragraph that describes it, as dpkg keeps it.
    pub control: String,
    pub files: Tree,
}

impl Deb {
    /// Reads a package, and of its files those that `wanted` says.
    ///
    /// # Errors
    /// It is not a package as Debian makes them.
    pub fn read(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let control = unpack(bytes, "control.tar", |path| path == "control")?;
        let control = match control.get("control").map(|entry| &entry.node) {
            Some(Node::File(text)) => String::from_utf8(text.clone()).context("its control file is not UTF-8")?,
            _ => bail!("it has no control file"),
        };
        Ok(Self { control, files: unpack(bytes, "data.tar", wanted)? })
    }
}

fn unpack(bytes: &[u8], part: &str, wanted: impl Fn(&str) -> bool) -> Result<Tree> {
    let archive = ArchiveFile::parse(bytes).context("it is no ar archive")?;
    for member in archive.members() {
        let member = member.context("its ar archive is damaged")?;
        let name = String::from_utf8_lossy(member.name());
        let Some(compression) = name.strip_prefix(part) else { continue };
        let data = member.data(bytes).context("its ar archive is cut short")?;
        let reader: Box<dyn Read + '_> = match compression {
            "" => Box::new(data),
            ".xz" => Box::new(lzma_rust2::XzReader::new(data, true)),
            ".zst" => Box::new(zstd::Decoder::new(data)?),
            _ => bail!("its {name} is compressed in a way that is not read here; xz, zst and none are"),
        };
        return read_tar(reader, &wanted).with_context(|| format!("its {name}"));
    }
    bail!("it has no {part}")
}

fn read_tar(reader: impl Read, wanted: &impl Fn(&str) -> bool) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = clean(&String::from_utf8_lossy(&entry.path_bytes()))?;
        if !wanted(&path) {
            continue;
        }
        let mode = entry.header().mode()? & 0o777;
        let kind = entry.header().entry_type();
        let target = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
        let node = match (kind, target) {
            (tar::EntryType::Regular, _) => {
                let mut contents = Vec::new();
                entry.read_to_end(&mut contents)?;
                Node::File(contents)
            }
            (tar::EntryType::Symlink, Some(target)) => Node::Link(target),
            (tar::EntryType::Link, Some(target)) => match tree.get(&clean(&target)?) {
                Some(first) => first.node.clone(),
                None => bail!("{path} is a second name of {target}, which is not taken from the package"),
            },
            // Directories come with what is in them.
            _ => continue,
        };
        tree.put(&path, mode, node);
    }
    Ok(tree)
}

/// A path as a [`Tree`] has it; in packages of before the merger of `/usr`, `lib` is
/// where `usr/lib` is now.
fn clean(path: &str) -> Result<String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        bail!("{path:?} leads out of the package");
    }
    let merged = parts.first().is_some_and(|first| first.starts_with("lib") || *first == "bin" || *first == "sbin");
    Ok(if merged { format!("usr/{}", parts.join("/")) } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Deb, Node};

    fn tar(files: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, contents) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(u64::try_from(contents.len()).unwrap());
            header.set_mode(0o644);
            builder.append_data(&mut header, path, contents.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = b"!<arch>\n".to_vec();
        for (name, contents) in members {
            write!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", contents.len()).unwrap();
            bytes.extend_from_slice(contents);
            if contents.len() % 2 == 1 {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn every_compression_of_debian_gives_the_same_files() {
        let control = tar(&[("./control", "Package: libc6\n")]);
        let data = tar(&[("./usr/lib/libc.so.6", "library"), ("./lib/ld.so", "loader"), ("./usr/bin/tool", "no")]);
        let zst = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
        for (suffix, control, data) in
            [(".xz", xz(&control), xz(&data)), (".zst", zst(&control), zst(&data)), ("", control, data)]
        {
            let package = ar(&[
                ("debian-binary", b"2.0\n"),
                (&format!("control.tar{suffix}"), &control),
                (&format!("data.tar{suffix}"), &data),
            ]);
            let deb = Deb::read(&package, |path| !path.ends_with("tool")).unwrap();
            assert_eq!(deb.control, "Package: libc6\n");
            let files: Vec<&str> = deb
                .files
                .iter()
                .filter(|(_, entry)| matches!(entry.node, Node::File(_)))
                .map(|(path, _)| path)
                .collect();
            assert_eq!(files, ["usr/lib/ld.so", "usr/lib/libc.so.6"], "{suffix}");
        }
    }

    #[test]
    fn what_is_no_package_is_said() {
        let said = |bytes: &[u8]| format!("{:#}", Deb::read(bytes, |_| true).unwrap_err());
        assert!(said(b"<html>").contains("no ar archive"));
        assert!(said(&ar(&[("debian-binary", b"2.0\n")])).contains("no control.tar"));
        assert!(said(&ar(&[("control.tar.gz", b"")])).contains("xz, zst and none are"));
    }
}
