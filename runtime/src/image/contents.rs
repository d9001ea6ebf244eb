//! What goes into an image, as its bill of materials and provenance tell it.

use super::elf::Architecture;
use super::lock::Lock;

/// The parts of an image, by digest.
#[derive(Debug)]
pub struct Contents<'a> {
    pub architecture: Architecture,
    pub lock: &'a Lock,
    /// Release of the program.
    pub version: &'a str,
    pub program: Part,
    pub library: Part,
    /// Release of the library, where its file name tells it.
    pub library_version: Option<String>,
    /// Licences and notices, by the path they have in the image.
    pub notices: Vec<Part>,
    /// RFC 3339.
    pub created: String,
}

/// A file that was put in.
#[derive(Debug)]
pub struct Part {
    /// In the image.
    pub path: String,
    /// Of the file that was given, lower-case hexadecimal.
    pub given_sha256: String,
    /// Of the file as it is in the image.
    pub packed_sha256: String,
}

impl Contents<'_> {
    /// Package URL of a Debian package.
    #[must_use]
    pub fn debian_purl(&self, name: &str, version: &str) -> String {
        let architecture = self.architecture.debian();
        let version = version.replace('+', "%2B").replace(':', "%3A");
        let name = name.replace('+', "%2B");
        format!("pkg:deb/debian/{name}@{version}?arch={architecture}&distro={}", self.lock.suite)
    }

    /// Package URL of the program.
    #[must_use]
    pub fn program_purl(&self) -> String {
        format!("pkg:github/falaj/falaj@{}", self.version)
    }

    /// Package URL of the library.
    #[must_use]
    pub fn library_purl(&self) -> String {
        let version = self.library_version.as_ref().map(|version| format!("@v{version}")).unwrap_or_default();
        format!("pkg:github/microsoft/onnxruntime{version}")
    }
}
