use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::redact::Secret;

const LONG: Duration = Duration::from_secs(20);

/// One request as a server saw it: head and body.
pub(crate) type Seen = (String, String);

/// An HTTP server on the loopback interface that answers as a function says; to the answer `hang`
/// it says nothing and keeps the connection.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

type Respond = dyn Fn(&str, &str) -> String + Send + Sync;

impl TestServer {
    pub(crate) fn start(respond: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), None, respond)
    }

    pub(crate) fn on(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        respond: impl Fn(&str, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("bound");
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (all, respond) = (Arc::clone(&seen), Arc::<Respond>::from(Box::new(respond) as Box<_>));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, respond, tls) = (Arc::clone(&all), Arc::clone(&respond), tls.clone());
                thread::spawn(move || match tls {
                    None => serve(stream, &all, &*respond),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a configuration");
                        serve(StreamOwned::new(connection, stream), &all, &*respond);
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }
}

fn serve(stream: impl Read + Write, seen: &Mutex<Vec<Seen>>, respond: &Respond) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader) {
        seen.lock().expect("not poisoned").push((head.clone(), body.clone()));
        let answer = respond(&head, &body);
        if answer == "hang" {
            thread::sleep(LONG);
            return;
        }
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request on a connection, unless that has ended.
pub(crate) fn request(reader: &mut impl BufRead) -> Option<Seen> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.lines().next().expect("a line").parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    Some((head, String::from_utf8(body).expect("text")))
}

/// Waits until something is so, for twenty seconds at most.
pub(crate) fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A whole answer with a length.
pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn get(url: &str, config: &HttpConfig) -> Result<Answer, ClientError> {
    Client::new(url, config, LONG).expect("a client").get("/x", 1000)
}

