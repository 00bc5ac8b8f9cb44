//! The command line, told by a file of settings as Kafka's own tools have it.

use std::io::Write;
use std::process::Output;

use tempfile::NamedTempFile;
use tokio::process::Command;

use crate::stage::{Listener, PLAIN_SECRET, SCRAM_SECRET, pem, variable};

async fn trilog(listener: Listener, settings: &str, arguments: &[&str]) -> Output {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(settings.as_bytes()).expect("it is written");
    let mut command = Command::new(variable("SECURED_TRILOG"));
    command.args(arguments).args(["-b", &listener.address(), "--config"]).arg(file.path());
    command.output().await.expect("the program runs")
}

/// Commands work by each protocol, and say in one line why they do not.
pub(crate) async fn files() {
    let authority = pem("authority.pem").display().to_string();
    let (certificate, key) =
        (pem("client.crt").display().to_string(), pem("client-encrypted.key").display().to_string());
    let keystore = pem("client.pem").display().to_string();
    let module = "org.apache.kafka.common.security";
    let tls = format!("ssl.ca.location={authority}\n");
    for (listener, settings) in [
        (Listener::Tls, format!("security.protocol=SSL\n{tls}")),
        (
            Listener::Mutual,
            format!(
                "security.protocol=SSL\n{tls}ssl.certificate.location={certificate}\nssl.key.location={key}\nssl.key.password=sesame\n"
            ),
        ),
        (
            Listener::Mutual,
            format!(
                "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location={authority}\nssl.keystore.type=PEM\nssl.keystore.location={keystore}\n"
            ),
        ),
        (
            Listener::Elsewhere,
            format!("security.protocol=SSL\n{tls}ssl.endpoint.identification.algorithm=\n"),
        ),
        (
            Listener::Sasl,
            format!(
                "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={module}.plain.PlainLoginModule required \\\n  username=\"alice\" \\\n  password=\"{PLAIN_SECRET}\";\n"
            ),
        ),
        (
            Listener::SaslTls,
            format!(
                "security.protocol=SASL_SSL\n{tls}sasl.mechanisms=SCRAM-SHA-512\nsasl.username=al=i,ce\nsasl.password={SCRAM_SECRET}\n"
            ),
        ),
        (
            Listener::SaslTls,
            format!(
                "security.protocol=SASL_SSL\n{tls}sasl.mechanism=OAUTHBEARER\nsasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"alice\";\n"
            ),
        ),
    ] {
        let output = trilog(listener, &settings, &["topic", "list"]).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{listener:?}: {said}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("PARTITIONS"), "{listener:?}: {output:?}");
    }
    let wrong =
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=alice\nsasl.password=hush\n";
    for arguments in [&["topic", "list"][..], &["consume", "t"], &["cluster", "info"]] {
        let output = trilog(Listener::Sasl, wrong, arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("Authentication failed") && !said.contains("hush"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let misspelt = trilog(Listener::Sasl, "sasl.mecanism=PLAIN\n", &["topic", "list"]).await;
    let said = String::from_utf8_lossy(&misspelt.stderr);
    assert_eq!(misspelt.status.code(), Some(2), "{said}");
    assert!(said.contains("did you mean \"sasl.mechanism\""), "{said}");
}
