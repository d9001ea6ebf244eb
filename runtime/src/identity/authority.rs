//! The cluster's certificate authority. Its key is sealed under the cluster's
//! KMS key and is in memory only while the server runs.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};
use zeroize::Zeroizing;

use super::Principal;

/// Issues certificates: ECDSA P-256, for this cluster only.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    cluster_uid: String,
}

/// A certificate and its key, PEM.
pub struct Leaf {
    pub certificate_pem: String,
    pub key_pem: Zeroizing<String>,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// The system's random generator failed.
    pub fn create(cluster: &str, cluster_uid: &str) -> Result<(Self, Zeroizing<String>)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Falaj cluster {cluster}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let (now, _) = validity(0);
        params.not_before = now;
        params.not_after = now + TEN_YEARS;
        let certificate_pem = params.self_signed(&key)?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok((Self::load(&certificate_pem, &key_pem, cluster_uid)?, key_pem))
    }

    /// Opens an authority from its certificate and key.
    ///
    /// # Errors
    /// They are not PEM, or do not belong together.
    pub fn load(certificate_pem: &str, key_pem: &str, cluster_uid: &str) -> Result<Self> {
        let key = KeyPair::from_pem(key_pem).context("the authority's key cannot be read")?;
        let issuer =
            Issuer::from_ca_cert_pem(certificate_pem, key).context("the authority's certificate cannot be read")?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), issuer, cluster_uid: cluster_uid.to_owned() })
    }

    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for a server on this machine, and at these further names
    /// and addresses.
    ///
    /// # Errors
    /// One of them is no name, or the system's random generator failed.
    pub fn server(&self, places: &[String], days: i64) -> Result<Leaf> {
        let mut names = vec![
            SanType::DnsName(Ia5String::try_from("localhost")?),
            SanType::DnsName(Ia5String::try_from(crate::dial::SERVER_NAME)?),
            SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()),
        ];
        for place in places {
            names.push(match place.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(Ia5String::try_from(place.as_str())?),
            });
        }
        self.issue("Falaj runtime", names, ExtendedKeyUsagePurpose::ServerAuth, days)
    }

    /// A certificate for a caller.
    ///
    /// # Errors
    /// The system's random generator failed.
    pub fn client(&self, principal: &Principal, days: i64) -> Result<Leaf> {
        let uri = SanType::URI(Ia5String::try_from(principal.uri(&self.cluster_uid))?);
        self.issue(&principal.to_string(), vec![uri], ExtendedKeyUsagePurpose::ClientAuth, days)
    }

    fn issue(&self, name: &str, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose, days: i64) -> Result<Leaf> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.serial_number = Some(SerialNumber::from_slice(uuid::Uuid::new_v4().as_bytes()));
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity(days);
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf { certificate_pem: certificate.pem(), key_pem: Zeroizing::new(key.serialize_pem()) })
    }
}

const TEN_YEARS: time::Duration = time::Duration::days(3650);

/// From five minutes ago, for clocks that differ a little.
fn validity(days: i64) -> (time::OffsetDateTime, time::OffsetDateTime) {
    let now = time::OffsetDateTime::now_utc();
    (now - time::Duration::minutes(5), now + time::Duration::days(days))
}