/// The first value of a header of the last request.
fn header(server: &TestServer, name: &str) -> Option<String> {
    let seen = server.seen();
    let (head, _) = seen.last().expect("a request");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

#[test]
fn it_says_who_it_is() {
    let server = TestServer::start(|_, _| answer("200 OK", "fine"));
    let found = get(&server.url(), &HttpConfig::default()).expect("an answer");
    assert_eq!((found.status, &found.body[..], found.truncated), (200, &b"fine"[..], false));
    assert_eq!(header(&server, "user-agent").as_deref(), Some(USER_AGENT));
    assert_eq!(header(&server, "authorization"), None);
}

#[test]
fn credentials_and_headers_are_sent_and_read_at_each_use() {
    let server = TestServer::start(|_, _| answer("200 OK", ""));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret");
    fs::write(&file, "first\n").expect("written");
    let inline = |text: &str| Credential::Inline(Secret::new(text.to_owned()));
    let basic = Authorization::Basic { username: "u".to_owned(), password: inline("p:w") };
    let mut config = HttpConfig { authorization: basic, ..HttpConfig::default() };
    config.headers.push(("X-Scope-OrgID".to_owned(), inline("tenant")));
    get(&server.url(), &config).expect("an answer");
    assert_eq!(header(&server, "authorization").as_deref(), Some("Basic dTpwOnc="));
    assert_eq!(header(&server, "x-scope-orgid").as_deref(), Some("tenant"));

    let credentials = Credential::File(file.clone());
    config.authorization = Authorization::Token { scheme: "Bearer".to_owned(), credentials };
    let client = Client::new(&server.url(), &config, LONG).expect("a client");
    client.get("/", 9).expect("an answer");
    assert_eq!(header(&server, "authorization").as_deref(), Some("Bearer first"));
    fs::write(&file, "second").expect("written");
    client.get("/", 9).expect("an answer");
    assert_eq!(header(&server, "authorization").as_deref(), Some("Bearer second"));
    fs::write(&file, "two\nlines").expect("written");
    let error = client.get("/", 9).expect_err("no header").to_string();
    assert!(error.contains("a line end") && !error.contains("two"), "{error}");
    fs::remove_file(&file).expect("removed");
    let error = client.get("/", 9).expect_err("no secret").to_string();
    assert!(error.ends_with("secret: there is no such file; check the path"), "{error}");
    assert_eq!(server.seen().len(), 3, "nothing went out without its secret");
}

#[test]
fn answers_are_read_up_to_a_limit_and_waits_end() {
    let long = "x".repeat(100_000);
    let server = TestServer::start(move |head, _| match head {
        _ if head.contains("/long") => answer("200 OK", &long),
        _ if head.contains("/endless") => {
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffff\r\n{long}")
        }
        _ if head.contains("/head") => format!("HTTP/1.1 200 OK\r\nx: {}", long.repeat(10)),
        _ => "hang".to_owned(),
    });
    let client =
        Client::new(&server.url(), &HttpConfig::default(), Duration::from_secs(1)).expect("one");
    let found = client.get("/long", 10).expect("an answer");
    assert_eq!((found.body.len(), found.truncated), (10, true));
    let found = client.get("/endless", 10).expect("an answer");
    assert!(found.truncated);
    let error = client.get("/head", 10).expect_err("a head without end");
    assert!(matches!(error, ClientError::Unavailable(_)), "{error}");
    let error = client.get("/hang", 10).expect_err("silence");
    assert_eq!(error.to_string(), "timeout: global");
}

#[test]
fn redirects_are_followed_only_where_asked_and_never_with_credentials_or_to_here() {
    let target = TestServer::start(|_, _| answer("200 OK", "target"));
    let to =
        format!("HTTP/1.1 302 Found\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", target.url());
    let server = TestServer::start(move |_, _| to.clone());
    let credentials = Credential::Inline(Secret::new("hush".to_owned()));
    let authorization = Authorization::Token { scheme: "Bearer".to_owned(), credentials };
    let mut config = HttpConfig { authorization, ..HttpConfig::default() };
    assert_eq!(get(&server.url(), &config).expect("an answer").status, 302);
    assert!(target.seen().is_empty());
    config.follow_redirects = true;
    assert_eq!(get(&server.url(), &config).expect("an answer").body, b"target");
    assert_eq!(header(&target, "authorization"), None);
}

#[test]
fn a_name_for_this_machine_is_refused_unless_allowed() {
    let server = TestServer::start(|_, _| answer("200 OK", ""));
    // The system's resolver takes the number for 127.0.0.1.
    let url = format!("http://2130706433:{}", server.address.port());
    let error = get(&url, &HttpConfig::default()).expect_err("refused").to_string();
    assert!(error.contains("127.0.0.1, which is not connected to"), "{error}");
    assert!(server.seen().is_empty());
    let allow_addresses = vec!["127.0.0.0/8".parse().expect("a range")];
    let config = HttpConfig { allow_addresses, ..HttpConfig::default() };
    assert_eq!(get(&url, &config).expect("an answer").status, 200);
}

#[test]
fn connections_go_through_the_proxy() {
    let server = TestServer::start(|_, _| answer("200 OK", "behind"));
    // A proxy that knows the CONNECT method and little else.
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://u:p@{}", proxy.local_addr().expect("bound"));
    let target = server.address;
    let (tell, told) = crossbeam_channel::unbounded();
    thread::spawn(move || {
        let (mut client, _) = proxy.accept().expect("a client");
        let mut head = String::new();
        let mut reader = BufReader::new(client.try_clone().expect("a clone"));
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).expect("a line");
        }
        tell.send(head).expect("heard");
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("written");
        let mut far = TcpStream::connect(target).expect("the server");
        let (mut from, mut to) =
            (far.try_clone().expect("a clone"), client.try_clone().expect("a clone"));
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut reader, &mut far).ok();
    });
    let config =
        HttpConfig { proxy_url: Some(crate::config::ProxyUrl(url)), ..HttpConfig::default() };
    let found = get("http://inside.example:9093", &config).expect("an answer");
    assert_eq!(found.body, b"behind");
    let head = told.recv_timeout(LONG).expect("a request");
    assert!(head.starts_with("CONNECT inside.example:9093 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic dTpw"), "{head}");
}

