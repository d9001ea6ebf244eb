//! Debian packages, a mirror of them, and a program to pack.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use tempfile::TempDir;
use tokio::process::Command;

/// A directory with what an image is built from, and a mirror on loopback.
pub struct Workshop {
    pub home: TempDir,
    pub mirror: Mirror,
}

/// What a command said.
pub struct Said {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Workshop {
    pub async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let release = home.path().join("release");
        std::fs::create_dir_all(&release).unwrap();
        std::fs::write(release.join("falaj"), elf(b"program")).unwrap();
        std::fs::write(release.join("libonnxruntime.so.1.32.0"), elf(b"library")).unwrap();
        std::fs::write(release.join("onnxruntime-LICENSE"), "MIT").unwrap();
        std::fs::write(release.join("onnxruntime-ThirdPartyNotices.txt"), "notices").unwrap();
        let mirror = Mirror::start().await;
        let mut lock = "suite trixie\nsnapshot 20260101T000000Z\n".to_owned();
        for (name, files) in [
            (
                "libc6",
                vec![
                    ("./usr/lib/x86_64-linux-gnu/libc.so.6", "glibc"),
                    ("./usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", "not needed"),
                    ("./usr/share/doc/libc6/copyright", "LGPL"),
                ],
            ),
            (
                "ca-certificates",
                vec![
                    ("./usr/share/ca-certificates/mozilla/B.crt", "second"),
                    ("./usr/share/ca-certificates/mozilla/A.crt", "first\n"),
                ],
            ),
        ] {
            let package = deb(name, &files);
            let path = format!("pool/main/{name}_1_amd64.deb");
            lock +=
                &format!("package amd64 {name} 1 debian {path} {} {}\n", package.len(), falaj::sha256_hex(&package));
            mirror.put(&format!("/debian/{path}"), package);
        }
        std::fs::write(home.path().join("packages.lock"), lock).unwrap();
        Self { home, mirror }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `falaj image build` into a file, with further arguments.
    pub async fn build(&self, output: &str, more: &[&str]) -> Said {
        let mut command = self.falaj();
        command.args(["image", "build", "--program"]).arg(self.path("release/falaj"));
        command.arg("--packages").arg(self.path("packages.lock")).arg("--output").arg(self.path(output));
        command.args(["--mirror", &format!("{}/debian", self.mirror.url)]);
        command.args(["--snapshot", &format!("{}/snapshot", self.mirror.url)]);
        command.args(more);
        run(command).await
    }

    /// `falaj` without the variables of whoever runs the tests.
    pub fn falaj(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_falaj"));
        command.env_clear().env("HOME", self.home.path()).kill_on_drop(true);
        command
    }
}

pub async fn run(mut command: Command) -> Said {
    let told = command.output().await.unwrap();
    Said {
        ok: told.status.success(),
        stdout: String::from_utf8(told.stdout).unwrap().trim().to_owned(),
        stderr: String::from_utf8(told.stderr).unwrap(),
    }
}

/// A web server with files that can be taken away.
pub struct Mirror {
    pub url: String,
    files: Files,
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

impl Mirror {
    async fn start() -> Self {
        let files = Files::default();
        let router = Router::new().fallback(file).with_state(files.clone());
        Self { url: serve(router).await, files }
    }

    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }

    /// Every file gets another place.
    pub fn rename(&self, from: &str, to: &str) {
        let mut files = self.files.lock().unwrap();
        *files = std::mem::take(&mut *files).into_iter().map(|(path, bytes)| (path.replace(from, to), bytes)).collect();
    }

    /// Every file becomes another.
    pub fn alter(&self) {
        self.files.lock().unwrap().values_mut().for_each(|bytes| bytes.push(0));
    }
}

async fn file(State(files): State<Files>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    files.lock().unwrap().get(uri.path()).cloned().ok_or(StatusCode::NOT_FOUND)
}

/// Serves on a free port of loopback for as long as the test runs.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// An executable of x86-64 that is linked with nothing: a header, one loaded segment,
/// and of sections only their names.
fn elf(contents: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.shstrtab\0";
    let size = |bytes: usize| u64::try_from(bytes).unwrap();
    let loaded = size(120 + contents.len());
    let names = size(NAMES.len());
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    let halves =
        |bytes: &mut Vec<u8>, fields: &[u16]| fields.iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    let words = |bytes: &mut Vec<u8>, fields: &[u32]| fields.iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    let longs = |bytes: &mut Vec<u8>, fields: &[u64]| fields.iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    halves(&mut bytes, &[2, 62]);
    words(&mut bytes, &[1]);
    longs(&mut bytes, &[0x40_0078, 64, loaded + names]);
    words(&mut bytes, &[0]);
    halves(&mut bytes, &[64, 56, 1, 64, 2, 1]);
    // The segment.
    words(&mut bytes, &[1, 5]);
    longs(&mut bytes, &[0, 0x40_0000, 0x40_0000, loaded, loaded, 0x1000]);
    bytes.extend_from_slice(contents);
    bytes.extend_from_slice(NAMES);
    // Section 0 is empty; section 1 holds the names.
    bytes.extend_from_slice(&[0; 64]);
    words(&mut bytes, &[1, 3]);
    longs(&mut bytes, &[0, 0, loaded, names]);
    words(&mut bytes, &[0, 0]);
    longs(&mut bytes, &[1, 0]);
    bytes
}

fn deb(name: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let control = format!("Package: {name}\nVersion: 1\n");
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.xz", xz(&tar(&[("./control", &control)]))),
        ("data.tar.xz", xz(&tar(files))),
    ];
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, contents) in members {
        write!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", contents.len()).unwrap();
        bytes.extend_from_slice(&contents);
        if contents.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

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

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// The files of a tar archive.
pub fn untar(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut contents).unwrap();
        files.insert(path, contents);
    }
    files
}

pub fn read_tar(path: &Path) -> BTreeMap<String, Vec<u8>> {
    untar(&std::fs::read(path).unwrap())
}
