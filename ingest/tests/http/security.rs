//! Who may ask.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hypocenter::commands::servers;
use hypocenter::config::{Config, Input};

use crate::common::{Daemon, JSON, alert, connect, request, try_answer};

pub(crate) fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    let both = format!("{user}:{password}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(both);
    format!("Authorization: Basic {encoded}\r\n")
}

/// A web configuration file with one user.
pub(crate) fn users(user: &str, password: &str) -> String {
    format!("basic_auth_users: {{{user}: '{}'}}\n", bcrypt::hash(password, 4).unwrap())
}

fn with_users() -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.yml"), users("alice", "right")).unwrap();
    Daemon::in_dir(dir, "web: {listen_address: '127.0.0.1:0', config_file: DIR/web.yml}\n")
}

#[test]
fn every_route_asks_for_the_password_on_every_listener() {
    let daemon = with_users();
    let routes = [
        ("GET", "/metrics"),
        ("GET", "/-/healthy"),
        ("GET", "/api/v1/incidents"),
        ("GET", "/api/v2/alerts"),
        ("POST", "/api/v2/alerts"),
        ("POST", "/webhook"),
        ("GET", "/nothing"),
    ];
    let wrong = [
        String::new(),
        basic("alice", "wrong"),
        basic("bob", "right"),
        basic("", ""),
        "Authorization: Bearer right\r\n".to_owned(),
        "Authorization: Basic !!!\r\n".to_owned(),
        "Authorization: Basic\r\n".to_owned(),
    ];
    for address in [daemon.web, daemon.intake] {
        for (method, path) in routes {
            for credentials in &wrong {
                let headers = format!("{JSON}{credentials}");
                let refused = request(address, method, path, &headers, b"[]");
                assert_eq!(refused.status, 401, "{method} {path} {credentials}");
                assert!(refused.head.to_ascii_lowercase().contains("www-authenticate: basic"));
            }
        }
    }
    let headers = format!("{JSON}{}", basic("alice", "right"));
    for _ in 0..3 {
        assert_eq!(
            request(daemon.intake, "POST", "/api/v2/alerts", &headers, &alert("a")).status,
            200
        );
        assert_eq!(request(daemon.web, "GET", "/metrics", &headers, b"").status, 200);
    }
}

#[test]
fn a_changed_file_counts_without_a_restart_and_a_wrong_one_changes_nothing() {
    let daemon = with_users();
    let file = daemon.dir.path().join("web.yml");
    let status = |password: &str| {
        request(daemon.web, "GET", "/-/healthy", &basic("alice", password), b"").status
    };
    assert_eq!((status("right"), status("other")), (200, 401));
    fs::write(&file, "basic_auth_users: {alice: plain}\nnonsense: 1\n").unwrap();
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!((status("right"), status("other")), (200, 401), "what was right goes on");
    fs::write(&file, users("alice", "other")).unwrap();
    let began = Instant::now();
    while status("other") != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "never read again");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(status("right"), 401);
}

#[test]
fn the_rate_of_requests_is_limited_where_the_file_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.yml"), "rate_limit: {interval: 1h, burst: 3}\n").unwrap();
    let web = "web: {listen_address: '127.0.0.1:0', config_file: DIR/web.yml}\n";
    let daemon = Daemon::in_dir(dir, web);
    let mut statuses: Vec<u16> = (0..4).map(|_| daemon.read("/-/healthy").status).collect();
    statuses.push(daemon.post("/api/v2/alerts", &alert("a")).status);
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[test]
fn addresses_are_loopback_and_two_by_default() {
    let config = Config::parse("input: {type: http}\n").unwrap();
    let Input::Http(http) = &config.input else { panic!("as configured") };
    let all = [&http.listen_addresses[..], &config.web.listen_addresses[..]].concat();
    assert!(all.iter().all(|address| address.ip().is_loopback()), "{all:?}");
    assert_ne!(http.listen_addresses, config.web.listen_addresses, "what posts does not manage");
}

