use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use falaj_kms::Context;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::CLUSTER;
use crate::crypto::sha256;
use crate::db::{Db, Session, Tx, column, now, time_column};
use crate::error::{Result, StoreError};

use super::merkle::Frontier;

/// The cluster's key for checkpoints: ECDSA P-256, stored wrapped by the KMS.
pub struct Signer {
    key: EcdsaKeyPair,
    key_id: String,
    cluster: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// Unwraps the cluster's newest signing key, or makes the first.
    pub(crate) async fn load(db: &Db) -> Result<Self> {
        let newest = "SELECT key_id, cluster, wrapped FROM signing_keys ORDER BY created_at DESC, key_id LIMIT 1";
        let failed = StoreError::db("read the audit signing key");
        let mut reader = db.read().await?;
        let row = sqlx::query(newest).fetch_optional(reader.conn()).await.map_err(&failed)?;
        drop(reader);
        let keyring = &db.shared().keyring;
        let kms = keyring.service(CLUSTER);
        let context = signing_context(keyring.cluster());
        let cluster = keyring.cluster().to_owned();
        let unusable = |_| StoreError::damaged("the audit signing key", "it is not a P-256 key");
        if let Some(row) = row {
            let owner: String = column(&row, "cluster")?;
            if owner != cluster {
                let why = format!("it belongs to cluster {owner}, not to {cluster}");
                return Err(StoreError::invalid("the database", why));
            }
            let wrapped: Vec<u8> = column(&row, "wrapped")?;
            let pkcs8 = kms.unwrap(&wrapped, &context).await?;
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).map_err(unusable)?;
            let key_id: String = column(&row, "key_id")?;
            if key_id != key_id_of(key.public_key().as_ref()) {
                return Err(StoreError::not_authentic("the audit signing key", "its id is not its own"));
            }
            return Ok(Self { key, key_id, cluster });
        }
        let crypto = |_| StoreError::Crypto { action: "make a signing key" };
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).map_err(crypto)?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).map_err(unusable)?;
        let public = key.public_key().as_ref().to_vec();
        let key_id = key_id_of(&public);
        let wrapped = kms.wrap(pkcs8.as_ref(), &context).await?;
        let mut tx = db.begin().await?;
        sqlx::query(
            "INSERT INTO signing_keys (key_id, cluster, public_key, wrapped, kms_uri, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&key_id)
        .bind(&cluster)
        .bind(&public)
        .bind(wrapped)
        .bind(kms.uri())
        .bind(now())
        .execute(tx.conn())
        .await
        .map_err(StoreError::db("store the audit signing key"))?;
        tx.commit().await?;
        Ok(Self { key, key_id, cluster })
    }

    fn sign(&self, text: &str) -> Result<Vec<u8>> {
        self.key
            .sign(&SystemRandom::new(), text.as_bytes())
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| StoreError::Crypto { action: "sign a checkpoint" })
    }
}

/// What the wrapped signing key is bound to.
pub(crate) fn signing_context(cluster: &str) -> Context {
    Context::new().with("falaj:cluster", cluster).with("falaj:purpose", "audit-signing")
}

/// A signed statement that a chain had this root at this size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub chain: String,
    pub size: i64,
    pub root: [u8; 32],
    pub at: Timestamp,
    pub key_id: String,
    /// ECDSA P-256 with SHA-256 over [`Checkpoint::text`], ASN.1 DER.
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// The bytes that are signed.
    pub fn text(&self, cluster: &str) -> String {
        text(cluster, &self.chain, self.size, &self.root, self.at.as_microsecond())
    }

    /// Whether `key` made the signature, and is the key the checkpoint names.
    pub fn signed_by(&self, key: &PublicKey) -> bool {
        let names_it = self.key_id == key.key_id && key_id_of(&key.point) == key.key_id;
        let text = self.text(&key.cluster);
        let verified =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &key.point).verify(text.as_bytes(), &self.signature);
        names_it && verified.is_ok()
    }
}

/// A key that signs checkpoints. Whoever verifies compares its id with one kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub key_id: String,
    /// Uid of the cluster it signs for.
    pub cluster: String,
    /// The uncompressed point, 65 bytes.
    pub point: Vec<u8>,
}

