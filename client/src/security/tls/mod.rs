//! TLS: which authorities are trusted, and the client's own certificate.
//!
//! rustls speaks the protocol, with ring's cryptography. Everything that files hold is read when a client starts, so that a wrong
//! file is an error of the configuration and not of a connection.

mod advice;
mod pem;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

pub(crate) use self::advice::explain;
use self::verify::AnyName;
use super::secret::Secret;
use crate::ConfigError;

/// The versions of TLS, by Java's names.
pub(super) const PROTOCOLS: [(&str, &SupportedProtocolVersion); 2] =
    [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)];

/// How a JKS store becomes PEM.
pub(super) const FROM_JKS: &str = "`keytool -importkeystore -srckeystore STORE -destkeystore store.p12 -deststoretype PKCS12`, \
     then `openssl pkcs12 -in store.p12 -nodes -out store.pem`";

/// How a PKCS12 store becomes PEM.
pub(super) const FROM_PKCS12: &str = "`openssl pkcs12 -in STORE -nodes -out store.pem`";

/// The longest file of certificates and keys that is read, in bytes: the authorities of a whole system have a quarter of a megabyte.
const MAX_FILE: u64 = 4 << 20;

/// How TLS is spoken: which authorities are trusted, and the client's own certificate. The default trusts those of the system.
///
/// ```
/// use trilog_client::security::Tls;
///
/// let tls = Tls::new().trust_file("/etc/kafka/ca.pem").identity_files("client.pem", "client.key");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub(super) roots: Option<Pem>,
    pub(super) chain: Option<Pem>,
    pub(super) key: Option<Pem>,
    pub(super) key_password: Option<Secret>,
    pub(super) skips_name: bool,
    pub(super) protocols: Option<Vec<String>>,
}

/// Where PEM comes from.
#[derive(Clone, Debug)]
pub(super) enum Pem {
    File(PathBuf),
    /// The text itself, which may be a key.
    Text(Secret),
}

