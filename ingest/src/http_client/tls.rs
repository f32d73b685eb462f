//! TLS of clients: rustls, with the roots, the certificate and the server name of `tls_config`.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::config::{ClientTls, TlsVersion};
use crate::tls_signatures::signatures_by;

/// Largest file of certificates or keys, in bytes: the bundles of systems have 250 kB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Wraps connections to `https` URLs.
#[derive(Clone, Debug)]
pub(super) struct TlsConnector {
    config: Arc<ClientConfig>,
    /// Host of the URL, and the name that its certificate must have instead.
    renamed: Option<(String, ServerName<'static>)>,
}

impl TlsConnector {
    /// Reads the files that `tls` names. `host` is that of the URL.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub(super) fn new(tls: &ClientTls, host: &str) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = match tls.min_version {
            TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let failed = |error: rustls::Error| format!("tls_config: {error}");
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier(tls, &provider)?);
        let config = match (&tls.cert_file, &tls.key_file) {
            (Some(cert), Some(key)) => {
                let text = read(key)?;
                let key_der = PrivateKeyDer::from_pem_slice(text.as_bytes())
                    // The parser's own words might show the key.
                    .map_err(|_| format!("{}: has no private key in PEM", key.display()))?;
                builder
                    .with_client_auth_cert(certificates(cert)?, key_der)
                    .map_err(|error| format!("{} with its key: {error}", cert.display()))?
            }
            _ => builder.with_no_client_auth(),
        };
        let renamed = match &tls.server_name {
            None => None,
            Some(name) => {
                let server = ServerName::try_from(name.clone())
                    .map_err(|_| format!("tls_config.server_name: {name} is no host name"))?;
                Some((host.to_owned(), server))
            }
        };
        Ok(Self { config: Arc::new(config), renamed })
    }
}

fn verifier(
    tls: &ClientTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if tls.insecure_skip_verify {
        return Ok(Arc::new(Anybody(Arc::clone(provider))));
    }
    let mut roots = RootCertStore::empty();
    match &tls.ca_file {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = "the system has no certificates of authorities; install them, or name \
                           yours in tls_config.ca_file";
                return Err(why.to_owned());
            }
        }
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(built.build().map_err(|error| format!("tls_config: {error}"))?)
}

fn read(file: &Path) -> Result<String, String> {
    crate::text_file::read(file, FILE_BYTES_MAX)
        .map_err(|what| format!("{}: {what}", file.display()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{}: has no certificate in PEM", file.display())),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let name = match &self.renamed {
            Some((of, name)) if of == host => name.clone(),
            _ => ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
                .map_err(|_| ureq::Error::Tls("the host of the URL is no host name"))?,
        };
        let connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        let transport: Box<dyn Transport> = Box::new(transport);
        let mut socket = TransportAdapter::new(transport, details.current_time.clone());
        socket.set_timeout(details.timeout);
        let mut stream = StreamOwned::new(connection, socket);
        // The handshake here, so that its errors are told as such.
        stream.conn.complete_io(&mut stream.sock)?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        Ok(Some(Either::B(TlsTransport { buffers, stream })))
    }
}

/// A connection with TLS.
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Takes any certificate, as `insecure_skip_verify` asks for; signatures are still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    signatures_by!(0);
}