#[test]
fn http_2_is_not_spoken() {
    let daemon = Daemon::start();
    let mut stream = connect(daemon.intake);
    // The preface, settings, and a stream that is reset at once, many times.
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for id in (1..2_000_u32).step_by(2) {
        frames.extend([0, 0, 1, 1, 5]);
        frames.extend(id.to_be_bytes());
        frames.push(0x82);
        frames.extend([0, 0, 4, 3, 0]);
        frames.extend(id.to_be_bytes());
        frames.extend([0, 0, 0, 8]);
    }
    // It may be closed before all is written.
    stream.write_all(&frames).ok();
    assert!(try_answer(&mut stream).is_none_or(|answer| answer.status == 400));
    let upgrade =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    assert_eq!(request(daemon.intake, "GET", "/-/healthy", upgrade, b"").status, 200, "not 101");
    assert_eq!(daemon.post("/api/v2/alerts", &alert("a")).status, 200);
}

#[test]
fn paths_name_routes_and_incidents_and_never_files() {
    let daemon = Daemon::start();
    let long = "x".repeat(300);
    for name in
        ["..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%00", "..", &long, "%2e%2e%2fweb.yml"]
    {
        for path in [format!("/api/v1/incidents/{name}"), format!("/{name}")] {
            assert_eq!(daemon.read(&path).status, 404, "{path}");
        }
    }
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let daemon = Daemon::start();
    let post = |origin: &str| {
        let headers = format!("{JSON}Origin: {origin}\r\n");
        request(daemon.intake, "POST", "/api/v2/alerts", &headers, &alert("a")).status
    };
    assert_eq!(post("https://evil.example"), 403);
    assert_eq!(post("null"), 403);
    assert_eq!(post(&format!("http://{}", daemon.intake)), 200);
    // What a form of another site can send without asking first.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let headers = format!("Content-Type: {kind}\r\n");
        let refused = request(daemon.intake, "POST", "/webhook", &headers, &alert("a"));
        assert_eq!(refused.status, 415);
    }
}

