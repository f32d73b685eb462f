//! A broker must prove who it is: one in between, or one of another name, learns nothing.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use hypocenter::sink::kafka::{KafkaSink, KafkaSinkConfig};
use hypocenter::source::kafka::{KafkaSource, KafkaSourceConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const PATIENCE: Duration = Duration::from_secs(20);

fn authority(name: &str, folder: &Path) -> (CertifiedIssuer<'static, KeyPair>, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let file = folder.join(format!("{name}.pem"));
    fs::write(&file, ca.pem()).unwrap();
    (ca, file)
}

/// Something that speaks TLS where a broker should be. What it says: the bytes that a client sent
/// it after the handshake, 0 when the client left.
fn broker(ca: &CertifiedIssuer<'static, KeyPair>, host: &str) -> (String, Receiver<usize>) {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // An error is the client's refusal, as an alert of TLS.
            let read = stream.read(&mut [0; 1024]).unwrap_or(0);
            if tell.send(read).is_err() {
                return;
            }
        }
    });
    (format!("localhost:{port}"), told)
}

fn ssl(ca: &Path) -> [(String, String); 2] {
    [
        ("security.protocol".to_owned(), "SSL".to_owned()),
        ("ssl.ca.location".to_owned(), ca.to_string_lossy().into_owned()),
    ]
}

fn source(brokers: &str, ca: &Path) -> String {
    let mut config = KafkaSourceConfig::new(brokers, "alerts", "g");
    config.startup_timeout = Duration::from_secs(2);
    config.properties.extend(ssl(ca));
    KafkaSource::new(config).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn only_the_broker_that_is_meant_is_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    let (good, good_file) = authority("good", dir.path());
    let (bad, _) = authority("bad", dir.path());
    for (ca, host, is_meant) in [
        (&good, "localhost", true),
        (&bad, "localhost", false),
        (&good, "elsewhere.example", false),
    ] {
        let (brokers, told) = broker(ca, host);
        let error = source(&brokers, &good_file);
        let read = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(read > 0, is_meant, "{host}: {read} bytes, {error}");
        assert!(error.contains("no broker answered"), "{error}");
    }
}

#[test]
fn verification_cannot_be_turned_off() {
    for (key, value) in [
        ("ssl.endpoint.identification.algorithm", "none"),
        ("enable.ssl.certificate.verification", "false"),
    ] {
        let mut sink = KafkaSinkConfig::new("localhost:1", "incidents");
        sink.properties.insert(key.to_owned(), value.to_owned());
        let error = KafkaSink::new(sink).err().unwrap().to_string();
        assert!(error.contains(&format!("{key} is \"{value}\", but must be")), "{error}");
        let mut source = KafkaSourceConfig::new("localhost:1", "alerts", "g");
        source.properties.insert(key.to_owned(), value.to_owned());
        let error = KafkaSource::new(source).err().unwrap().to_string();
        assert!(error.contains(&format!("{key} is \"{value}\", but must be")), "{error}");
    }
}
