//! What is wrong with TLS, in a sentence that says what to set.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError};

/// Why TLS did not come about, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFailure {
    /// Whether one side does not accept the other's certificate: another attempt will not help.
    pub(crate) is_refusal: bool,
    /// A sentence without a full stop.
    pub(crate) cause: String,
}

/// What an error of a TLS connection to `host` means. None if it is not TLS's own.
pub(crate) fn explain(error: &io::Error, host: &str, has_identity: bool) -> Option<TlsFailure> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let (is_refusal, cause) = match error {
        Error::InvalidCertificate(certificate) => (true, of_certificate(certificate, host)),
        Error::AlertReceived(alert) => of_alert(*alert, has_identity),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => {
            let advice = "it does not speak TLS there: set security.protocol to PLAINTEXT or SASL_PLAINTEXT, or name the port of a TLS listener";
            (false, advice.to_owned())
        }
        Error::PeerIncompatible(why) => {
            (false, format!("it and this client have no version or cipher of TLS in common ({why:?})"))
        }
        other => (false, format!("it breaks the rules of TLS: {other}")),
    };
    Some(TlsFailure { is_refusal, cause })
}

fn of_certificate(error: &CertificateError, host: &str) -> String {
    let clock = "or this machine's clock is wrong";
    match error {
        CertificateError::UnknownIssuer => "its certificate is signed by an authority that this client does not trust: \
             set ssl.ca.location to that authority's certificate (PEM)"
            .to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate, or that of its authority, has expired: it needs a new one, {clock}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("its certificate is not valid yet: it needs another one, {clock}")
        }
        CertificateError::NotValidForName => other_name("for another name", host),
        CertificateError::NotValidForNameContext { presented, .. } => match presented.as_slice() {
            [] => other_name("for no name", host),
            names => {
                let names: Vec<_> = names.iter().map(|name| plain(name)).collect();
                other_name(&format!("for {}", names.join(", ")), host)
            }
        },
        CertificateError::BadSignature => {
            "its certificate is not signed by the authority of that name: ssl.ca.location may have an older certificate of it"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not made for servers: it needs one with serverAuth among its extended key usages".to_owned()
        }
        CertificateError::Other(OtherError(cause)) if cause.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority (CA:TRUE): it needs one with CA:FALSE, signed by itself or by that authority"
                .to_owned()
        }
        other => format!("its certificate cannot be accepted: {other}"),
    }
}

/// The name in a certificate, without the kind that rustls writes around it.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn other_name(names: &str, host: &str) -> String {
    format!(
        "its certificate is {names} and not for {host}: use a name of the certificate, in bootstrap.servers and the broker's advertised.listeners, \
         or set ssl.endpoint.identification.algorithm to nothing to leave the name unchecked"
    )
}

/// An alert is the broker's word about this client.
fn of_alert(alert: AlertDescription, has_identity: bool) -> (bool, String) {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => (true, requires_certificate()),
        // Java says so of a certificate that is missing, too.
        Alert::BadCertificate | Alert::HandshakeFailure if !has_identity => (true, requires_certificate()),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
            if has_identity =>
        {
            let advice = "ssl.certificate.location and ssl.key.location need one that an authority of its truststore has signed";
            (true, format!("it does not accept this client's certificate ({alert:?}): {advice}"))
        }
        Alert::ProtocolVersion => (false, "it speaks no version of TLS from 1.2 on".to_owned()),
        _ => (false, format!("it ends TLS with the alert {alert:?}")),
    }
}

fn requires_certificate() -> String {
    "it requires a client certificate: set ssl.certificate.location and ssl.key.location".to_owned()
}
