//! Certificates of tests, made while they run.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};

/// An authority, and what it signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate as PEM.
    pub(crate) fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Its certificate and its key, as PEM.
    pub(crate) fn itself(&self) -> (String, String) {
        (self.0.pem(), self.0.key().serialize_pem())
    }

    /// The certificate and the key of a broker, as PEM. Names may be IP addresses.
    pub(crate) fn broker(&self, names: &[&str]) -> (String, String) {
        self.sign(Self::parameters(names))
    }

    /// Those of a broker whose certificate has expired.
    pub(crate) fn expired(&self, names: &[&str]) -> (String, String) {
        let mut parameters = Self::parameters(names);
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
        self.sign(parameters)
    }

    /// Those of a client.
    pub(crate) fn client(&self, name: &str) -> (String, String) {
        let mut parameters = Self::parameters(&[]);
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(parameters)
    }

    fn parameters(names: &[&str]) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters
    }

    fn sign(&self, parameters: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}
