//! Settings of TLS and SASL, by method and by name.

use std::io::Write;

use super::tls::testing::Authority;
use super::*;
use crate::AdminConfig;

/// What settings come to.
fn prepared(settings: &[(&str, &str)]) -> Result<PreparedSecurity, String> {
    let config = AdminConfig::new("h:1").unwrap().with_names(settings.iter().copied());
    let config = config.map_err(|error| error.to_string())?;
    config.connection_options().map(|options| options.security).map_err(|error| error.to_string())
}

fn refused(settings: &[(&str, &str)]) -> String {
    prepared(settings).unwrap_err()
}

fn file(text: impl AsRef<[u8]>) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_ref()).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn without_settings_there_is_neither_tls_nor_sasl() {
    let security = prepared(&[]).unwrap();
    assert!(security.tls.is_none() && security.sasl.is_none());
    let security = prepared(&[("security.protocol", "plaintext")]).unwrap();
    assert!(security.tls.is_none() && security.sasl.is_none());
}

#[test]
fn the_readme_lists_all_settings() {
    let readme = include_str!("../../README.md");
    for name in SECURITY.iter().flat_map(|setting| setting.names) {
        assert!(readme.contains(&format!("`{name}`")), "{name} is missing");
    }
}

#[test]
fn the_protocol_decides_which_of_both_there_is() {
    let authority = file(Authority::new("a").certificate());
    let all = [
        ("ssl.ca.location", path(&authority)),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
    ];
    for (protocol, has_tls, has_sasl) in [
        ("PLAINTEXT", false, false),
        ("SSL", true, false),
        ("SASL_PLAINTEXT", false, true),
        ("sasl_ssl", true, true),
    ] {
        let settings = [&all[..], &[("security.protocol", protocol)]].concat();
        let security = prepared(&settings).unwrap();
        assert_eq!((security.tls.is_some(), security.sasl.is_some()), (has_tls, has_sasl), "{protocol}");
    }
    // A client that forgot it would send its records without either.
    assert!(refused(&all).contains("security.protocol is not set"));
    assert!(refused(&[("security.protocol", "TLS")]).contains("SASL_SSL"));
}

#[test]
fn trust_and_identity_come_from_files_or_texts_by_either_library_s_names() {
    let authority = Authority::new("a");
    let (chain, key) = authority.client("me");
    let (trust, chain_file, key_file) = (file(authority.certificate()), file(&chain), file(&key));
    let both = file(format!("{chain}{key}"));
    let librdkafka = [
        ("security.protocol", "ssl"),
        ("ssl.ca.location", path(&trust)),
        ("ssl.certificate.location", path(&chain_file)),
        ("ssl.key.location", path(&key_file)),
    ];
    assert!(prepared(&librdkafka).unwrap().tls.unwrap().has_identity);
    let java = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", path(&trust)),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", path(&both)),
    ];
    assert!(prepared(&java).unwrap().tls.unwrap().has_identity);
    // As it is after backslashes at the ends of lines.
    let joined = authority.certificate().replace('\n', " ");
    let texts = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.certificates", joined.as_str()),
        ("ssl.keystore.certificate.chain", &chain),
        ("ssl.keystore.key", &key),
        ("ssl.enabled.protocols", "TLSv1.3"),
        ("ssl.endpoint.identification.algorithm", ""),
    ];
    assert!(prepared(&texts).unwrap().tls.unwrap().has_identity);
}

