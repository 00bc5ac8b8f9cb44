//! PEM: certificates and keys between lines of dashes.
//!
//! The lines of a section may be joined by blanks, as in a property file whose lines end in backslashes. What stands outside of
//! sections is skipped: `openssl` writes descriptions there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfo;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// What stands between two lines of dashes.
struct Section<'a> {
    label: &'a str,
    body: &'a str,
}

impl Section<'_> {
    /// The bytes. No error shows them.
    fn der(&self) -> Result<Vec<u8>, String> {
        let compact: String = self.body.split_whitespace().collect();
        let damaged = |_| format!("the section {:?} is damaged: it is not base64", self.label);
        STANDARD.decode(compact).map_err(damaged)
    }
}

/// The sections of a text, in their order.
fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let mut sections = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let cut = || "a section of PEM has no end".to_owned();
        let (label, begun) = begun.split_once(DASHES).ok_or_else(cut)?;
        let (body, ended) = begun.split_once(END).ok_or_else(cut)?;
        let ended = ended.strip_prefix(label).and_then(|ended| ended.strip_prefix(DASHES));
        rest = ended.ok_or_else(cut)?;
        sections.push(Section { label, body });
    }
    Ok(sections)
}

/// All certificates of a text.
///
/// # Errors
///
/// Why there is none, or which one is damaged.
pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let sections = sections(text)?;
    let is_certificate = |section: &&Section<'_>| {
        matches!(section.label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
    };
    let found: Result<Vec<_>, _> = sections
        .iter()
        .filter(is_certificate)
        .map(|section| section.der().map(CertificateDer::from))
        .collect();
    let found = found?;
    if found.is_empty() {
        return Err("there is no section -----BEGIN CERTIFICATE----- in it".to_owned());
    }
    Ok(found)
}

/// The first private key of a text, decrypted.
///
/// # Errors
///
/// Why there is none. No error shows the key or the password.
pub(super) fn private_key(text: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    let sections = sections(text)?;
    let key = sections.iter().find(|section| section.label.ends_with("PRIVATE KEY"));
    let key = key.ok_or_else(|| "there is no section with a PRIVATE KEY in it".to_owned())?;
    if key.body.contains("ENCRYPTED") {
        return Err(
            "the key is encrypted in OpenSSL's old way; `openssl pkcs8 -topk8` writes one that can be read"
                .to_owned(),
        );
    }
    match key.label {
        "PRIVATE KEY" => Ok(PrivatePkcs8KeyDer::from(key.der()?).into()),
        "RSA PRIVATE KEY" => Ok(PrivatePkcs1KeyDer::from(key.der()?).into()),
        "EC PRIVATE KEY" => Ok(PrivateSec1KeyDer::from(key.der()?).into()),
        "ENCRYPTED PRIVATE KEY" => {
            let password = password.ok_or("the key is encrypted, and ssl.key.password is not set")?;
            decrypt(&key.der()?, password)
        }
        _ => {
            Err("the key is neither PKCS#8, PKCS#1 nor SEC1; `openssl pkcs8 -topk8` writes PKCS#8".to_owned())
        }
    }
}

fn decrypt(der: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let unknown = |_| {
        "the key is encrypted in a way that is not known; `openssl pkcs8 -topk8 -v2 aes-256-cbc` writes one that is".to_owned()
    };
    let encrypted = EncryptedPrivateKeyInfo::try_from(der).map_err(unknown)?;
    let wrong = |_| {
        "the key cannot be decrypted: ssl.key.password is wrong, or the cipher is not AES (`openssl pkcs8 -topk8 -v2 aes-256-cbc`)".to_owned()
    };
    let plain = encrypted.decrypt(password).map_err(wrong)?;
    Ok(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec()).into())
}

#[cfg(test)]
mod tests {
    use pkcs8::PrivateKeyInfo;
    use pkcs8::pkcs5::pbes2::Parameters;
    use proptest::prelude::*;

    use super::*;

