//! A key in a file, for development: whoever can read the file has the key.
//!
//! A wrapped key is `"FKW1" | key id (8) | nonce (12) | AES-256-GCM ciphertext | tag (16)`; the
//! additional data are the first twelve bytes and the canonical context. The key id is the start of
//! a hash of the key, so that "wrapped by another key" can be told from "altered".

use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, rand};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use zeroize::Zeroizing;

use crate::{Context, Custody, DATA_KEY_LEN, DataKey, Description, KeyState, Kms, KmsError, Problem};

const MAGIC: &[u8; 4] = b"FKW1";
const KEY_ID_LEN: usize = 8;
const PREFIX_LEN: usize = MAGIC.len() + KEY_ID_LEN;
/// The most a caller may wrap, as on AWS KMS.
const MAX_WRAP: usize = 4096;

/// A key file. The file is read again for every call: once it is removed, nothing more is
/// unwrapped.
#[derive(Debug)]
pub struct FileKms {
    uri: String,
    path: PathBuf,
    region: Option<String>,
}

impl FileKms {
    /// Opens the key file at `path` (absolute), checking it once so that a mistake shows at once.
    /// `region` is where the operator says the host is; it is only reported.
    pub fn open(path: &Path, region: Option<&str>) -> Result<Self, KmsError> {
        let uri = format!("file://{}", path.display());
        if !path.is_absolute() {
            return Err(KmsError::new(&uri, "open the key file", Problem::BadUri)
                .detail("the path must be absolute, as in file:///etc/falaj/key"));
        }
        let kms = Self { uri, path: path.to_owned(), region: region.map(str::to_owned) };
        kms.read_key("open the key file")?;
        Ok(kms)
    }

    /// The path of the key file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read_key(&self, action: &'static str) -> Result<Zeroizing<[u8; DATA_KEY_LEN]>, KmsError> {
        read_key_file(&self.path).map_err(|e| e.into_error(&self.uri, action))
    }

    fn seal(&self, action: &'static str, plaintext: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        if plaintext.len() > MAX_WRAP {
            return Err(KmsError::new(&self.uri, action, Problem::Other).detail(format!(
                "a secret of {} bytes is too long to wrap; the limit is {MAX_WRAP}",
                plaintext.len()
            )));
        }
        let key = self.read_key(action)?;
        let crypto = |_| KmsError::new(&self.uri, action, Problem::Other).detail("encryption failed");
        let mut nonce = [0u8; NONCE_LEN];
        rand::fill(&mut nonce).map_err(crypto)?;
        let mut out = Vec::with_capacity(PREFIX_LEN + NONCE_LEN + plaintext.len() + 16);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&key_id(&key));
        let aad = Aad::from([out.as_slice(), &context.canonical()].concat());
        out.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(plaintext.to_vec());
        let tag = cipher(&key)
            .map_err(crypto)?
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(crypto)?;
        out.extend_from_slice(&body);
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }
}

#[async_trait]
impl Kms for FileKms {
    async fn generate_data_key(&self, context: &Context) -> Result<DataKey, KmsError> {
        let mut plaintext = Zeroizing::new([0u8; DATA_KEY_LEN]);
        rand::fill(plaintext.as_mut_slice()).map_err(|_| {
            KmsError::new(&self.uri, "generate a data key", Problem::Other).detail("the system gave no random bytes")
        })?;
        let wrapped = self.seal("generate a data key", plaintext.as_slice(), context)?;
        Ok(DataKey { plaintext, wrapped })
    }