#[test]
fn what_cannot_be_used_is_named_with_what_to_do() {
    let ssl = |more: &[(&str, &str)]| refused(&[&[("security.protocol", "SSL")], more].concat());
    assert!(ssl(&[("ssl.ca.location", "/nowhere/ca.pem")]).contains("/nowhere/ca.pem: No such file"));
    let none = file("no certificate");
    assert!(ssl(&[("ssl.ca.location", path(&none))]).contains("BEGIN CERTIFICATE"));
    let jks = file([0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]);
    assert!(ssl(&[("ssl.truststore.location", path(&jks))]).contains("keytool -importkeystore"));
    let der = file([0x30, 0x82, 1, 2]);
    assert!(ssl(&[("ssl.keystore.location", path(&der))]).contains("openssl pkcs12"));
    assert!(ssl(&[("ssl.truststore.type", "JKS")]).contains("keytool -importkeystore"));
    assert!(ssl(&[("ssl.keystore.type", "PKCS12")]).contains("openssl pkcs12"));
    let (chain, key) = Authority::new("a").client("me");
    assert!(ssl(&[("ssl.keystore.certificate.chain", &chain)]).contains("needs both"));
    let (_, other) = Authority::new("a").client("me");
    assert_ne!(key, other);
    let mixed = ssl(&[("ssl.certificate.pem", &chain), ("ssl.key.pem", &other)]);
    assert!(mixed.contains("with this certificate"), "{mixed}");
    let unverified = ssl(&[("enable.ssl.certificate.verification", "false")]);
    assert!(unverified.contains("always verified"), "{unverified}");
    assert!(ssl(&[("ssl.enabled.protocols", "SSLv3")]).contains("TLSv1.3"));
    assert!(ssl(&[("ssl.truststore.password", "x")]).contains("PEM has no password"));
    assert!(ssl(&[("ssl.endpoint.identification.algorithm", "no")]).contains("https"));
}

#[test]
fn users_come_from_names_of_their_own_or_from_java_s_line() {
    let sasl = |more: &[(&str, &str)]| {
        let security = prepared(&[&[("security.protocol", "SASL_PLAINTEXT")], more].concat());
        security.map(|security| security.sasl.unwrap().mechanism())
    };
    let account = [("sasl.username", "u"), ("sasl.password", " p ")];
    assert_eq!(sasl(&[&account[..], &[("sasl.mechanisms", "scram-sha-256")]].concat()), Ok("SCRAM-SHA-256"));
    let line = "org.apache.kafka.common.security.scram.ScramLoginModule required username=u password=p;";
    let java = [("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", line)];
    assert_eq!(sasl(&java), Ok("SCRAM-SHA-512"));
    let other = sasl(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", line)]).unwrap_err();
    assert!(other.contains("another mechanism"), "{other}");
    let token = "OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=u;";
    assert_eq!(sasl(&[("sasl.mechanism", "OAUTHBEARER"), ("sasl.jaas.config", token)]), Ok("OAUTHBEARER"));
    assert!(sasl(&[("sasl.mechanism", "OAUTHBEARER")]).unwrap_err().contains("token callback"));
    assert!(sasl(&account).unwrap_err().contains("sasl.mechanism is not set"));
    assert!(sasl(&[("sasl.mechanism", "PLAIN")]).unwrap_err().contains("sasl.username is not set"));
    assert!(sasl(&[("sasl.mechanism", "GSSAPI")]).unwrap_err().contains("SCRAM-SHA-256"));
    let zero = [("sasl.mechanism", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "p\0q")];
    assert!(sasl(&zero).unwrap_err().contains("code 0"));
}

#[test]
fn no_error_and_no_debug_output_shows_a_secret() {
    let key = Authority::new("a").client("me").1;
    let base64 = key.lines().nth(1).unwrap();
    let line = "ScramLoginModule required username=\"u\" password=\"hush\";";
    let settings = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.jaas.config", line),
        ("sasl.password", "hush"),
        ("ssl.key.password", "hush"),
        ("ssl.keystore.key", key.as_str()),
    ];
    let config = AdminConfig::new("h:1").unwrap().with_names(settings).unwrap();
    let typed = Security::sasl_ssl(
        Tls::new().identity_pem("chain", key.clone()).key_password("hush"),
        Sasl::plain("u", "hush"),
    );
    let shown =
        format!("{config:?} {typed:?} {:?}", Security::sasl_plaintext(Sasl::plain("u", "hush")).prepare());
    assert!(!shown.contains("hush") && !shown.contains(base64), "{shown}");
    for (name, value) in [
        ("sasl.password", ""),
        ("sasl.jaas.config", "PlainLoginModule required username=u password=hush"),
        ("ssl.keystore.password", "hush"),
        ("ssl.truststore.password", "hush"),
        ("sasl.pasword", "hush"),
    ] {
        let error = AdminConfig::new("h:1").unwrap().with_names([(name, value)]).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }
    let damaged = key.replace("KEY-----\n", "KEY-----\n*");
    let error = refused(&[
        ("security.protocol", "SSL"),
        ("ssl.keystore.certificate.chain", &Authority::new("a").client("me").0),
        ("ssl.keystore.key", &damaged),
    ]);
    assert!(!error.contains(base64), "{error}");
}
