//! The source of a feature store: a file that is uploaded, or one that the
//! runtime reads itself.

use std::path::PathBuf;

use falaj_api::blob::GetBlobInfo;
use falaj_api::feature_store::{self as api, Location, SourceFormat};
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model, validate};

use crate::attributes::{rules, want};
use crate::cluster::sha256;
use crate::connection::{Connection, Shared};
use crate::errors;

/// Where the rows are: exactly one of these.
#[derive(Model, Debug, Clone)]
pub struct SourceModel {
    /// A Parquet file.
    #[attr(optional)]
    pub parquet: Attr<FileModel>,
    /// A CSV file with a header.
    #[attr(optional)]
    pub csv: Attr<FileModel>,
}

/// A file with an entity, times and values in each row: exactly one of `path` and `uri`.
#[derive(Model, Debug, Clone)]
pub struct FileModel {
    /// File on the machine that runs Terraform, uploaded sealed.
    #[attr(optional, validate = [validate::not_empty()])]
    pub path: Attr<String>,
    /// File that the runtime reads itself, `file:///absolute/path`. Not in this release: give `path`.
    #[attr(optional, validate = [rules::source_uri()])]
    pub uri: Attr<String>,
    /// Column that says when a row became true.
    #[attr(required, validate = [validate::not_empty()])]
    pub event_time: Attr<String>,
    /// Column that says when a row became known, so that training sees only what was known by then.
    #[attr(optional, validate = [validate::not_empty()])]
    pub created_time: Attr<String>,
}

/// The one source that is declared, and its format.
fn declared(source: &Attr<SourceModel>) -> Option<(SourceFormat, &'static str, &FileModel)> {
    let source = source.known()?;
    let parquet = source.parquet.known().map(|file| (SourceFormat::Parquet, "parquet", file));
    parquet.or_else(|| source.csv.known().map(|file| (SourceFormat::Csv, "csv", file)))
}

fn declared_mut(source: &mut Attr<SourceModel>) -> Option<&mut FileModel> {
    let source = source.known_mut()?;
    match source.parquet.is_known() {
        true => source.parquet.known_mut(),
        false => source.csv.known_mut(),
    }
}

fn file_path(format: &'static str) -> AttributePath {
    AttributePath::root("source").attribute(format)
}

/// Checks what is known of a source by itself.
pub fn check(declaration: &Attr<SourceModel>) -> Diagnostics {
    let mut problems = Diagnostics::new();
    let Some(source) = declaration.known() else { return problems };
    let path = AttributePath::root("source");
    match (&source.parquet, &source.csv) {
        (Attr::Null, Attr::Null) => problems.error_at(
            path,
            "A source without a format",
            "Write exactly one of parquet = { ... } and csv = { ... }.",
        ),
        (Attr::Known(_), Attr::Known(_)) => {
            problems.error_at(path, "A source of two formats", "Keep one of `parquet` and `csv`.");
        }
        _ => {}
    }
    if let Some((_, format, file)) = declared(declaration) {
        match (&file.path, &file.uri) {
            (Attr::Null, Attr::Null) => problems.error_at(
                file_path(format),
                "A source that is nowhere",
                "Write exactly one of `path` (a file here, to be uploaded) and `uri` (what the runtime reads itself).",
            ),
            (Attr::Known(_), Attr::Known(_)) => {
                problems.error_at(file_path(format), "A source in two places", "Keep one of `path` and `uri`.");
            }
            (Attr::Null, Attr::Known(_)) => problems.error_at(
                file_path(format).attribute("uri"),
                "A source that the runtime would have to read",
                "The runtime of this release is given its sources: write `path`, and the file is uploaded.",
            ),
            _ => {}
        }
    }
    problems
}

/// The digest of the file that is to be uploaded; null where the runtime reads
/// the source itself. The same bytes under another path are no change: a
/// checkout elsewhere, a renamed file.
pub async fn plan(
    before: Option<(&Attr<SourceModel>, &Attr<String>)>,
    planned: &mut Attr<SourceModel>,
) -> Result<Attr<String>, Diagnostic> {
    let digest = match declared(planned) {
        Some((_, format, FileModel { path: Attr::Known(path), .. })) => digest(path.clone(), format).await?.into(),
        Some((_, _, FileModel { uri: Attr::Known(_), .. })) => Attr::Null,
        _ => Attr::unknown(),
    };
    if let Some((source, before)) = before
        && before.is_known()
        && *before == digest
        && let Some((_, _, FileModel { path: path @ Attr::Known(_), .. })) = declared(source)
        && let Some(file) = declared_mut(planned)
    {
        file.path = path.clone();
    }
    Ok(digest)
}