    async fn wrap(&self, plaintext: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        self.seal("wrap a secret", plaintext, context)
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let action = "unwrap a key";
        let refuse = |why: &str| KmsError::new(&self.uri, action, Problem::NotAuthentic).detail(why.to_owned());
        let key = self.read_key(action)?;
        let (prefix, rest) = wrapped.split_at_checked(PREFIX_LEN).ok_or_else(|| refuse("too short"))?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or_else(|| refuse("too short"))?;
        let id = prefix.strip_prefix(MAGIC).ok_or_else(|| refuse("not wrapped by a key file"))?;
        if id != key_id(&key) {
            return Err(refuse("wrapped by another key file"));
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| refuse("too short"))?;
        let aad = Aad::from([prefix, &context.canonical()].concat());
        let mut buffer = Zeroizing::new(body.to_vec());
        let len = cipher(&key)
            .and_then(|cipher| cipher.open_in_place(nonce, aad, &mut buffer).map(|p| p.len()))
            .map_err(|_| refuse("altered, or another context"))?;
        buffer.truncate(len);
        Ok(buffer)
    }

    async fn rewrap(&self, wrapped: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        let plaintext = self.unwrap(wrapped, context).await?;
        self.seal("rewrap a key", &plaintext, context)
    }

    async fn describe(&self) -> Result<Description, KmsError> {
        let key = self.read_key("describe the key")?;
        let id: String = key_id(&key).iter().map(|b| format!("{b:02x}")).collect();
        Ok(Description {
            uri: self.uri.clone(),
            key_id: format!("file:{id}"),
            region: self.region.clone(),
            replica_regions: Vec::new(),
            custody: Custody::Host,
            state: KeyState::Enabled,
        })
    }

    fn uri(&self) -> &str {
        &self.uri
    }
}

fn cipher(key: &[u8; DATA_KEY_LEN]) -> Result<LessSafeKey, aws_lc_rs::error::Unspecified> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new)
}

fn key_id(key: &[u8; DATA_KEY_LEN]) -> [u8; KEY_ID_LEN] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(b"falaj key file id v1");
    hash.update(key);
    let hash = hash.finish();
    let mut id = [0u8; KEY_ID_LEN];
    id.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    id
}

/// Writes a fresh key to `path` if nothing is there, mode 0600, durable before it returns.
///
/// `Ok(true)` when it made the file, `Ok(false)` when a sound key file was there already. The name
/// appears only once the key is whole on disk, and an existing file is never replaced: it may be
/// the only way to read what was sealed under it.
pub fn create_key_file(path: &Path) -> Result<bool, KmsError> {
    let uri = format!("file://{}", path.display());
    let action = "create the key file";
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(KmsError::new(&uri, action, Problem::BadUri).detail("the path names no file"));
    };
    let io = |what: &'static str| {
        let uri = uri.clone();
        move |e: std::io::Error| {
            KmsError::new(&uri, action, Problem::BadKeyFile).detail(format!("{what}: {e}")).caused_by(e)
        }
    };
    if path.symlink_metadata().is_ok() {
        read_key_file(path).map_err(|e| e.into_error(&uri, action))?;
        return Ok(false);
    }

    let mut key = Zeroizing::new([0u8; DATA_KEY_LEN]);
    let mut suffix = [0u8; 8];
    rand::fill(key.as_mut_slice())
        .and_then(|()| rand::fill(&mut suffix))
        .map_err(|_| KmsError::new(&uri, action, Problem::Other).detail("no random bytes"))?;
    let dir = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| io("open the directory")(e.into()))?;
    let temp = format!(".key-{:016x}", u64::from_be_bytes(suffix));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = rustix::fs::openat(&dir, &temp, flags, Mode::RUSR | Mode::WUSR)
        .map(std::fs::File::from)
        .map_err(|e| io("create a file")(e.into()))?;
    let written = file.write_all(key.as_slice()).and_then(|()| file.sync_all()).map_err(io("write"));
    // `linkat` gives the name only if it is free, where a rename would replace.
    let linked = written.and_then(|()| {
        rustix::fs::linkat(&dir, &temp, &dir, name.as_bytes(), AtFlags::empty())
            .map_err(|e| io("name the file")(e.into()))
    });
    let removed = rustix::fs::unlinkat(&dir, &temp, AtFlags::empty());
    if let Err(error) = linked {
        // Another process may have made the key in the meantime; its key is as good.
        return match path.symlink_metadata() {
            Ok(_) => read_key_file(path).map(|_| false).map_err(|e| e.into_error(&uri, action)),
            Err(_) => Err(error),
        };
    }
    removed.map_err(|e| io("remove the temporary name")(e.into()))?;
    rustix::fs::fsync(&dir).map_err(|e| io("sync the directory")(e.into()))?;
    Ok(true)
}