    /// A key, encrypted with the password "hush" as OpenSSL does it.
    fn encrypted() -> String {
        let key = rcgen::KeyPair::generate().unwrap().serialize_der();
        let parameters = Parameters::pbkdf2_sha256_aes256cbc(2048, b"eight of", b"sixteen of them.").unwrap();
        let key = PrivateKeyInfo::try_from(key.as_slice()).unwrap();
        let sealed = key.encrypt_with_params(parameters, "hush").unwrap();
        let base64 = STANDARD.encode(sealed.as_bytes());
        format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{base64}\n-----END ENCRYPTED PRIVATE KEY-----\n")
    }

    #[test]
    fn sections_are_found_between_other_text_and_with_joined_lines() {
        let text = "Bag Attributes\n-----BEGIN CERTIFICATE-----\nAQID\nBAUG\n-----END CERTIFICATE-----\nsubject=x\n\
                    -----BEGIN CERTIFICATE----- BwgJ -----END CERTIFICATE-----";
        let found = certificates(text).unwrap();
        assert_eq!(found, [vec![1, 2, 3, 4, 5, 6].into(), vec![7, 8, 9].into()]);
    }

    #[test]
    fn keys_of_all_three_forms_are_told_apart() {
        let key = |label: &str| {
            private_key(&format!("-----BEGIN {label}-----\nAQID\n-----END {label}-----\n"), None)
        };
        assert!(matches!(key("PRIVATE KEY"), Ok(PrivateKeyDer::Pkcs8(_))));
        assert!(matches!(key("RSA PRIVATE KEY"), Ok(PrivateKeyDer::Pkcs1(_))));
        assert!(matches!(key("EC PRIVATE KEY"), Ok(PrivateKeyDer::Sec1(_))));
        assert!(key("DSA PRIVATE KEY").unwrap_err().contains("topk8"));
        assert!(key("ENCRYPTED PRIVATE KEY").unwrap_err().contains("ssl.key.password is not set"));
    }

    #[test]
    fn an_encrypted_key_needs_its_password() {
        let text = encrypted();
        assert!(matches!(private_key(&text, Some("hush")), Ok(PrivateKeyDer::Pkcs8(_))));
        let error = private_key(&text, Some("hash")).unwrap_err();
        assert!(error.contains("ssl.key.password is wrong") && !error.contains("hash"), "{error}");
        let old =
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID\n-----END RSA PRIVATE KEY-----";
        assert!(private_key(old, Some("hush")).unwrap_err().contains("old way"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(certificates("").unwrap_err().contains("no section"));
        assert!(certificates("-----BEGIN CERTIFICATE-----\nAQID").unwrap_err().contains("no end"));
        let other = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERT-----";
        assert!(certificates(other).unwrap_err().contains("no end"));
        let damaged = "-----BEGIN CERTIFICATE-----\nA*ID\n-----END CERTIFICATE-----";
        assert!(certificates(damaged).unwrap_err().contains("not base64"));
        assert!(private_key("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----", None).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(pieces in prop::collection::vec(
            prop_oneof![
                Just("-----BEGIN ".to_owned()), Just("-----END ".to_owned()), Just("-----".to_owned()),
                Just("CERTIFICATE".to_owned()), Just("ENCRYPTED PRIVATE KEY".to_owned()), ".{0,8}",
            ], 0..12)) {
            let text = pieces.concat();
            let _ = certificates(&text);
            let _ = private_key(&text, Some("x"));
        }

        #[test]
        fn what_was_written_is_read(der in prop::collection::vec(any::<u8>(), 1..200), width in 1_usize..80) {
            let base64 = STANDARD.encode(&der);
            let lines: Vec<_> = base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let text = format!("-----BEGIN CERTIFICATE-----\r\n{}\r\n-----END CERTIFICATE-----\r\n", lines.join("\r\n"));
            prop_assert_eq!(certificates(&text).unwrap(), [CertificateDer::from(der)]);
        }
    }
}
