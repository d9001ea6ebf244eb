//! The world of the provider: a directory with a file for each object.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tfplugin::{Diagnostic, Diagnostics};

/// Objects by type and name, outside of any state.
pub struct Store {
    directory: PathBuf,
}

impl Store {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    fn file(&self, kind: &str, name: &str) -> PathBuf {
        self.directory.join(format!("{kind}.{name}.json"))
    }

    /// The text of an object; `None` if there is none.
    pub fn get(&self, kind: &str, name: &str) -> Result<Option<String>, Diagnostics> {
        let file = self.file(kind, name);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &file, &error)),
        }
    }

    pub fn put(&self, kind: &str, name: &str, text: &str) -> Result<(), Diagnostics> {
        let file = self.file(kind, name);
        fs::write(&file, text).map_err(|error| failed("write", &file, &error))
    }

    pub fn remove(&self, kind: &str, name: &str) -> Result<(), Diagnostics> {
        let file = self.file(kind, name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &file, &error)),
            _ => Ok(()),
        }
    }

    /// The names of the objects of a type, in order.
    pub fn names(&self, kind: &str) -> Result<Vec<String>, Diagnostics> {
        let entries = fs::read_dir(&self.directory).map_err(|error| failed("list", &self.directory, &error))?;
        let files = entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok());
        let name = |file: String| Some(file.strip_prefix(kind)?.strip_prefix('.')?.strip_suffix(".json")?.to_owned());
        let mut names: Vec<String> = files.filter_map(name).collect();
        names.sort();
        Ok(names)
    }
}

fn failed(action: &str, path: &Path, error: &io::Error) -> Diagnostics {
    Diagnostic::error(format!("Cannot {action} the object")).detail(format!("{}: {error}", path.display())).into()
}