/// Why a key file was not read.
struct Refusal {
    problem: Problem,
    detail: String,
    source: Option<std::io::Error>,
}

impl Refusal {
    fn into_error(self, uri: &str, action: &'static str) -> KmsError {
        let error = KmsError::new(uri, action, self.problem).detail(self.detail);
        match self.source {
            Some(source) => error.caused_by(source),
            None => error,
        }
    }
}

fn read_key_file(path: &Path) -> Result<Zeroizing<[u8; DATA_KEY_LEN]>, Refusal> {
    let bad = |detail: String| Refusal { problem: Problem::BadKeyFile, detail, source: None };
    let io = |e: std::io::Error| Refusal {
        problem: match e.kind() {
            std::io::ErrorKind::NotFound => Problem::NotFound,
            std::io::ErrorKind::PermissionDenied => Problem::AccessDenied,
            _ => Problem::BadKeyFile,
        },
        detail: e.to_string(),
        source: Some(e),
    };
    // NONBLOCK: opening a fifo in place of the key must not hang.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::LOOP) => {
            return Err(bad("it is a symbolic link; name the file itself".into()));
        }
        Err(e) => return Err(io(e.into())),
    };
    let stat = rustix::fs::fstat(&fd).map_err(|e| io(e.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(bad("it is not a regular file".into()));
    }
    let mode = Mode::from_raw_mode(stat.st_mode) & Mode::from_raw_mode(0o7777);
    if mode != Mode::from_raw_mode(0o600) && mode != Mode::from_raw_mode(0o400) {
        return Err(bad(format!("its mode is {:04o}; make it private with chmod 0600", mode.as_raw_mode())));
    }
    let me = rustix::process::geteuid();
    if stat.st_uid != me.as_raw() {
        return Err(bad(format!("it belongs to uid {}, and this process runs as uid {}", stat.st_uid, me.as_raw())));
    }
    let mut file = std::fs::File::from(fd);
    let mut key = Zeroizing::new([0u8; DATA_KEY_LEN]);
    let whole = file.read_exact(key.as_mut_slice()).is_ok();
    let mut more = [0u8; 1];
    let at_end = file.read(&mut more).map_err(io)? == 0;
    if !whole || !at_end {
        return Err(bad(format!("it has {} bytes; a key is exactly {DATA_KEY_LEN} raw bytes", stat.st_size)));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn fixture() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(create_key_file(&path).unwrap());
        (dir, path)
    }

    fn context() -> Context {
        Context::new().with("cluster", "c1").with("workspace", "w1")
    }

    #[tokio::test]
    async fn a_data_key_comes_back_in_the_same_context() {
        let (_dir, path) = fixture();
        let kms = FileKms::open(&path, None).unwrap();
        let key = kms.generate_data_key(&context()).await.unwrap();
        let back = kms.unwrap(&key.wrapped, &context()).await.unwrap();
        assert_eq!(back.as_slice(), key.plaintext.as_slice());
        let other = kms.generate_data_key(&context()).await.unwrap();
        assert_ne!(other.plaintext, key.plaintext);
    }

    #[tokio::test]
    async fn another_context_is_refused() {
        let (_dir, path) = fixture();
        let kms = FileKms::open(&path, None).unwrap();
        let key = kms.generate_data_key(&context()).await.unwrap();
        let other = context().with("workspace", "w2");
        let error = kms.unwrap(&key.wrapped, &other).await.unwrap_err();
        assert_eq!(error.problem(), Problem::NotAuthentic);
        assert!(!error.retryable());
    }

    #[tokio::test]
    async fn every_changed_byte_and_every_cut_is_refused() {
        let (_dir, path) = fixture();
        let kms = FileKms::open(&path, None).unwrap();
        let wrapped = kms.wrap(b"secret", &context()).await.unwrap();
        for at in 0..wrapped.len() {
            let mut bad = wrapped.clone();
            bad[at] ^= 1;
            assert!(kms.unwrap(&bad, &context()).await.is_err(), "byte {at}");
            assert!(kms.unwrap(&wrapped[..at], &context()).await.is_err(), "cut at {at}");
        }
        let longer = [wrapped.as_slice(), &[0]].concat();
        assert!(kms.unwrap(&longer, &context()).await.is_err());
    }

    #[tokio::test]
    async fn rewrapping_keeps_the_secret_and_changes_the_bytes() {
        let (_dir, path) = fixture();
        let kms = FileKms::open(&path, None).unwrap();
        let wrapped = kms.wrap(b"secret", &context()).await.unwrap();
        let again = kms.rewrap(&wrapped, &context()).await.unwrap();
        assert_ne!(wrapped, again);
        assert_eq!(kms.unwrap(&again, &context()).await.unwrap().as_slice(), b"secret");
    }

    #[tokio::test]
    async fn another_key_file_says_so() {
        let (_one, first) = fixture();
        let (_two, second) = fixture();
        let wrapped = FileKms::open(&first, None).unwrap().wrap(b"x", &context()).await.unwrap();
        let error = FileKms::open(&second, None).unwrap().unwrap(&wrapped, &context()).await.unwrap_err();
        assert!(error.to_string().contains("another key file"), "{error}");
    }

    #[tokio::test]
    async fn removing_the_file_ends_all_use_of_the_key() {
        let (_dir, path) = fixture();
        let kms = FileKms::open(&path, None).unwrap();
        let wrapped = kms.wrap(b"x", &context()).await.unwrap();
        fs::remove_file(&path).unwrap();
        let error = kms.unwrap(&wrapped, &context()).await.unwrap_err();
        assert_eq!(error.problem(), Problem::NotFound);
    }

    #[tokio::test]
    async fn a_secret_too_long_for_aws_is_refused_here_too() {
        let (_dir, path) = fixture();
        let kms = FileKms::open(&path, None).unwrap();
        assert!(kms.wrap(&vec![0; MAX_WRAP], &context()).await.is_ok());
        assert!(kms.wrap(&vec![0; MAX_WRAP + 1], &context()).await.is_err());
    }

    #[test]
    fn a_new_key_file_is_private_whole_and_never_replaced() {
        let (dir, path) = fixture();
        let before = fs::read(&path).unwrap();
        assert_eq!(before.len(), DATA_KEY_LEN);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(!create_key_file(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_readable_linked_short_or_long_file_is_refused_with_the_reason() {
        let (dir, path) = fixture();
        let refuse = |path: &Path, reason: &str| {
            let error = FileKms::open(path, None).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            assert!(create_key_file(path).is_err(), "and it is not taken for a key");
        };
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        refuse(&path, "0640");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        refuse(&link, "symbolic link");
        fs::write(&path, [1u8; 31]).unwrap();
        refuse(&path, "31 bytes");
        fs::write(&path, [1u8; 33]).unwrap();
        refuse(&path, "33 bytes");
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        refuse(&folder, "not a regular file");
    }

    #[test]
    fn a_missing_file_and_a_relative_path_are_different_errors() {
        let dir = tempfile::tempdir().unwrap();
        let missing = FileKms::open(&dir.path().join("none"), None).unwrap_err();
        assert_eq!(missing.problem(), Problem::NotFound);
        let relative = FileKms::open(Path::new("key"), None).unwrap_err();
        assert_eq!(relative.problem(), Problem::BadUri);
    }
}
