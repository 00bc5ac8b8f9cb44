//! A client that speaks another protocol than the listener.

use std::time::Duration;

use trilog_client::security::{Sasl, Security};

use crate::stage::{Listener, PLAIN_SECRET, admin};
use crate::tls::trusting;

/// Each pair that does not fit has a sentence that names the setting.
pub(crate) async fn protocols() {
    let plain = || Sasl::plain("alice", PLAIN_SECRET);
    for (listener, security, advice) in [
        (Listener::Tls, Security::plaintext(), "SSL or SASL_SSL"),
        (Listener::SaslTls, Security::sasl_plaintext(plain()), "SSL or SASL_SSL"),
        (Listener::Plaintext, Security::ssl(trusting()), "PLAINTEXT or SASL_PLAINTEXT"),
        (Listener::Sasl, Security::sasl_ssl(trusting(), plain()), "PLAINTEXT or SASL_PLAINTEXT"),
        (Listener::Sasl, Security::plaintext(), "SASL_SSL or SASL_PLAINTEXT"),
        (Listener::SaslTls, Security::ssl(trusting()), "SASL_SSL or SASL_PLAINTEXT"),
        (
            Listener::Plaintext,
            Security::sasl_plaintext(plain()),
            "security.protocol is PLAINTEXT or SSL there",
        ),
        (
            Listener::Tls,
            Security::sasl_ssl(trusting(), plain()),
            "security.protocol is PLAINTEXT or SSL there",
        ),
    ] {
        let outcome = admin(listener, security).ready(Duration::from_secs(3)).await;
        let error = outcome.expect_err("they do not fit").to_string();
        assert!(error.contains(advice), "{listener:?}: {error}");
    }
}
