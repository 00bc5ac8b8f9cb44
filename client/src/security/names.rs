//! Kafka's and librdkafka's names for TLS and SASL.

use super::jaas::Login;
use super::secret::Secret;
use super::tls::{PROTOCOLS, Pem};
use crate::config::{Common, Setting, text};

/// Why a store's password is refused.
const STORE_HAS_NO_PASSWORD: &str =
    "not set: PEM has no password of the store, and ssl.key.password is that of the key";

/// Settings whose values are secret, or may hold a secret: no error shows them, and blanks around them count.
const SECRETS: [&str; 7] = [
    "sasl.password",
    "sasl.jaas.config",
    "ssl.key.password",
    "ssl.keystore.key",
    "ssl.key.pem",
    "ssl.keystore.password",
    "ssl.truststore.password",
];

/// Whether the value of a setting is secret.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// The settings of TLS and SASL by name.
pub(crate) const SECURITY: &[Setting<Common>] = &[
    Setting {
        names: &["security.protocol"],
        set: |c, v| {
            let (uses_tls, uses_sasl) = match v.to_ascii_uppercase().as_str() {
                "PLAINTEXT" => (false, false),
                "SSL" => (true, false),
                "SASL_PLAINTEXT" => (false, true),
                "SASL_SSL" => (true, true),
                _ => return Err("PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL".to_owned()),
            };
            (c.security.uses_tls, c.security.uses_sasl) = (uses_tls, uses_sasl);
            c.security.is_chosen = true;
            Ok(())
        },
    },
    Setting {
        names: &["ssl.ca.location", "ssl.truststore.location"],
        set: |c, v| file(v).map(|pem| c.security.tls.roots = Some(pem)),
    },
    Setting {
        names: &["ssl.ca.pem", "ssl.truststore.certificates"],
        set: |c, v| pem(v).map(|pem| c.security.tls.roots = Some(pem)),
    },
    Setting { names: &["ssl.truststore.type"], set: |_, v| is_pem(v) },
    Setting { names: &["ssl.keystore.type"], set: |_, v| is_pem(v) },
    Setting {
        names: &["ssl.certificate.location"],
        set: |c, v| file(v).map(|pem| c.security.tls.chain = Some(pem)),
    },
    Setting {
        names: &["ssl.keystore.certificate.chain", "ssl.certificate.pem"],
        set: |c, v| pem(v).map(|pem| c.security.tls.chain = Some(pem)),
    },
    Setting { names: &["ssl.key.location"], set: |c, v| file(v).map(|pem| c.security.tls.key = Some(pem)) },
    Setting {
        names: &["ssl.keystore.key", "ssl.key.pem"],
        set: |c, v| pem(v).map(|pem| c.security.tls.key = Some(pem)),
    },
    Setting {
        // One file with both.
        names: &["ssl.keystore.location"],
        set: |c, v| {
            let pem = file(v)?;
            c.security.tls.chain = Some(pem.clone());
            c.security.tls.key = Some(pem);
            Ok(())
        },
    },
    Setting {
        names: &["ssl.key.password"],
        set: |c, v| secret(v).map(|password| c.security.tls.key_password = Some(password)),
    },
    Setting {
        names: &["ssl.endpoint.identification.algorithm"],
        set: |c, v| {
            c.security.tls.skips_name = match v {
                "https" => false,
                "" | "none" => true,
                _ => return Err("https, or empty to leave the name in the certificate unchecked".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        names: &["ssl.enabled.protocols"],
        set: |c, v| {
            let wanted: Vec<&str> = v.split(',').map(str::trim).collect();
            let known = |name: &&str| PROTOCOLS.iter().any(|(known, _)| known == name);
            if !wanted.iter().all(known) {
                return Err("TLSv1.2, TLSv1.3, or both with a comma between".to_owned());
            }
            c.security.tls.protocols = Some(wanted.into_iter().map(str::to_owned).collect());
            Ok(())
        },
    },
    Setting { names: &["ssl.keystore.password"], set: |_, _| Err(STORE_HAS_NO_PASSWORD.to_owned()) },
    Setting { names: &["ssl.truststore.password"], set: |_, _| Err(STORE_HAS_NO_PASSWORD.to_owned()) },
    Setting {
        names: &["enable.ssl.certificate.verification"],
        set: |_, v| match v {
            "true" => Ok(()),
            _ => {
                Err("true: certificates are always verified, and ssl.ca.location names those to trust"
                    .to_owned())
            }
        },
    },
    Setting {
        names: &["sasl.mechanism", "sasl.mechanisms"],
        set: |c, v| v.parse().map(|mechanism| c.security.sasl.mechanism = Some(mechanism)),
    },
    Setting {
        names: &["sasl.username"],
        set: |c, v| text(v).map(|name| c.security.sasl.username = Some(name)),
    },
    Setting {
        names: &["sasl.password"],
        set: |c, v| secret(v).map(|password| c.security.sasl.password = Some(password)),
    },
    Setting {
        names: &["sasl.jaas.config"],
        set: |c, v| Login::parse(v).map(|login| c.security.sasl.login = Some(login)),
    },
];

fn file(value: &str) -> Result<Pem, String> {
    text(value).map(|path| Pem::File(path.into()))
}

fn pem(value: &str) -> Result<Pem, String> {
    secret(value).map(Pem::Text)
}

fn secret(value: &str) -> Result<Secret, String> {
    text(value).map(Secret::new)
}

/// Java's default is JKS, and what is PEM is found out by looking at it.
fn is_pem(value: &str) -> Result<(), String> {
    match value.to_ascii_uppercase().as_str() {
        "PEM" => Ok(()),
        "JKS" => Err(format!("PEM. A JKS store becomes one by {}", super::tls::FROM_JKS)),
        "PKCS12" => Err(format!("PEM. A PKCS12 store becomes one by {}", super::tls::FROM_PKCS12)),
        _ => Err("PEM".to_owned()),
    }
}