/// An authority and what it has signed, as files.
struct Pki {
    dir: tempfile::TempDir,
    ca: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // Each of them has its own name: of namesakes only the signature would tell.
        let name = dir.path().to_string_lossy().into_owned();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().expect("a key");
        let ca = rcgen::CertifiedIssuer::self_signed(params, key).expect("an authority");
        fs::write(dir.path().join("ca.pem"), ca.pem()).expect("written");
        Self { dir, ca }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `name.pem` and `name.key` for a host name.
    fn sign(&self, name: &str, host: &str, expired: bool) {
        let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("parameters");
        if expired {
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.ca).expect("signed");
        fs::write(self.file(&format!("{name}.pem")), cert.pem()).expect("written");
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).expect("written");
    }

    /// A server that shows `name` and asks for a certificate of this authority if `mutual`.
    fn server(&self, name: &str, mutual: bool) -> TestServer {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pem = |name: String| fs::read(self.file(&name)).expect("read");
        let cert = CertificateDer::from_pem_slice(&pem(format!("{name}.pem"))).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(&pem(format!("{name}.key"))).expect("PEM");
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if mutual {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(self.ca.der().clone()).expect("added");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![cert], key).expect("a pair");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        TestServer::on(listener, Some(Arc::new(config)), |_, _| answer("200 OK", "safe"))
    }

    fn config(&self) -> HttpConfig {
        let ca_file = Some(self.file("ca.pem"));
        HttpConfig { tls: ClientTls { ca_file, ..ClientTls::default() }, ..HttpConfig::default() }
    }
}

fn tls_error(server: &TestServer, config: &HttpConfig) -> String {
    let url = format!("https://localhost:{}", server.address.port());
    let error = get(&url, config).expect_err("refused");
    assert!(matches!(error, ClientError::Unavailable(_)), "{error}");
    assert!(server.seen().is_empty(), "no request goes to a server that is not trusted");
    error.to_string()
}

#[test]
fn servers_are_verified_by_authority_name_and_time() {
    let pki = Pki::new();
    pki.sign("good", "localhost", false);
    pki.sign("other", "am.example", false);
    pki.sign("old", "localhost", true);
    let url = |server: &TestServer| format!("https://localhost:{}", server.address.port());

    let good = pki.server("good", false);
    assert_eq!(get(&url(&good), &pki.config()).expect("an answer").body, b"safe");
    // Somebody in between, with a certificate of an authority of his own.
    let stranger = tls_error(&pki.server("good", false), &Pki::new().config());
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");
    // The authorities of the system do not know ours either.
    if !rustls_native_certs::load_native_certs().certs.is_empty() {
        let system = tls_error(&pki.server("good", false), &HttpConfig::default());
        assert!(system.contains("UnknownIssuer"), "{system}");
    }
    let other = pki.server("other", false);
    let wrong = tls_error(&other, &pki.config());
    assert!(wrong.contains("not valid for name"), "{wrong}");
    let old = tls_error(&pki.server("old", false), &pki.config());
    assert!(old.contains("expired"), "{old}");

    let mut config = pki.config();
    config.tls.server_name = Some("am.example".to_owned());
    assert_eq!(get(&url(&other), &config).expect("an answer").body, b"safe");
    config.tls = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    let old = pki.server("old", false);
    assert_eq!(get(&url(&old), &config).expect("an answer").body, b"safe");
}