fn text(cluster: &str, chain: &str, size: i64, root: &[u8; 32], at: i64) -> String {
    let root = hex::encode(root);
    format!("falaj audit checkpoint v1\n{cluster}\n{chain}\n{size}\n{root}\n{at}\n")
}

/// The id of a public key: the first 16 bytes of its SHA-256, in hexadecimal.
pub(super) fn key_id_of(public_key: &[u8]) -> String {
    let hash = sha256(&[public_key]);
    hex::encode(hash.first_chunk::<16>().copied().unwrap_or_default())
}

/// Signs the chain as it is now. `None` when it is empty.
pub async fn checkpoint(tx: &mut Tx, chain: &str) -> Result<Option<Checkpoint>> {
    let head = sqlx::query("SELECT size, frontier FROM audit_heads WHERE chain = $1")
        .bind(chain)
        .fetch_optional(tx.conn())
        .await
        .map_err(StoreError::db("read the head of an audit chain"))?;
    let Some(head) = head else { return Ok(None) };
    let size: i64 = column(&head, "size")?;
    let frontier: Vec<u8> = column(&head, "frontier")?;
    let frontier = u64::try_from(size)
        .ok()
        .and_then(|size| Frontier::from_parts(size, &frontier))
        .ok_or_else(|| StoreError::damaged(format!("the head of the audit chain {chain}"), "lengths"))?;
    write(tx, chain, &frontier).await?;
    latest_checkpoint(tx, chain).await
}

/// The newest checkpoint of a chain.
pub async fn latest_checkpoint(session: &mut Session, chain: &str) -> Result<Option<Checkpoint>> {
    let row = sqlx::query("SELECT * FROM audit_checkpoints WHERE chain = $1 ORDER BY size DESC LIMIT 1")
        .bind(chain)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("read an audit checkpoint"))?;
    row.as_ref().map(read).transpose()
}

/// The keys that signed, or may sign, checkpoints of this database.
pub async fn public_keys(session: &mut Session) -> Result<Vec<PublicKey>> {
    read_public_keys(session.conn()).await
}

pub(super) async fn read_public_keys(conn: &mut sqlx::SqliteConnection) -> Result<Vec<PublicKey>> {
    let rows = sqlx::query("SELECT key_id, cluster, public_key FROM signing_keys ORDER BY created_at")
        .fetch_all(conn)
        .await
        .map_err(StoreError::db("read the audit public keys"))?;
    rows.iter()
        .map(|row| {
            Ok(PublicKey {
                key_id: column(row, "key_id")?,
                cluster: column(row, "cluster")?,
                point: column(row, "public_key")?,
            })
        })
        .collect()
}

pub(super) async fn write(tx: &mut Tx, chain: &str, frontier: &Frontier) -> Result<()> {
    let shared = tx.shared().clone();
    // Only missing while the store is being opened, before anything can be appended.
    let Some(signer) = shared.signer.get() else {
        return Ok(());
    };
    let size = i64::try_from(frontier.size()).map_err(|e| StoreError::damaged("the size of an audit chain", e))?;
    let (root, at) = (frontier.root(), now());
    let signature = signer.sign(&text(&signer.cluster, chain, size, &root, at))?;
    sqlx::query(
        "INSERT INTO audit_checkpoints (chain, size, root, at, key_id, signature)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (chain, size) DO NOTHING",
    )
    .bind(chain)
    .bind(size)
    .bind(root.as_slice())
    .bind(at)
    .bind(&signer.key_id)
    .bind(signature)
    .execute(tx.conn())
    .await
    .map_err(StoreError::db("store an audit checkpoint"))?;
    Ok(())
}

pub(super) fn read(row: &SqliteRow) -> Result<Checkpoint> {
    let root: Vec<u8> = column(row, "root")?;
    Ok(Checkpoint {
        chain: column(row, "chain")?,
        size: column(row, "size")?,
        root: root.try_into().map_err(|_| StoreError::damaged("an audit checkpoint", "its root is not 32 bytes"))?,
        at: time_column(row, "at")?,
        key_id: column(row, "key_id")?,
        signature: column(row, "signature")?,
    })
}
