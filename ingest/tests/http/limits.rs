//! What one client may cost, and that the others do not notice.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use hypocenter::http::{Limits, Options, Router, Security, Server, answer};

use crate::common::{Daemon, JSON, alert, connect, request, try_answer};

/// A server that says how long a body is, with limits short enough for a test.
fn server(limits: Limits) -> Server {
    let router = Router::default().route(
        Method::POST,
        "/length",
        |mut request: hypocenter::http::Request| async move {
            match request.body().await {
                Ok(body) => answer::text(StatusCode::OK, body.len().to_string()),
                Err(refusal) => refusal,
            }
        },
    );
    let options = Options {
        name: "limits",
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        router,
        security: Security::none(),
        limits,
        counters: Arc::default(),
    };
    Server::start(options, "the test").unwrap()
}

fn short() -> Limits {
    Limits {
        first_byte: Duration::from_millis(300),
        head: Duration::from_millis(600),
        body: Duration::from_millis(900),
        body_grace: Duration::from_millis(300),
        body_bytes_per_second: 1_000_000,
        idle: Duration::from_millis(600),
        ..Limits::default()
    }
}

#[test]
fn bodies_that_are_too_large_are_refused_with_413() {
    let daemon = Daemon::start();
    let large = vec![b' '; 65 << 20];
    let refused = request(daemon.intake, "POST", "/api/v2/alerts", JSON, &large);
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("limits.body_bytes_max"), "{}", refused.text());
    // Without a length the bytes count as they come.
    let mut stream = connect(daemon.intake);
    stream.write_all(format!("POST /api/v2/alerts HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..6 {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).ok();
        stream.write_all(&chunk).ok();
        stream.write_all(b"\r\n").ok();
    }
    assert!(try_answer(&mut stream).is_none_or(|answer| answer.status == 413));
    assert_eq!(daemon.metric("hypocenter_http_bodies_refused_total{reason=\"too_large\"}"), 2.0);
    assert_eq!(daemon.post("/api/v2/alerts", &alert("a")).status, 200);
}

#[test]
fn headers_and_paths_are_bounded() {
    let daemon = Daemon::start();
    let long = "x".repeat(9 << 10);
    assert_eq!(daemon.get(&format!("/api/v2/alerts?filter={long}")).status, 414);
    let header = format!("X-Long: {}\r\n", "x".repeat(17 << 10));
    assert_eq!(request(daemon.intake, "GET", "/-/healthy", &header, b"").status, 431);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(request(daemon.intake, "GET", "/-/healthy", &many, b"").status, 431);
    assert_eq!(daemon.get("/-/healthy").status, 200);
}

#[test]
fn who_dribbles_is_closed_and_who_is_honest_is_served() {
    let server = server(short());
    let address = server.addresses()[0];
    let began = Instant::now();
    let mut silent = connect(address);
    let mut head = connect(address);
    head.write_all(b"POST /length HTTP/1.1\r\n").unwrap();
    let mut body = connect(address);
    body.write_all(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").unwrap();
    let mut idle = connect(address);
    idle.write_all(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab").unwrap();
    let mut dribble = [head.try_clone().unwrap(), body.try_clone().unwrap()];
    let stop = Arc::new(AtomicBool::new(false));
    let dribbling = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                dribble.iter_mut().for_each(|stream| drop(stream.write_all(b"a")));
                std::thread::sleep(Duration::from_millis(50));
            }
        })
    };
    let good = request(address, "POST", "/length", "", b"12345");
    assert_eq!((good.status, good.text().as_str()), (200, "5\n"));
    assert_eq!(try_answer(&mut idle).map(|answer| answer.status), Some(200));
    assert_eq!(try_answer(&mut body).map(|answer| answer.status), Some(408));
    let mut rest = Vec::new();
    for stream in [&mut silent, &mut head, &mut idle] {
        // An end, or a reset: closed in either case.
        stream.read_to_end(&mut rest).ok();
    }
    assert!(began.elapsed() < Duration::from_secs(20), "long before the client's patience");
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    dribbling.join().unwrap();
}

#[test]
fn ten_thousand_connections_do_not_keep_a_good_client_out() {
    let daemon = Daemon::start();
    let mut held = Vec::new();
    let mut answered = 0;
    for n in 0..10_000 {
        match std::net::TcpStream::connect(daemon.intake) {
            Ok(mut stream) => {
                stream.write_all(b"POST /api/v2/alerts HT").ok();
                held.push(stream);
            }
            // As many as this process may have files open; those held go on holding.
            Err(_) => {
                held.truncate(held.len() / 2);
            }
        }
        if n % 500 == 499 {
            let answer = daemon.post("/api/v2/alerts", &alert(&format!("s{n}")));
            assert_eq!(answer.status, 200);
            answered += 1;
        }
    }
    assert_eq!(answered, 20);
    assert!(daemon.metric("hypocenter_http_connections ") <= 2_000.0, "1,000 for each server");
    assert!(daemon.metric("hypocenter_http_connections_closed_total{reason=\"limit\"}") > 0.0);
}

#[test]
fn a_full_queue_is_said_at_once_and_heals() {
    // Nothing reads the queue: outputs could not be slower.
    let queue = hypocenter::source::http::Queue::new(
        hypocenter::source::http::QueueLimits { bodies_max: 3, bytes_max: 1 << 20 },
        hypocenter::clock::wall,
    );
    let span = hypocenter_engine::Span::from_secs(300);
    let book = hypocenter::book::Book::new(&[], span, 1 << 20);
    let options = hypocenter::wire::Options::default();
    let intake = hypocenter::intake::Intake::new(
        queue.clone(),
        &options,
        hypocenter::clock::wall,
        Arc::default(),
        book,
    );
    let options = Options {
        name: "full",
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        router: intake.routes(Router::default()),
        security: Security::none(),
        limits: Limits::default(),
        counters: Arc::default(),
    };
    let server = Server::start(options, "the test").unwrap();
    let post = |path: &str| request(server.addresses()[0], "POST", path, JSON, &alert("a"));
    for _ in 0..3 {
        assert_eq!(post("/api/v2/alerts").status, 200);
    }
    for path in ["/api/v2/alerts", "/webhook"] {
        let refused = post(path);
        assert_eq!(refused.status, 503, "never 429: Alertmanager would give up");
        assert!(refused.head.to_ascii_lowercase().contains("retry-after: 1"), "{}", refused.head);
    }
    let mut source = hypocenter::source::http::HttpSource::new(queue);
    let mut taken = 0;
    hypocenter::source::Source::poll(&mut source, Duration::ZERO, &mut |input| {
        taken += u32::from(matches!(input, hypocenter::source::Input::Batch(_)));
    })
    .unwrap();
    assert_eq!(taken, 3);
    assert_eq!(post("/api/v2/alerts").status, 200);
}
