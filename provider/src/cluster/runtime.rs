//! The files that a local cluster's runtime is made of, copied into its data
//! directory so that an upgrade of the provider changes nothing that runs.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::LocalError;

const BIN_DIR: &str = "bin";
const CURRENT_FILE: &str = "bin/current.json";
const PROGRAM: &str = "falaj";

/// A runtime as it came with the provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    program: PathBuf,
    onnxruntime: Option<PathBuf>,
}

/// Which of the copies in `bin/` is the cluster's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    /// Of the bundle, and name of its folder.
    pub digest: String,
    /// Release of the provider it came with.
    pub version: String,
    /// File name of the ONNX Runtime library, if there is one.
    pub onnxruntime: Option<String>,
}

impl Bundle {
    /// Finds the runtime: where `FALAJ_RUNTIME` and `ORT_DYLIB_PATH` say, else
    /// beside the provider, else (for its developers) in the checkout.
    pub fn find() -> Result<Self, LocalError> {
        let provider =
            std::env::current_exe().map_err(|source| LocalError::io("find the provider's own program", source))?;
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self::search(&provider, variable("FALAJ_RUNTIME"), variable("ORT_DYLIB_PATH"))
    }

    fn search(provider: &Path, program: Option<PathBuf>, library: Option<PathBuf>) -> Result<Self, LocalError> {
        let beside = provider.parent().unwrap_or(Path::new("."));
        let program = program.unwrap_or_else(|| beside.join(PROGRAM));
        if !program.is_file() {
            return Err(LocalError::NoRuntime { path: program });
        }
        let in_checkout =
            || provider.ancestors().find_map(|folder| library_below(&folder.join(".cache/tools/onnxruntime"), 6));
        let onnxruntime = library.or_else(|| library_in(beside)).or_else(in_checkout);
        Ok(Self { program, onnxruntime })
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.program).chain(&self.onnxruntime)
    }

    fn digest(&self) -> io::Result<String> {
        let mut context = Context::new(&SHA256);
        for file in self.files() {
            hash(file, &mut context)?;
        }
        Ok(hex::encode(context.finish()))
    }

    /// Copies the bundle into the data directory and makes it the cluster's.
    pub fn install(&self, dir: &Path) -> Result<Installed, LocalError> {
        let failed = |source| LocalError::io(format!("copy the runtime into {}", dir.join(BIN_DIR).display()), source);
        let digest = self.digest().map_err(failed)?;
        let onnxruntime = self.onnxruntime.as_ref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
        let installed =
            Installed { digest, version: falaj_api::version().to_owned(), onnxruntime: onnxruntime.map(str::to_owned) };
        if current(dir)?.as_ref() == Some(&installed) && installed.program(dir).is_file() {
            return Ok(installed);
        }
        let bin = dir.join(BIN_DIR);
        make_private_dir(&bin).map_err(failed)?;
        let folder = bin.join(&installed.digest);
        if !folder.is_dir() {
            let half = bin.join(format!(".{}", uuid::Uuid::new_v4()));
            make_private_dir(&half).map_err(failed)?;
            let copied =
                fs::copy(&self.program, half.join(PROGRAM)).and_then(|_| match (&self.onnxruntime, onnxruntime) {
                    (Some(library), Some(name)) => fs::copy(library, half.join(name)).map(|_| ()),
                    _ => Ok(()),
                });
            if let Err(error) = copied.and_then(|()| fs::rename(&half, &folder)) {
                let _ = fs::remove_dir_all(&half);
                return Err(failed(error));
            }
        }
        let text = serde_json::to_vec_pretty(&installed).map_err(|error| failed(error.into()))?;
        write_whole(&dir.join(CURRENT_FILE), &text).map_err(failed)?;
        remove_others(&bin, &installed.digest);
        Ok(installed)
    }
}

impl Installed {
    pub fn program(&self, dir: &Path) -> PathBuf {
        dir.join(BIN_DIR).join(&self.digest).join(PROGRAM)
    }

    pub fn onnxruntime(&self, dir: &Path) -> Option<PathBuf> {
        self.onnxruntime.as_ref().map(|name| dir.join(BIN_DIR).join(&self.digest).join(name))
    }
}

/// The cluster's copy, if one was made.
pub fn current(dir: &Path) -> Result<Option<Installed>, LocalError> {
    let path = dir.join(CURRENT_FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| LocalError::io(format!("read {}", path.display()), error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LocalError::io(format!("read {}", path.display()), error)),
    }
}

/// The copies of earlier releases; a running one keeps its open files.
fn remove_others(bin: &Path, keep: &str) {
    let Ok(entries) = fs::read_dir(bin) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name() != keep) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn library_in(folder: &Path) -> Option<PathBuf> {
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && (name.starts_with("libonnxruntime.so") || name == "libonnxruntime.dylib")
    };
    names.filter(is_library).max()
}

fn library_below(folder: &Path, depth: u8) -> Option<PathBuf> {
    library_in(folder).or_else(|| {
        let folders =
            fs::read_dir(folder).ok()?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let next = depth.checked_sub(1)?;
        folders.map(|entry| entry.path()).find_map(|folder| library_below(&folder, next))
    })
}

fn hash(path: &Path, context: &mut Context) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            read => context.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// SHA-256 of a file, lower-case hexadecimal.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut context = Context::new(&SHA256);
    hash(path, &mut context)?;
    Ok(hex::encode(context.finish()))
}

/// A directory, with its parents, that only its owner can enter.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file for its owner only, whole or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let half = folder.join(format!(".{}", uuid::Uuid::new_v4()));
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&half)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&half, path));
    if written.is_err() {
        let _ = fs::remove_file(&half);
    }
    written?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Bundle, current};

    #[test]
    fn the_runtime_beside_the_provider_is_found_and_copied_once() {
        let home = tempfile::tempdir().unwrap();
        let beside = home.path().join("plugins");
        let data = home.path().join("data");
        fs::create_dir_all(&beside).unwrap();
        fs::create_dir_all(&data).unwrap();
        fs::write(beside.join("falaj"), b"program").unwrap();
        fs::write(beside.join("libonnxruntime.so.1.32.0"), b"library").unwrap();

        let bundle = Bundle::search(&beside.join("terraform-provider-falaj"), None, None).unwrap();
        let installed = bundle.install(&data).unwrap();
        assert_eq!(fs::read(installed.program(&data)).unwrap(), b"program");
        assert_eq!(fs::read(installed.onnxruntime(&data).unwrap()).unwrap(), b"library");
        assert_eq!(bundle.install(&data).unwrap(), installed);

        fs::write(beside.join("falaj"), b"newer program").unwrap();
        let newer = bundle.install(&data).unwrap();
        assert_ne!(newer.digest, installed.digest);
        assert_eq!(current(&data).unwrap(), Some(newer));
        assert!(!installed.program(&data).exists(), "the copy of before is removed");
    }

    #[test]
    fn a_provider_without_its_runtime_says_where_it_looked() {
        let home = tempfile::tempdir().unwrap();
        let error = Bundle::search(&home.path().join("terraform-provider-falaj"), None, None).unwrap_err().to_string();
        assert!(error.contains("FALAJ_RUNTIME") && error.contains("falaj"), "{error}");
    }
}