#[test]
fn listening_beyond_this_machine_needs_authentication_or_a_word() {
    let open = |text: &str| {
        let config = Config::parse(text).unwrap();
        servers::securities(&config).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(open(""), Ok(()));
    let error = open("web: {listen_address: ':0'}\n").unwrap_err();
    assert!(error.contains("web.allow_unauthenticated: true"), "{error}");
    let http = "input: {type: http, listen_address: ['127.0.0.1:0', '0.0.0.0:0']}\n";
    assert!(open(http).unwrap_err().contains("input.listen_address"));
    assert_eq!(open(&format!("{http}web: {{allow_unauthenticated: true}}\n")), Ok(()));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    fs::write(&file, users("alice", "right")).unwrap();
    let with = format!("web: {{listen_address: ':0', config_file: {}}}\n", file.display());
    assert_eq!(open(&with), Ok(()));
}

#[test]
fn text_of_alerts_stays_text() {
    let daemon = Daemon::start();
    let evil = "<script>alert(1)</script>\u{1b}[31m\u{202e}\n\"'";
    let body = serde_json::json!([{
        "labels": {"alertname": evil, "service": evil},
        "annotations": {"summary": evil},
        "generatorURL": "javascript:alert(1)",
    }]);
    assert_eq!(daemon.post("/api/v2/alerts", body.to_string().as_bytes()).status, 200);
    daemon.until("/api/v1/incidents", |answer| answer.text().contains("\\u001b"));
    for path in
        ["/api/v2/alerts", "/api/v2/alerts/groups", "/api/v1/incidents", "/api/v2/%3Cscript%3E"]
    {
        let answer = daemon.read(path);
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("content-type: application/json"), "{path}: {head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        assert!(!answer.text().contains("javascript:"), "{path}");
        assert!(!answer.body.contains(&0x1B), "{path}: control characters are escaped");
    }
    let page = daemon.read("/");
    assert!(page.head.to_ascii_lowercase().contains("content-security-policy: default-src 'none'"));
    let before = daemon.read("/metrics").text();
    assert!(
        !before.contains("<script") && !before.contains('\u{1b}'),
        "no label of an alert is a label"
    );
}

#[test]
fn invented_methods_and_paths_make_no_series() {
    let daemon = Daemon::start();
    for n in 0..50 {
        request(daemon.web, &format!("M{n}"), &format!("/p{n}?{n}"), "", b"");
        request(daemon.web, "GET", &format!("/api/v1/incidents/inc-{n}"), "", b"");
    }
    let metrics = daemon.read("/metrics").text();
    let series =
        metrics.lines().filter(|l| l.starts_with("hypocenter_http_request_duration_seconds_count"));
    let series: Vec<&str> = series.collect();
    assert!(series.len() < 10, "{series:?}");
    assert!(
        series.iter().any(|line| line.contains("handler=\"other\",method=\"other\",code=\"404\""))
    );
    assert!(series.iter().any(|line| line.contains("handler=\"/api/v1/incidents/{}\"")));
}

/// Certificates made by openssl's command line; `None` where there is none.
fn certificates(dir: &Path) -> Option<()> {
    let run = |args: &str| {
        let args = args.split_whitespace();
        let output = Command::new("openssl").args(args).current_dir(dir).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(())
    };
    let ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for ca in ["ca", "other"] {
        run(&format!("req -x509 {ec} -keyout {ca}.key -out {ca}.crt -days 2 -subj /CN={ca}"))?;
    }
    for (name, ca, san, days) in [
        ("server", "ca", "IP:127.0.0.1", "2"),
        ("good", "ca", "DNS:prometheus.example", "2"),
        ("named", "ca", "DNS:somebody.example", "2"),
        ("foreign", "other", "DNS:prometheus.example", "2"),
        ("expired", "ca", "DNS:prometheus.example", "-1"),
    ] {
        fs::write(dir.join("san"), format!("subjectAltName={san}\n")).unwrap();
        run(&format!("req {ec} -keyout {name}.key -out {name}.csr -subj /CN={name}"))?;
        run(&format!(
            "x509 -req -in {name}.csr -CA {ca}.crt -CAkey {ca}.key -CAcreateserial -out {name}.crt \
             -days {days} -extfile san"
        ))?;
    }
    Some(())
}

#[test]
fn client_certificates_are_verified_and_named() {
    let dir = tempfile::tempdir().unwrap();
    if certificates(dir.path()).is_none() {
        println!("SKIPPED: no openssl");
        return;
    }
    let config = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  \
                  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  \
                  client_allowed_sans: [prometheus.example]\n";
    fs::write(dir.path().join("web.yml"), config).unwrap();
    let daemon =
        Daemon::in_dir(dir, "web: {listen_address: '127.0.0.1:0', config_file: DIR/web.yml}\n");
    let get = |client: Option<&str>, more: &[&str]| {
        let mut curl = Command::new("curl");
        curl.current_dir(daemon.dir.path()).args(["-s", "-o", "/dev/null", "-w", "%{http_code}"]);
        curl.args(["--cacert", "ca.crt"]).args(more);
        if let Some(client) = client {
            curl.args(["--cert", &format!("{client}.crt"), "--key", &format!("{client}.key")]);
        }
        let output = curl.arg(format!("https://{}/-/healthy", daemon.intake)).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(get(Some("good"), &[]), "200");
    assert_eq!(get(Some("good"), &["--tls-max", "1.2"]), "200");
    for (client, why) in [
        (None, "no certificate"),
        (Some("named"), "another name"),
        (Some("foreign"), "another authority"),
        (Some("expired"), "expired"),
    ] {
        assert_eq!(get(client, &[]), "000", "{why}");
    }
    assert_eq!(get(Some("good"), &["--tls-max", "1.1"]), "000", "too old a version");
    // Another certificate of the server, without a restart and with no request lost.
    let directory = daemon.dir.path();
    fs::copy(directory.join("good.key"), directory.join("server.key")).unwrap();
    assert_eq!(get(Some("good"), &[]), "200", "key and certificate do not fit for a moment");
    fs::copy(directory.join("good.crt"), directory.join("server.crt")).unwrap();
    let began = Instant::now();
    while get(Some("good"), &[]) == "200" {
        assert!(began.elapsed() < Duration::from_secs(30), "never read again");
    }
    assert_eq!(get(Some("good"), &["-k"]), "200", "a name that curl does not expect");
}
