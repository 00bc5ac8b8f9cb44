//! A client with TLS or SASL at listeners without. `tests/compat/secured` has listeners with both.

use std::time::{Duration, Instant};

use trilog_client::admin::{Admin, AdminConfig};
use trilog_client::security::{Sasl, Security, Tls};
use trilog_client::{Error, ErrorClass};

use crate::stage::Stage;

/// Each call fails with a sentence that names the setting: SASL at once, as no time mends it.
pub(crate) async fn lacking(stage: Stage) {
    let sasl = || Sasl::plain("alice", "hush");
    let started = Instant::now();
    let error = outcome(&stage, Security::sasl_plaintext(sasl())).await;
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert!(error.to_string().contains("security.protocol is PLAINTEXT"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15), "it took {:?}", started.elapsed());
    for security in [Security::ssl(trust()), Security::sasl_ssl(trust(), sasl())] {
        let error = outcome(&stage, security).await;
        assert!(error.to_string().contains("PLAINTEXT or SASL_PLAINTEXT"), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

/// TLS that trusts a certificate made here: the system may have none.
fn trust() -> Tls {
    let made = rcgen::generate_simple_self_signed(["authority".to_owned()]).expect("a certificate");
    Tls::new().trust_pem(made.cert.pem())
}

async fn outcome(stage: &Stage, security: Security) -> Error {
    let config = AdminConfig::new(&stage.bootstrap).expect("addresses").security(security);
    let admin = Admin::new(config).expect("an admin client");
    admin.ready(Duration::from_secs(4)).await.expect_err("the listener is PLAINTEXT")
}
