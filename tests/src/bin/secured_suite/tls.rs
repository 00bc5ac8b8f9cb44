//! TLS with Kafka, whose own TLS is Java's.

use std::time::Duration;

use trilog_client::admin::{Admin, AdminConfig};
use trilog_client::security::{Security, Tls};
use trilog_client::{Error, ErrorClass};

use crate::stage::{Listener, admin, pem, refusals, round_trip};

pub(crate) fn trusting() -> Tls {
    Tls::new().trust_file(pem("authority.pem"))
}

/// Records come back that went through TLS, in both versions.
pub(crate) async fn records() {
    round_trip("tls", Listener::Tls, &Security::ssl(trusting())).await;
    for (version, topic) in [("TLSv1.2", "tls-1.2"), ("TLSv1.3", "tls-1.3")] {
        let authority = pem("authority.pem");
        let names = [
            ("security.protocol", "SSL"),
            ("ssl.ca.location", authority.to_str().expect("a path")),
            ("ssl.enabled.protocols", version),
        ];
        let config = AdminConfig::new(&Listener::Tls.address()).and_then(|config| config.with_names(names));
        let admin = Admin::new(config.expect("settings")).expect("an admin client");
        let cluster = admin.describe_cluster().await.unwrap_or_else(|error| panic!("{topic}: {error}"));
        assert_eq!(cluster.brokers.len(), 1);
    }
    round_trip("unnamed", Listener::Elsewhere, &Security::ssl(trusting().without_name_check())).await;
}

/// A broker is refused that another authority has signed for, or for another name.
pub(crate) async fn refused() {
    let stranger = Security::ssl(Tls::new().trust_file(pem("stranger.pem")));
    told(refusals(Listener::Tls, &stranger).await, "ssl.ca.location");
    told(refusals(Listener::Elsewhere, &Security::ssl(trusting())).await, "broker.example.org");
    let unnamed = stranger_without_name();
    told(refusals(Listener::Elsewhere, &unnamed).await, "ssl.ca.location");
}

fn stranger_without_name() -> Security {
    Security::ssl(Tls::new().trust_file(pem("stranger.pem")).without_name_check())
}

/// What a broker that requires a certificate says without one, with one that it does not know, and with the right one.
pub(crate) async fn mutual() {
    let without = admin(Listener::Mutual, Security::ssl(trusting())).ready(Duration::from_secs(10)).await;
    let without = without.expect_err("it requires a certificate").to_string();
    assert!(without.contains("ssl.certificate.location"), "{without}");
    let own = trusting().identity_files(pem("stranger.pem"), pem("stranger.key"));
    let unknown = admin(Listener::Mutual, Security::ssl(own)).ready(Duration::from_secs(10)).await;
    let unknown = unknown.expect_err("it does not know the certificate").to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    let certificate = || pem("client.crt");
    for tls in [
        trusting().identity_files(certificate(), pem("client.key")),
        trusting().identity_files(certificate(), pem("client-sec1.key")),
        trusting().identity_files(certificate(), pem("client-encrypted.key")).key_password("sesame"),
        // Key and certificate in one file, as Java has it.
        trusting().identity_files(pem("client.pem"), pem("client.pem")),
    ] {
        let admin = admin(Listener::Mutual, Security::ssl(tls));
        assert_eq!(admin.describe_cluster().await.expect("it is let in").brokers.len(), 1);
    }
    let tls = trusting().identity_files(certificate(), pem("client.key"));
    round_trip("mutual", Listener::Mutual, &Security::ssl(tls)).await;
}

/// Each error is one of authentication, and says why.
pub(crate) fn told(errors: Vec<Error>, why: &str) {
    for error in errors {
        assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
        assert_eq!(error.class(), ErrorClass::Fatal);
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}
