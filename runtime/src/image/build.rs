//! `falaj image build`.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use oci_client::Reference;
use serde_json::{Value, json};

use super::contents::{Contents, Part};
use super::elf::Binary;
use super::layer::Layer;
use super::layout::Layout;
use super::lock::Lock;
use super::mirror::Source;
use super::tree::{Node, Tree};
use super::{provenance, root, sbom};
use crate::sha256_hex;

const PROGRAM: &str = "usr/bin/falaj";
const LIBRARY_DIR: &str = "usr/lib/falaj";
const LICENSE: &str = include_str!("../../../LICENSE");

/// Notices that travel with ONNX Runtime when they lie beside it, and what they are
/// called in the image.
const NOTICES: [(&str, &str); 2] = [
    ("onnxruntime-LICENSE", "usr/share/doc/onnxruntime/copyright"),
    ("onnxruntime-ThirdPartyNotices.txt", "usr/share/doc/onnxruntime/ThirdPartyNotices.txt"),
];

/// Arguments of `falaj image build`.
#[derive(Debug, Clone, clap::Args)]
pub struct Build {
    /// The tar file to write, an OCI image layout.
    #[arg(long, value_name = "FILE", default_value = "falaj-image.tar")]
    pub output: PathBuf,
    /// The ONNX Runtime library [default: the one beside the program].
    #[arg(long, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
    /// The program to pack, as a release for Linux holds it [default: this very program].
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// What container engines call the image once they import it.
    #[arg(long, value_name = "NAME:TAG", default_value = concat!("localhost/falaj:", env!("CARGO_PKG_VERSION")))]
    pub name: String,
    /// Debian packages to make the root from, in place of those that this release pins.
    #[arg(long, value_name = "FILE")]
    pub packages: Option<PathBuf>,
    /// Time of change of every file and of the image, in seconds of Unix time.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS", default_value_t = 0)]
    pub time: u64,
    #[command(flatten)]
    pub source: Source,
}

/// An image that was written.
#[derive(Debug)]
pub struct Built {
    pub output: PathBuf,
    /// Without its tag.
    pub name: String,
    /// `sha256:` of the image's manifest.
    pub digest: String,
    /// What each layer is, its size as it is moved, and unpacked.
    pub layers: Vec<(&'static str, usize, usize)>,
}

impl Built {
    /// The image by digest.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: usize| format!("{:.1} MB", bytes as f64 / 1e6);
        for (what, packed, unpacked) in &self.layers {
            writeln!(f, "{what:<16} {:>9}, unpacked {:>9}", megabytes(*packed), megabytes(*unpacked))?;
        }
        let (packed, unpacked) = self.layers.iter().fold((0, 0), |(p, u), layer| (p + layer.1, u + layer.2));
        writeln!(f, "{:<16} {:>9}, unpacked {:>9}", "together", megabytes(packed), megabytes(unpacked))?;
        writeln!(f, "written to {}", self.output.display())
    }
}

impl Build {
    /// Builds the image and writes it.
    ///
    /// # Errors
    /// Something that goes into it cannot be had, or does not fit the rest.
    pub async fn run(&self) -> Result<Built> {
        let (name, tag) = self.split_name()?;
        let path = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("this program cannot find its own file")?,
        };
        let program = Binary::read(&path)?;
        let library_path = self.library(&path)?;
        let library = Binary::read(&library_path).context("ONNX Runtime")?;
        let lock = match &self.packages {
            Some(file) => std::fs::read_to_string(file)
                .map_err(anyhow::Error::new)
                .and_then(|text| Lock::parse(&text, program.architecture))
                .with_context(|| format!("{}", file.display()))?,
            None => Lock::compiled_in(program.architecture)?,
        };
        let packages = self.source.fetch(&lock).await?;
        let packages: Vec<_> = lock.packages.iter().zip(packages).collect();
        let base = root::make(program.architecture, &packages)?;
        root::check_links(&path.display().to_string(), &program, &base, program.architecture)?;
        root::check_links(&library_path.display().to_string(), &library, &base, program.architecture)?;

        let (library_tree, library_part, notices) = library_layer(&library_path, &library)?;
        let stripped = program.stripped().with_context(|| format!("{}", path.display()))?;
        let program_part = part(PROGRAM, &program.bytes, &stripped);
        let mut program_tree = Tree::default();
        program_tree.put(PROGRAM, 0o755, Node::File(stripped));
        program_tree.file("usr/share/doc/falaj/copyright", LICENSE);