impl Tls {
    /// Trusts the authorities of the system, and has no client certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `ssl.ca.location`, `ssl.truststore.location`: trusts the certificates of a PEM file, and those of the system no more.
    #[must_use]
    pub fn trust_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Some(Pem::File(path.into()));
        self
    }

    /// `ssl.ca.pem`, `ssl.truststore.certificates`: as [`trust_file`](Self::trust_file), with the PEM text itself.
    #[must_use]
    pub fn trust_pem(mut self, certificates: impl Into<String>) -> Self {
        self.roots = Some(Pem::Text(Secret::new(certificates)));
        self
    }

    /// `ssl.certificate.location` and `ssl.key.location`: the client's certificate, followed by those that lead to an authority, and
    /// its private key (PKCS#8, PKCS#1 or SEC1). Both may be the same PEM file.
    #[must_use]
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        (self.chain, self.key) = (Some(Pem::File(chain.into())), Some(Pem::File(key.into())));
        self
    }

    /// `ssl.keystore.certificate.chain` and `ssl.keystore.key`: as [`identity_files`](Self::identity_files), with the PEM texts themselves.
    #[must_use]
    pub fn identity_pem(mut self, chain: impl Into<String>, key: impl Into<String>) -> Self {
        (self.chain, self.key) = (Some(Pem::Text(Secret::new(chain))), Some(Pem::Text(Secret::new(key))));
        self
    }

    /// `ssl.key.password`: that of the private key, if it is encrypted (PKCS#8 with PBES2).
    #[must_use]
    pub fn key_password(mut self, password: impl Into<String>) -> Self {
        self.key_password = Some(Secret::new(password));
        self
    }

    /// `ssl.endpoint.identification.algorithm=`: takes a certificate that was issued for another name. It still has to be valid and
    /// from an authority that is trusted, any of whose certificates will then do: for an authority of one's own.
    #[must_use]
    pub const fn without_name_check(mut self) -> Self {
        self.skips_name = true;
        self
    }

    /// Whether anything names a certificate.
    pub(super) const fn is_set(&self) -> bool {
        self.roots.is_some() || self.chain.is_some() || self.key.is_some()
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unusable`] with the file and what is wrong with it.
    pub(super) fn prepare(&self) -> Result<Connector, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&self.versions());
        let builder = builder.map_err(|error| unusable("ssl.enabled.protocols", error))?;
        let builder = builder.dangerous();
        let builder = builder.with_custom_certificate_verifier(self.verifier(&roots, &provider)?);
        let config = match self.identity()? {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable("ssl.key.location", format!("with this certificate: {error}")))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Connector { tls: TlsConnector::from(Arc::new(config)), has_identity: self.chain.is_some() })
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let wanted = |name: &str| {
            self.protocols.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name))
        };
        PROTOCOLS.iter().filter(|(name, _)| wanted(name)).map(|(_, version)| *version).collect()
    }

    fn verifier(
        &self,
        roots: &Arc<RootCertStore>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
        if self.skips_name {
            let algorithms = provider.signature_verification_algorithms;
            return Ok(Arc::new(AnyName::new(Arc::clone(roots), algorithms)));
        }
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider)).build();
        match built {
            Ok(verifier) => Ok(verifier),
            Err(error) => Err(unusable("ssl.ca.location", error)),
        }
    }

    fn roots(&self) -> Result<RootCertStore, ConfigError> {
        const NAME: &str = "ssl.ca.location";
        let Some(pem) = &self.roots else { return system_roots() };
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(&pem.read(NAME)?).map_err(|cause| pem.unusable(NAME, cause))? {
            let added = roots.add(certificate);
            added.map_err(|error| pem.unusable(NAME, format!("a certificate is damaged: {error}")))?;
        }
        Ok(roots)
    }

    fn identity(
        &self,
    ) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, ConfigError> {
        const CHAIN: &str = "ssl.certificate.location";
        const KEY: &str = "ssl.key.location";
        match (&self.chain, &self.key) {
            (None, None) => Ok(None),
            (Some(chain), Some(key)) => {
                let certificates = pem::certificates(&chain.read(CHAIN)?);
                let certificates = certificates.map_err(|cause| chain.unusable(CHAIN, cause))?;
                let password = self.key_password.as_ref().map(Secret::reveal);
                let private = pem::private_key(&key.read(KEY)?, password);
                Ok(Some((certificates, private.map_err(|cause| key.unusable(KEY, cause))?)))
            }
            _ => Err(ConfigError::Conflict(
                "a client certificate needs both, ssl.certificate.location and ssl.key.location",
            )),
        }
    }
}

fn unusable(name: &'static str, cause: impl ToString) -> ConfigError {
    ConfigError::Unusable { name, cause: cause.to_string() }
}

impl Pem {
    /// The text.
    fn read(&self, name: &'static str) -> Result<String, ConfigError> {
        match self {
            Self::Text(text) => Ok(text.reveal().to_owned()),
            Self::File(path) => read(path).map_err(|cause| self.unusable(name, cause)),
        }
    }

    fn unusable(&self, name: &'static str, cause: impl ToString) -> ConfigError {
        let cause = cause.to_string();
        match self {
            Self::Text(_) => unusable(name, cause),
            Self::File(path) => unusable(name, format!("{}: {cause}", path.display())),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE {
        return Err("it is above 4 MiB: it is no file of certificates".to_owned());
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    match bytes.as_slice() {
        [0xfe, 0xed, 0xfe, 0xed, ..] => Err(format!("it is a JKS store, which becomes PEM by {FROM_JKS}")),
        [0x30, 0x80..=0x84, ..] => Err(format!(
            "it is DER and not PEM: a PKCS12 store becomes PEM by {FROM_PKCS12}, a certificate by `openssl x509 -inform DER`"
        )),
        _ => String::from_utf8(bytes).map_err(|_| "it is not PEM".to_owned()),
    }
}

/// The authorities that the system trusts. They are read once a process.
fn system_roots() -> Result<RootCertStore, ConfigError> {
    static ROOTS: OnceLock<Result<RootCertStore, String>> = OnceLock::new();
    let load = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "certificates of the system");
        let advice = "set it to the PEM file of the authority that has signed the brokers' certificates";
        match found.errors.first() {
            _ if added > 0 => Ok(roots),
            Some(error) => Err(format!("the system's certificates cannot be read ({error}); {advice}")),
            None => Err(format!("the system trusts no authority; {advice}")),
        }
    };
    ROOTS.get_or_init(load).clone().map_err(|cause| unusable("ssl.ca.location", cause))
}

/// What opens TLS on a connection.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: TlsConnector,
    /// Whether the client has a certificate to show.
    pub(crate) has_identity: bool,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("has_identity", &self.has_identity).finish_non_exhaustive()
    }
}
