//! What an ELF file says of itself, and the file without what only a debugger reads.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::build::elf::{Builder, Dynamic, SectionData, VersionData};
use object::elf;

/// Processors that there is an image for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// As Debian and OCI call it.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Directory of its libraries below `/usr/lib`.
    #[must_use]
    pub fn triplet(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }
}

/// A program or library that goes into the image.
#[derive(Debug)]
pub struct Binary {
    pub architecture: Architecture,
    pub bytes: Vec<u8>,
    /// Libraries it is linked with.
    pub needed: Vec<String>,
    /// Versions of symbols it needs, such as `GLIBC_2.34`.
    pub requires: BTreeSet<String>,
    /// Versions of symbols it offers.
    pub defines: BTreeSet<String>,
}

impl Binary {
    /// # Errors
    /// The file cannot be read, or is not for Linux on a processor we know.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(bytes).with_context(|| format!("{}", path.display()))
    }

    /// # Errors
    /// As for [`Binary::read`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let builder = match object::FileKind::parse(bytes.as_slice()) {
            Ok(object::FileKind::Elf64) => Builder::read(bytes.as_slice()).context("its ELF structure is damaged")?,
            _ => bail!("it is no 64-bit program of Linux (ELF); an image holds the release for Linux"),
        };
        let architecture = match builder.header.e_machine {
            elf::EM_X86_64 => Architecture::Amd64,
            elf::EM_AARCH64 => Architecture::Arm64,
            other => bail!("it is for the ELF machine {other}; there are images for x86-64 and aarch64"),
        };
        let needed = builder.dynamic_data().unwrap_or_default().iter().filter_map(|entry| match entry {
            Dynamic::String { tag, val } if *tag == elf::DT_NEEDED => Some(val.to_string()),
            _ => None,
        });
        let needed = needed.collect();
        let (mut requires, mut defines) = (BTreeSet::new(), BTreeSet::new());
        for version in &builder.versions {
            match &version.data {
                VersionData::Def(def) => defines.extend(def.names.first().map(ToString::to_string)),
                VersionData::Need(need) => drop(requires.insert(need.name.to_string())),
            }
        }
        drop(builder);
        Ok(Self { architecture, bytes, needed, requires, defines })
    }

    /// The file without symbol table and debugging information; a file that has none
    /// stays as it is, byte for byte.
    ///
    /// # Errors
    /// It cannot be written anew.
    pub fn stripped(&self) -> Result<Vec<u8>> {
        let mut builder = Builder::read(self.bytes.as_slice())?;
        let mut found = false;
        for section in &mut builder.sections {
            let debugging = !section.is_alloc()
                && (matches!(
                    section.data,
                    SectionData::Symbol | SectionData::String | SectionData::SymbolSectionIndex
                ) || section.name.starts_with(b".debug_"));
            section.delete |= debugging;
            found |= debugging;
        }
        if !found {
            return Ok(self.bytes.clone());
        }
        for symbol in &mut builder.symbols {
            symbol.delete = true;
        }
        let mut stripped = Vec::new();
        builder.write(&mut stripped).context("it cannot be stripped")?;
        Ok(stripped)
    }
}

#[cfg(test)]
mod tests {
    use super::{Architecture, Binary};

    #[test]
    fn this_test_loses_its_symbols_and_keeps_what_it_is_linked_with() {
        let before = Binary::read(&std::env::current_exe().unwrap()).unwrap();
        let stripped = before.stripped().unwrap();
        assert!(stripped.len() < before.bytes.len());
        assert_eq!(stripped, before.stripped().unwrap());

        let after = Binary::parse(stripped.clone()).unwrap();
        assert_eq!((&after.needed, &after.requires), (&before.needed, &before.requires));
        assert!(after.needed.iter().any(|library| library == "libc.so.6"), "{:?}", after.needed);
        assert_eq!(after.stripped().unwrap(), stripped, "what has no symbols stays as it is");

        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("stripped");
        std::fs::write(&program, &stripped).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let told = std::process::Command::new(&program).arg("--list").output().unwrap();
        assert!(String::from_utf8_lossy(&told.stdout).contains("loses_its_symbols"), "it runs: {told:?}");
    }

    #[test]
    fn what_is_no_program_of_linux_is_refused() {
        let said = Binary::parse(b"MZ".to_vec()).unwrap_err().to_string();
        assert!(said.contains("no 64-bit program of Linux"), "{said}");
        let native = if cfg!(target_arch = "x86_64") { Architecture::Amd64 } else { Architecture::Arm64 };
        assert_eq!(Binary::read(&std::env::current_exe().unwrap()).unwrap().architecture, native);
    }
}
