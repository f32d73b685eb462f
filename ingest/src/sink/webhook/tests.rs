use std::collections::VecDeque;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use super::*;
use crate::http_client::tests::request;
use crate::sink::tests::outgoing;

const LONG: Duration = Duration::from_secs(20);

/// A request as a server saw it: head in lower case, and body.
type Seen = (String, String);

/// An HTTP server that answers with the statuses of a script, then with 200.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn start(script: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(listener, script)
    }

    fn on(listener: TcpListener, script: &[&str]) -> Self {
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let script: VecDeque<String> = script.iter().map(|&s| s.to_owned()).collect();
        let script = Arc::new(Mutex::new(script));
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&all));
                thread::spawn(move || serve(&stream, &script, &seen));
            }
        });
        Self { url, seen }
    }

    fn bodies(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.iter().map(|(_, body)| body.clone()).collect()
    }

    fn head(&self, at: usize) -> String {
        self.seen.lock().expect("not poisoned")[at].0.clone()
    }
}

fn serve(stream: &TcpStream, script: &Mutex<VecDeque<String>>, seen: &Mutex<Vec<Seen>>) {
    let mut reader = BufReader::new(stream);
    while let Some((head, body)) = request(&mut reader) {
        let head = head.to_ascii_lowercase();
        seen.lock().expect("not poisoned").push((head, body));
        let status = script.lock().expect("not poisoned").pop_front();
        let status = status.unwrap_or_else(|| "200 OK".to_owned());
        if status == "close" {
            return;
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        let mut writer = stream;
        writer.write_all(answer.as_bytes()).expect("answered");
    }
}

fn sink(url: &str, waiting_max: usize) -> (WebhookSink, Arc<SinkCounters>) {
    let counters = Arc::new(SinkCounters::default());
    let options = WebhookOptions {
        waiting_max,
        pause_min: Duration::from_millis(50),
        pause_max: Duration::from_millis(100),
        ..WebhookOptions::new(url, Duration::from_secs(5))
    };
    let sink = WebhookSink::start(&options, Arc::clone(&counters)).expect("started");
    (sink, counters)
}

fn acknowledged(sink: &mut WebhookSink) -> Vec<u64> {
    let mut positions = Vec::new();
    sink.acknowledged(&mut |cause| positions.push(cause.position)).expect("alive");
    positions
}

fn count(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[test]
fn a_record_is_one_post_with_its_headers() {
    let server = Server::start(&[]);
    let (mut sink, counters) = sink(&server.url, 10);
    let headers = [("ce_id", "a 1é%".to_owned()), ("content-type", "x/y".to_owned())];
    let record = Outgoing { headers: &headers, ..outgoing("a", 7, b"{\"x\":1}") };
    sink.send(&record).expect("taken");
    assert!(sink.flush(LONG));
    assert_eq!(acknowledged(&mut sink), [7]);
    assert_eq!(acknowledged(&mut sink), [0; 0]);
    assert_eq!(server.bodies(), ["{\"x\":1}"]);
    let head = server.head(0);
    assert!(head.starts_with("post /hook http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nce-id: a%201%c3%a9%25\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    assert!(!head.contains("x/y"), "{head}");
    assert_eq!((count(&counters.sent), count(&counters.acknowledged)), (1, 1));
}

#[test]
fn what_may_heal_is_tried_again() {
    let script = ["500 No", "429 Slow", "close", "503 Later", "408 Late"];
    let server = Server::start(&script);
    let (mut sink, counters) = sink(&server.url, 10);
    sink.send(&outgoing("a", 1, b"{1}")).expect("taken");
    assert!(sink.flush(LONG));
    assert_eq!(acknowledged(&mut sink), [1]);
    assert_eq!(server.bodies().len(), script.len() + 1);
    assert_eq!(count(&counters.retries), script.len() as u64);
    assert_eq!(count(&counters.refused), 0);
}

#[test]
fn what_is_refused_is_counted_and_holds_nobody_up() {
    let server = Server::start(&["400 Bad", "404 None", "301 Moved"]);
    let (mut sink, counters) = sink(&server.url, 10);
    for version in 1..=4 {
        sink.send(&outgoing(&version.to_string(), version, b"{}")).expect("taken");
    }
    assert!(sink.flush(LONG));
    assert_eq!(acknowledged(&mut sink), [1, 2, 3, 4]);
    assert_eq!(server.bodies().len(), 4);
    assert_eq!((count(&counters.refused), count(&counters.retries)), (3, 0));
    assert_eq!(count(&counters.acknowledged), 4);
}

#[test]
fn an_endpoint_that_is_down_is_waited_for_and_gets_the_newest() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let (mut sink, counters) = sink(&format!("http://{address}/hook"), 100);
    for version in 1..=20 {
        let body = format!("a{version}");
        sink.send(&outgoing("a", version, body.as_bytes())).expect("taken");
    }
    sink.send(&outgoing("b", 21, b"b")).expect("taken");
    assert!(!sink.flush(Duration::from_millis(100)));
    assert_eq!(acknowledged(&mut sink), [0; 0], "nothing is delivered yet");
    let server = Server::on(TcpListener::bind(address).expect("free again"), &[]);
    assert!(sink.flush(LONG));
    let mut positions = acknowledged(&mut sink);
    positions.sort_unstable();
    assert_eq!(positions, (1..=21).collect::<Vec<u64>>());
    let mut bodies = server.bodies();
    bodies.sort();
    assert_eq!(bodies, ["a20", "b"]);
    assert!(count(&counters.retries) > 0);
}

#[test]
fn a_record_that_fails_for_ever_does_not_hold_up_the_others() {
    let server = Server::start(&["500 No"; 3]);
    let (mut sink, _) = sink(&server.url, 10);
    for (incident, version) in [("a", 1), ("b", 2), ("c", 3)] {
        sink.send(&outgoing(incident, version, incident.as_bytes())).expect("taken");
    }
    assert!(sink.flush(LONG));
    assert_eq!(server.bodies().len(), 6);
    let mut first: Vec<_> = server.bodies()[..3].to_vec();
    first.dedup();
    assert!(first.len() > 1, "others were tried meanwhile: {first:?}");
}

#[test]
fn a_full_sink_waits() {
    let (mut sink, _) = sink("http://127.0.0.1:9/hook", 5);
    let (taken, heard) = bounded(100);
    thread::spawn(move || {
        for version in 1..=20 {
            let incident = version.to_string();
            sink.send(&outgoing(&incident, version, b"{}")).expect("taken");
            taken.send(version).expect("heard");
        }
    });
    thread::sleep(Duration::from_millis(300));
    let number = heard.try_iter().count();
    assert!((5..=10).contains(&number), "{number} were taken");
}

#[test]
fn dropping_the_sink_ends_its_thread() {
    let (mut sink, counters) = sink("http://127.0.0.1:9/hook", 5);
    sink.send(&outgoing("a", 1, b"{}")).expect("taken");
    assert!(!sink.flush(Duration::from_millis(50)));
    drop(sink);
    let deadline = Instant::now() + LONG;
    // Besides ours, the worker holds the only other reference.
    while Arc::strong_count(&counters) > 1 {
        assert!(Instant::now() < deadline, "the thread is still there");
        thread::sleep(Duration::from_millis(5));
    }
}
