//! TLS of the server: certificates, versions, and what is asked of clients.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme, SupportedCipherSuite, version,
};
use webpki::EndEntityCert;

use crate::tls_signatures::signatures_by;

use super::web_config::{ClientAuth, Pem, TlsConfig, Version};

/// Go's names for the curves.
const CURVES: [&str; 3] = ["X25519", "CurveP256", "CurveP384"];

/// Whether a cipher suite of this name is spoken.
pub(super) fn is_cipher_suite(name: &str) -> bool {
    ring::ALL_CIPHER_SUITES.iter().any(|suite| suite_name(suite) == name)
}

/// Whether a curve of this name, as Go calls it, is spoken.
pub(super) fn is_curve(name: &str) -> bool {
    CURVES.contains(&name)
}

/// The name as Go has it: the same but for TLS 1.3, where Go does without the `13`.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

/// What accepts TLS connections under a configuration; reads the files that it names.
///
/// # Errors
/// What is wrong with them.
pub(super) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(provider(config));
    let verifier = verifier(config, &provider)?;
    let versions: Vec<_> = [(Version::Tls12, &version::TLS12), (Version::Tls13, &version::TLS13)]
        .into_iter()
        .filter(|(version, _)| (config.versions.0..=config.versions.1).contains(version))
        .map(|(_, version)| version)
        .collect();
    let chain = certificates(&config.cert, "cert_file")?;
    let key = match &config.key {
        Pem::File(path) => PrivateKeyDer::from_pem_file(path),
        Pem::Inline(text) => PrivateKeyDer::from_pem_slice(text.as_bytes()),
    };
    let key = key.map_err(|error| format!("key_file: {}: {error}", place(&config.key)))?;
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| format!("no common TLS version and cipher suite: {error}"))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| format!("certificate and key do not serve: {error}"))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

fn provider(config: &TlsConfig) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !config.cipher_suites.is_empty() {
        // Those of TLS 1.3 are all safe and not to be chosen, in Go either.
        provider.cipher_suites.retain(|suite| {
            suite.tls13().is_some() || config.cipher_suites.contains(&suite_name(suite))
        });
    }
    if !config.curves.is_empty() {
        let groups = [ring::kx_group::X25519, ring::kx_group::SECP256R1, ring::kx_group::SECP384R1];
        let known = CURVES.into_iter().zip(groups);
        let find = |name: &String| known.clone().find(|(known, _)| known == name);
        provider.kx_groups = config.curves.iter().filter_map(find).map(|(_, g)| g).collect();
    }
    provider
}

fn certificates(pem: &Pem, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error| format!("{key}: {}: {error}", place(pem));
    let read: Result<Vec<_>, _> = match pem {
        Pem::File(path) => CertificateDer::pem_file_iter(path).map_err(failed)?.collect(),
        Pem::Inline(text) => CertificateDer::pem_slice_iter(text.as_bytes()).collect(),
    };
    let read = read.map_err(failed)?;
    if read.is_empty() {
        return Err(format!("{key}: {}: there is no certificate in it", place(pem)));
    }
    Ok(read)
}

fn place(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => path.display().to_string(),
        Pem::Inline(_) => "as given in the file".to_owned(),
    }
}

fn verifier(
    config: &TlsConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let provider = Arc::clone(provider);
    match config.client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Request => return Ok(Arc::new(Unverified { provider, mandatory: false })),
        ClientAuth::RequireAny => return Ok(Arc::new(Unverified { provider, mandatory: true })),
        ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify => {}
    }
    let mut roots = RootCertStore::empty();
    if let Some(pem) = &config.client_ca {
        for certificate in certificates(pem, "client_ca_file")? {
            roots.add(certificate).map_err(|error| format!("client_ca_file: {error}"))?;
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match config.client_auth {
        ClientAuth::VerifyIfGiven => builder.allow_unauthenticated(),
        _ => builder,
    };
    let inner = builder.build().map_err(|error| format!("client_ca_file: {error}"))?;
    if config.client_sans.is_empty() {
        return Ok(inner);
    }
    Ok(Arc::new(Named { inner, sans: config.client_sans.clone() }))
}

/// Takes any certificate whose key the client has.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
    mandatory: bool,
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    signatures_by!(provider);
}

/// Asks besides that one of the certificate's alternative names is in a list.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    sans: Vec<String>,
}

impl Named {
    fn is_allowed(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
        let is = |san: &str| {
            // Taken to the letter, as the toolkit does: a wildcard in the certificate is no match.
            certificate.valid_dns_names().any(|name| name == san)
                || certificate.valid_uri_names().any(|name| name == san)
                || san.parse::<IpAddr>().is_ok_and(|address| {
                    let name = ServerName::IpAddress(address.into());
                    certificate.verify_is_valid_for_subject_name(&name).is_ok()
                })
        };
        self.sans.iter().any(|san| is(san))
    }
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        if self.is_allowed(end_entity) {
            Ok(verified)
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