#[test]
fn client_certificates_are_shown_and_read_again_when_they_change() {
    let pki = Pki::new();
    pki.sign("server", "localhost", false);
    let stranger = Pki::new();
    stranger.sign("client", "client.example", false);
    let server = pki.server("server", true);
    let url = format!("https://localhost:{}", server.address.port());
    let mut config = pki.config();
    tls_error(&server, &config);
    let copy = |from: &Pki| {
        for (file, to) in [("client.pem", "own.pem"), ("client.key", "own.key")] {
            fs::copy(from.file(file), pki.file(to)).expect("copied");
        }
    };
    copy(&stranger);
    config.tls.cert_file = Some(pki.file("own.pem"));
    config.tls.key_file = Some(pki.file("own.key"));
    config.tls.min_version = crate::config::TlsVersion::Tls13;
    let client = Client::new(&url, &config, LONG).expect("a client");
    client.get("/", 9).expect_err("a stranger's certificate");
    // Half of a change, as while files are being copied: the old agent goes on.
    fs::write(pki.file("own.key"), "half a ke").expect("written");
    client.get("/", 9).expect_err("still a stranger's");
    pki.sign("client", "client.example", false);
    copy(&pki);
    assert_eq!(client.get("/", 9).expect("an answer").body, b"safe");
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let pki = Pki::new();
    pki.sign("client", "c", false);
    let refused = |change: &dyn Fn(&mut ClientTls)| {
        let mut config = pki.config();
        change(&mut config.tls);
        Client::new("https://localhost", &config, LONG).expect_err("refused")
    };
    let missing = refused(&|tls| tls.ca_file = Some(pki.file("none.pem")));
    assert!(missing.ends_with("none.pem: there is no such file; check the path"), "{missing}");
    let no_cert = refused(&|tls| tls.ca_file = Some(pki.file("client.key")));
    assert!(no_cert.ends_with("client.key: has no certificate in PEM"), "{no_cert}");
    let no_key = refused(&|tls| {
        (tls.cert_file, tls.key_file) =
            (Some(pki.file("client.pem")), Some(pki.file("client.pem")));
    });
    assert!(no_key.ends_with("client.pem: has no private key in PEM"), "{no_key}");
}

/// Everything that a secret could slip into, searched for it.
#[test]
fn secrets_are_not_in_what_people_read() {
    const CANARY: &str = "c4n4ry";
    let text = format!(
        "outputs:
  - type: webhook
    url: http://user:{CANARY}@127.0.0.1:1/{CANARY}?token={CANARY}
    http_config:
      basic_auth: {{username: u, password: {CANARY}}}
      proxy_url: http://u:{CANARY}@127.0.0.1:2
      http_headers: {{X-Key: {{secrets: [{CANARY}], values: [{CANARY}]}}}}
"
    );
    let config = crate::config::Config::parse(&text).expect("valid");
    let shown = format!("{config:?}");
    assert!(shown.contains("<secret>") && !shown.contains(CANARY), "{shown}");
    let crate::config::Output::Webhook(webhook) = &config.outputs[0] else { panic!("a webhook") };
    let client = Client::new(&webhook.url, &webhook.http, LONG).expect("a client");
    let error = client.post("", &[], b"{}", 9).expect_err("nobody listens");
    let shown = format!("{client:?} {error} {error:?} {}", client.place());
    assert!(!shown.contains(CANARY), "{shown}");
    // Mistakes do not show them either.
    for wrong in [
        format!("proxy_url: socks5://u:{CANARY}@h"),
        format!("proxy_url: ':{CANARY}'"),
        format!("{{basic_auth: {{password: {CANARY}}}}}"),
        format!("{{authorization: {{credentials: {CANARY}, credentials_file: f}}}}"),
        format!("{{http_headers: {{Authorization: {{secrets: [{CANARY}]}}}}}}"),
        format!("{{http_headers: {{X: {{secrets: {CANARY}}}}}}}"),
        format!("{{basic_auth: {{username: u, password: [{CANARY}]}}}}"),
        format!("{{authorization: {CANARY}}}"),
        format!("{{follow_redirects: {CANARY}, tls_config: {CANARY}}}"),
        CANARY.to_owned(),
    ] {
        let text = format!(
            "outputs:\n  - type: webhook\n    url: http://h\n    http_config:\n      {wrong}\n"
        );
        let problems = crate::config::Config::parse(&text).expect_err(&wrong);
        let shown: String = problems.iter().map(|p| format!("{p}\n")).collect();
        assert!(!shown.contains(CANARY), "{shown}");
    }
}
