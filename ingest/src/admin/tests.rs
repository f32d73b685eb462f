use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::http::{DRAIN, Limits, ListenError, Options, Security, Server};

fn start(address: SocketAddr, ready: Readiness) -> Result<Server, ListenError> {
    let router = metrics(health(Router::default(), ready), Metrics::default());
    let options = Options {
        name: "web",
        addresses: vec![address],
        router,
        security: Security::none(),
        limits: Limits::default(),
        counters: Arc::default(),
    };
    Server::start(options, "--web.listen-address")
}

fn started() -> Server {
    start(SocketAddr::from(([127, 0, 0, 1], 0)), Readiness::default()).expect("a free port")
}

/// One request; status line and headers, then the body.
fn request(admin: &Server, method: &str, path: &str, accept: &str) -> (String, String) {
    let mut stream = TcpStream::connect(admin.addresses()[0]).expect("listening");
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("answered");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn metrics_are_served_in_the_form_that_is_asked_for() {
    let admin = started();
    let (head, body) = request(&admin, "GET", "/metrics", "*/*");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    crate::metrics::check_text(&body);
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1";
    let (head, body) = request(&admin, "GET", "/metrics", prometheus);
    assert!(head.contains("content-type: application/openmetrics-text"), "{head}");
    assert!(body.ends_with("# EOF\n"));
    let (head, body) = request(&admin, "HEAD", "/metrics", "*/*");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "");
}

#[test]
fn readiness_follows_the_daemon() {
    let ready = Readiness::default();
    let admin = start(SocketAddr::from(([127, 0, 0, 1], 0)), ready.clone()).expect("a free port");
    let status =
        |method: &str, path: &str| request(&admin, method, path, "*/*").0[9..12].to_owned();
    assert_eq!(status("GET", "/-/healthy"), "200");
    assert_eq!(status("GET", "/-/ready"), "503");
    assert_eq!(status("HEAD", "/-/ready"), "503");
    ready.set(true);
    assert_eq!(status("GET", "/-/ready"), "200");
    assert_eq!(status("HEAD", "/-/healthy"), "200");
    assert_eq!(status("POST", "/-/ready"), "405");
    assert_eq!(status("GET", "/nothing"), "404");
    let (_, page) = request(&admin, "GET", "/", "*/*");
    for link in ["metrics", "-/healthy", "-/ready"] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{page}");
    }
}

#[test]
fn an_address_in_use_is_a_clear_error() {
    let admin = started();
    let error = start(admin.addresses()[0], Readiness::default()).expect_err("in use");
    let text = error.to_string();
    assert!(text.contains(&admin.addresses()[0].to_string()), "{text}");
    assert!(text.contains("in use") && text.contains("--web.listen-address"), "{text}");
}

#[test]
fn stopping_does_not_wait_for_idle_clients_for_long() {
    let admin = started();
    let address = admin.addresses()[0];
    let mut half = TcpStream::connect(address).expect("listening");
    half.write_all(b"GET /metrics HTTP/1.1\r\n").expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    admin.stop();
    assert!(start.elapsed() < DRAIN + Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(TcpListener::bind(address).is_ok(), "the port is free again");
}