/// Uploads the file, unless its bytes are there already.
pub async fn upload(
    shared: &Shared,
    connection: &Connection,
    workspace: &str,
    source: &Attr<SourceModel>,
    digest: &Attr<String>,
) -> Result<(), Diagnostics> {
    let Some((_, format, FileModel { path: Attr::Known(path), .. })) = declared(source) else {
        return Ok(());
    };
    let digest = want(digest, "source_digest")?.clone();
    let what = format!("the source {path}");
    let info = GetBlobInfo { workspace: workspace.to_owned(), digest: digest.clone() };
    let info = shared.call(connection, &info).await;
    if info.map_err(|error| errors::diagnostic(&error, &what, &[]))?.present {
        return Ok(());
    }
    let bytes = tokio::fs::read(path).await.map_err(|error| unreadable(path, format, &error))?;
    tracing::info!(path, bytes = bytes.len(), "uploading the source");
    shared.upload(connection, workspace, &digest, &bytes).await.map_err(|error| {
        let diagnostic = errors::diagnostic(&error, &what, &[]);
        let detail = format!("{} If the file changed since the plan, plan again.", diagnostic.detail);
        diagnostic.detail(detail).at(file_path(format).attribute("path"))
    })?;
    Ok(())
}

async fn digest(path: String, format: &'static str) -> Result<String, Diagnostic> {
    let file = PathBuf::from(&path);
    let hashed = tokio::task::spawn_blocking(move || sha256(&file)).await;
    match hashed {
        Ok(Ok(digest)) => Ok(digest),
        Ok(Err(error)) => Err(unreadable(&path, format, &error)),
        Err(_) => Err(Diagnostic::error("Reading the source was interrupted").at(file_path(format).attribute("path"))),
    }
}

fn unreadable(path: &str, format: &'static str, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("The source cannot be read")
        .detail(format!(
            "{path}: {error}. `path` is a file on this machine, from where Terraform runs: write \"${{path.module}}/...\" for one beside the configuration."
        ))
        .at(file_path(format).attribute("path"))
}

/// The source of the contract.
pub fn spec(source: &Attr<SourceModel>, digest: &Attr<String>) -> Result<api::Source, Diagnostics> {
    let missing = || Diagnostic::error("A source without a format").at("source");
    let (format, name, file) = declared(source).ok_or_else(missing)?;
    let location = match (&file.uri, digest) {
        (Attr::Known(uri), _) => Location::Uri { uri: uri.clone() },
        (_, digest) => Location::Upload { digest: want(digest, "source_digest")?.clone() },
    };
    Ok(api::Source {
        format,
        location,
        event_time: want(&file.event_time, file_path(name).attribute("event_time"))?.clone(),
        created_time: file.created_time.known().cloned(),
    })
}

/// The source on record, and its digest. From where an uploaded file came,
/// nobody remembers but the state.
pub fn declare(before: &Attr<SourceModel>, source: &api::Source) -> (Attr<SourceModel>, Attr<String>) {
    let before = declared(before).and_then(|(_, _, file)| file.path.known().cloned());
    let (path, uri, digest) = match &source.location {
        Location::Upload { digest } => (before, None, Some(digest.clone())),
        Location::Uri { uri } => (None, Some(uri.clone()), None),
    };
    let file = FileModel {
        path: path.into(),
        uri: uri.into(),
        event_time: source.event_time.clone().into(),
        created_time: source.created_time.clone().into(),
    };
    let (parquet, csv) = match source.format {
        SourceFormat::Parquet => (Attr::Known(file), Attr::Null),
        SourceFormat::Csv => (Attr::Null, Attr::Known(file)),
    };
    (Attr::Known(SourceModel { parquet, csv }), digest.into())
}
