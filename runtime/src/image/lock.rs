//! Which Debian packages the root is made from: name, version and digest of each.

use anyhow::{Context, Result, bail};

use super::elf::Architecture;

/// What this release was tested with.
const COMPILED_IN: &str = include_str!("packages.lock");

/// The packages of one architecture, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// Code name of the Debian release, such as `trixie`.
    pub suite: String,
    /// When the packages were pinned, as snapshot.debian.org writes it.
    pub snapshot: String,
    pub packages: Vec<Package>,
}

/// A pinned package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    pub name: String,
    pub version: String,
    /// `debian` or `debian-security`.
    pub archive: String,
    /// Path below the archive.
    pub path: String,
    pub size: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
}

impl Lock {
    /// # Errors
    /// As for [`Lock::parse`].
    pub fn compiled_in(architecture: Architecture) -> Result<Self> {
        Self::parse(COMPILED_IN, architecture).context("packages.lock of this release")
    }

    /// # Errors
    /// A line is not as it should be, or there is no package for the architecture.
    pub fn parse(text: &str, architecture: Architecture) -> Result<Self> {
        let mut lock = Self { suite: String::new(), snapshot: String::new(), packages: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["suite", suite] => lock.suite = (*suite).to_owned(),
                ["snapshot", moment] => lock.snapshot = (*moment).to_owned(),
                ["package", of, name, version, archive, path, size, sha256] => {
                    let package = Package {
                        name: (*name).to_owned(),
                        version: (*version).to_owned(),
                        archive: (*archive).to_owned(),
                        path: (*path).to_owned(),
                        size: size
                            .parse()
                            .with_context(|| format!("line {line_number}: {size:?} is no size in bytes"))?,
                        sha256: (*sha256).to_owned(),
                    };
                    package.check().with_context(|| format!("line {line_number}"))?;
                    if *of == architecture.debian() {
                        lock.packages.push(package);
                    }
                }
                _ => bail!(
                    "line {line_number} is neither `suite NAME`, `snapshot TIME` nor `package ARCHITECTURE NAME VERSION \
                     ARCHIVE PATH SIZE SHA256`"
                ),
            }
        }
        if lock.packages.is_empty() {
            bail!("it pins no package for {}; `scripts/image-packages` writes one", architecture.debian());
        }
        Ok(lock)
    }
}

impl Package {
    fn check(&self) -> Result<()> {
        let plain = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.~:_".contains(&byte))
        };
        if !plain(&self.name) || !plain(&self.version) || self.name.starts_with('.') {
            bail!("{:?} in version {:?} is no Debian package", self.name, self.version);
        }
        if self.archive != "debian" && self.archive != "debian-security" {
            bail!("{:?} is no archive; write debian or debian-security", self.archive);
        }
        if self.path.split('/').any(|part| !plain(part) || part == "..") {
            bail!("{:?} is no path below an archive", self.path);
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            bail!("{:?} is no SHA-256 in lower-case hexadecimal", self.sha256);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Architecture, Lock};

    #[test]
    fn this_release_pins_the_same_packages_for_both_architectures() {
        let names = |architecture| {
            let lock = Lock::compiled_in(architecture).unwrap();
            lock.packages.iter().map(|package| package.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(Architecture::Amd64), names(Architecture::Arm64));
        assert!(names(Architecture::Amd64).iter().any(|name| name == "libc6"));
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let digest = "0".repeat(64);
        for (line, said) in [
            ("package amd64 libc6 2.41".to_owned(), "line 2 is neither"),
            (format!("package amd64 libc6 2.41 debian pool/../../etc 1 {digest}"), "no path below an archive"),
            (format!("package amd64 libc6 2.41 debian pool/a.deb many {digest}"), "no size in bytes"),
            (format!("package amd64 libc6 2.41 ubuntu pool/a.deb 1 {digest}"), "no archive"),
            ("package amd64 libc6 2.41 debian pool/a.deb 1 abc".to_owned(), "no SHA-256"),
            (format!("package arm64 libc6 2.41 debian pool/a.deb 1 {digest}"), "no package for amd64"),
        ] {
            let error = Lock::parse(&format!("suite trixie\n{line}\n"), Architecture::Amd64).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{line}: {error:#}");
        }
    }
}
