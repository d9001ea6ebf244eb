//! The root file system below our own files: libraries, certificates, time zones and
//! licences of Debian packages, and the few files of `/etc` that a process asks for.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::deb::Deb;
use super::elf::{Architecture, Binary};
use super::lock::Package;
use super::tree::{Node, Tree};

/// User and group that the image runs as.
pub const USER: u32 = 65532;

const PASSWD: &str = "root:x:0:0:root:/root:/usr/sbin/nologin\n\
                      falaj:x:65532:65532:falaj:/var/lib/falaj:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nfalaj:x:65532:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n";

/// Where scanners look for the packages of an image without dpkg.
pub const PACKAGES_DIR: &str = "var/lib/dpkg/status.d";

const CERTIFICATES: &str = "usr/share/ca-certificates/mozilla/";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Makes the root from these packages, in the order of their pins.
///
/// # Errors
/// A file is not the package that its pin says.
pub fn make(architecture: Architecture, packages: &[(&Package, Vec<u8>)]) -> Result<Tree> {
    let mut root = Tree::default();
    let mut bundle = Vec::new();
    for (package, bytes) in packages {
        let said = || format!("the package {} {}", package.name, package.version);
        let deb = Deb::read(bytes, |path| is_wanted(path, architecture)).with_context(said)?;
        for (path, entry) in deb.files.iter() {
            match &entry.node {
                Node::Directory => {}
                // What `update-ca-certificates` does when the package is installed.
                Node::File(certificate) if path.starts_with(CERTIFICATES) => {
                    bundle.extend_from_slice(certificate);
                    if !certificate.ends_with(b"\n") {
                        bundle.push(b'\n');
                    }
                }
                node => root.put(path, entry.mode, node.clone()),
            }
        }
        root.file(&format!("{PACKAGES_DIR}/{}", package.name), deb.control);
    }
    if !bundle.is_empty() {
        root.file(BUNDLE, bundle);
    }
    for (path, text) in [("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/nsswitch.conf", NSSWITCH)] {
        root.file(path, text);
    }
    for merged in ["bin", "lib", "lib64", "sbin"] {
        root.put(&format!("usr/{merged}"), 0o755, Node::Directory);
        root.put(merged, 0o777, Node::Link(format!("usr/{merged}")));
    }
    for mounted in ["dev", "proc", "run", "sys"] {
        root.put(mounted, 0o755, Node::Directory);
    }
    root.put("tmp", 0o1777, Node::Directory);
    root.put_owned("var/lib/falaj", 0o700, USER, Node::Directory);
    Ok(root)
}

/// Of a package, what a process opens and what its licence asks to be kept.
fn is_wanted(path: &str, architecture: Architecture) -> bool {
    let library = |folder: &str| {
        let name = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| !name.contains('/') && name.contains(".so"))
    };
    let below = |folder: &str| path.strip_prefix(folder);
    library(&format!("usr/lib/{}", architecture.triplet()))
        || library("usr/lib")
        || library("usr/lib64")
        || below(CERTIFICATES).is_some_and(|name| name.ends_with(".crt"))
        || below("usr/share/zoneinfo/").is_some_and(|zone| !zone.starts_with("right/") && !zone.starts_with("posix/"))
        || below("usr/share/doc/").is_some_and(|doc| doc.ends_with("/copyright") || !doc.contains('/'))
        || below("usr/share/common-licenses/").is_some()
        || matches!(path, "etc/os-release" | "usr/lib/os-release" | "etc/debian_version")
}

/// Checks that a program or library finds what it is linked with, in the root or
/// beside itself.
///
/// # Errors
/// A library, or a version of its symbols, is not in the root.
pub fn check_links(name: &str, binary: &Binary, root: &Tree, architecture: Architecture) -> Result<()> {
    if binary.architecture != architecture {
        bail!(
            "{name} is for {}, the program for {}: both must be of the release for one processor",
            binary.architecture.debian(),
            architecture.debian()
        );
    }
    let mut defined = BTreeSet::new();
    for library in &binary.needed {
        let folders = [format!("usr/lib/{}", architecture.triplet()), "usr/lib64".to_owned(), "usr/lib".to_owned()];
        let Some(bytes) = folders.iter().find_map(|folder| resolve(root, &format!("{folder}/{library}"))) else {
            bail!("{name} is linked with {library}, which no pinned package holds; pin the package that does");
        };
        defined.extend(Binary::parse(bytes.to_vec()).with_context(|| format!("{library} of the packages"))?.defines);
    }
    let missing: Vec<&str> = binary.requires.difference(&defined).map(String::as_str).collect();
    if !missing.is_empty() {
        bail!(
            "{name} needs {} of its libraries, and those of the pinned packages are older; pin those of a newer Debian",
            missing.join(", ")
        );
    }
    Ok(())
}

/// The file at a path, through symbolic links.
fn resolve<'a>(root: &'a Tree, path: &str) -> Option<&'a [u8]> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        match &root.get(&path)?.node {
            Node::File(bytes) => return Some(bytes),
            Node::Directory => return None,
            Node::Link(target) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                path = match target.strip_prefix('/') {
                    Some(absolute) => absolute.to_owned(),
                    None => join(folder, target),
                };
            }
        }
    }
    None
}

fn join(folder: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    let merged = matches!(parts.first(), Some(&"lib" | &"lib64"));
    if merged { format!("usr/{}", parts.join("/")) } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::{Architecture, Node, Tree, is_wanted, resolve};

    #[test]
    fn libraries_zones_and_licences_are_taken_and_nothing_else() {
        for path in [
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            "usr/lib64/ld-linux-x86-64.so.2",
            "usr/share/zoneinfo/Asia/Dubai",
            "usr/share/doc/libc6/copyright",
            "usr/share/doc/libgcc-s1",
            "usr/share/common-licenses/GPL-3",
            "usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt",
        ] {
            assert!(is_wanted(path, Architecture::Amd64), "{path}");
        }
        for path in [
            "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
            "usr/lib/aarch64-linux-gnu/libc.so.6",
            "usr/share/doc/libc6/changelog.Debian.gz",
            "usr/share/zoneinfo/right/Asia/Dubai",
            "usr/bin/ldd",
            "etc/shadow",
        ] {
            assert!(!is_wanted(path, Architecture::Amd64), "{path}");
        }
    }

    #[test]
    fn a_library_is_found_through_links_that_lead_up_and_over_the_merged_directories() {
        let mut root = Tree::default();
        root.file("usr/lib/x86_64-linux-gnu/ld.so", "loader");
        root.put("usr/lib64/a", 0o777, Node::Link("../lib/x86_64-linux-gnu/ld.so".to_owned()));
        root.put("usr/lib64/b", 0o777, Node::Link("/usr/lib64/a".to_owned()));
        root.put("usr/lib64/loop", 0o777, Node::Link("loop".to_owned()));
        assert_eq!(resolve(&root, "usr/lib64/b"), Some(b"loader".as_slice()));
        assert_eq!(resolve(&root, "usr/lib64/loop"), None);
    }
}