        let contents = Contents {
            architecture: program.architecture,
            lock: &lock,
            version: falaj_api::version(),
            library_version: library_version(&library_part.path),
            program: program_part,
            library: library_part,
            notices,
            created: self.created()?,
        };
        let named = [("Debian packages", base), ("ONNX Runtime", library_tree), ("falaj", program_tree)];
        let (sizes, layers): (Vec<_>, Vec<_>) = named
            .into_iter()
            .map(|(what, tree)| {
                let layer = Layer::pack(&tree, self.time)?;
                Ok(((what, layer.bytes.len(), layer.unpacked), layer))
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        let config = config(&contents, &layers);
        let mut layout = Layout::image(layers, &config, &self.name, &tag)?;
        let digest = layout.its_image()?.entry.digest.clone();
        let sha256 = digest.trim_start_matches("sha256:");
        let bill = sbom::document(&contents, &name, sha256)?;
        let statement = provenance::statement(&contents, &name, sha256);
        layout.attach(sbom::MEDIA_TYPE, &bill)?;
        layout.attach(provenance::MEDIA_TYPE, &statement)?;
        write_whole(&self.output, &layout.to_tar()?)
            .with_context(|| format!("{} cannot be written", self.output.display()))?;
        Ok(Built { output: self.output.clone(), name, digest, layers: sizes })
    }

    fn split_name(&self) -> Result<(String, String)> {
        let reference: Reference = self.name.parse().with_context(|| {
            format!("{:?} is no name for an image; write one such as localhost/falaj:1.0", self.name)
        })?;
        let tagged = self.name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        match reference.tag() {
            Some(tag) if tagged && reference.digest().is_none() => {
                let name = self.name.strip_suffix(&format!(":{tag}")).unwrap_or(&self.name);
                Ok((name.to_owned(), tag.to_owned()))
            }
            _ => bail!("{:?} is no name with a tag; write one such as {}:1.0", self.name, self.name),
        }
    }

    fn created(&self) -> Result<String> {
        let seconds = i64::try_from(self.time).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(seconds.with_context(|| format!("{} is no moment in seconds of Unix time", self.time))?.to_string())
    }

    /// The ONNX Runtime library that was named, or lies beside the program.
    fn library(&self, program: &Path) -> Result<PathBuf> {
        if let Some(library) = &self.onnxruntime {
            return library
                .canonicalize()
                .with_context(|| format!("ONNX Runtime: {} cannot be read", library.display()));
        }
        let beside = program.parent().unwrap_or(Path::new("."));
        let names = std::fs::read_dir(beside).with_context(|| format!("{} cannot be read", beside.display()))?;
        let found = names
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| library_version(&path.display().to_string()).is_some());
        found.max().with_context(|| {
            format!(
                "there is no ONNX Runtime library (libonnxruntime.so.VERSION) in {}; a release has it beside the \
                 program, and --onnxruntime names one that lies elsewhere",
                beside.display()
            )
        })
    }
}

fn library_layer(path: &Path, library: &Binary) -> Result<(Tree, Part, Vec<Part>)> {
    let file = path.file_name().and_then(|name| name.to_str());
    let file = file.with_context(|| format!("{} has no name in UTF-8", path.display()))?;
    let mut tree = Tree::default();
    let inside = format!("{LIBRARY_DIR}/{file}");
    let stripped = library.stripped().with_context(|| format!("{}", path.display()))?;
    let library = part(&inside, &library.bytes, &stripped);
    tree.put(&inside, 0o755, Node::File(stripped));
    let mut notices = Vec::new();
    for (beside, inside) in NOTICES {
        let notice = path.with_file_name(beside);
        match std::fs::read(&notice) {
            Ok(text) => {
                notices.push(part(inside, &text, &text));
                tree.file(inside, text);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => eprintln!(
                "warning: {} is not there; who hands the image on must add ONNX Runtime's licence and notices",
                notice.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", notice.display())),
        }
    }
    Ok((tree, library, notices))
}

fn part(path: &str, given: &[u8], packed: &[u8]) -> Part {
    Part { path: format!("/{path}"), given_sha256: sha256_hex(given), packed_sha256: sha256_hex(packed) }
}

/// The release in the file name of an ONNX Runtime library.
fn library_version(path: &str) -> Option<String> {
    let version = path.rsplit('/').next()?.strip_prefix("libonnxruntime.so.")?;
    let plain = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| version.to_owned())
}

fn config(contents: &Contents, layers: &[Layer]) -> Value {
    let history = ["Debian packages", "ONNX Runtime", "falaj"];
    json!({
        "created": contents.created,
        "architecture": contents.architecture.debian(),
        "os": "linux",
        "config": {
            "User": format!("{0}:{0}", root::USER),
            "Entrypoint": [format!("/{PROGRAM}")],
            "Env": ["PATH=/usr/bin", format!("ORT_DYLIB_PATH={}", contents.library.path)],
            "WorkingDir": "/var/lib/falaj",
            "Labels": {
                "org.opencontainers.image.title": "falaj",
                "org.opencontainers.image.description": "Falaj's runtime: control plane, serving and training",
                "org.opencontainers.image.version": contents.version,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
                "org.opencontainers.image.created": contents.created,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>()},
        "history": history.map(|what| json!({"created": contents.created, "created_by": "falaj image build", "comment": what})),
    })
}

/// Writes whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(format!(".{}", uuid::Uuid::new_v4()));
    let half = PathBuf::from(half);
    std::fs::write(&half, bytes).and_then(|()| std::fs::rename(&half, path)).inspect_err(|_| {
        let _ = std::fs::remove_file(&half);
    })
}
