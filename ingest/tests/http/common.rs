//! A server in this process, and a client that speaks plain HTTP/1.1.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hypocenter::commands::run::{self, Inlet};
use hypocenter::commands::servers::Servers;
use hypocenter::commands::verdicts;
use hypocenter::config::Config;
use hypocenter::metrics::Metrics;
use hypocenter_engine::TopologyBuilder;
use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn recording(name: &str) -> Vec<u8> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
    std::fs::read(fixtures.join(name)).unwrap()
}

/// The daemon but for its command line: servers, pipeline, a file as the output.
pub(crate) struct Daemon {
    pub(crate) intake: SocketAddr,
    pub(crate) web: SocketAddr,
    /// Methods and paths of all servers.
    pub(crate) routes: Vec<String>,
    servers: Option<Servers>,
    stop: Arc<AtomicBool>,
    pipeline: Option<JoinHandle<()>>,
    pub(crate) dir: tempfile::TempDir,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With further lines of configuration; `DIR` in them is a folder of its own.
    pub(crate) fn with(more: &str) -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), more)
    }

    pub(crate) fn in_dir(dir: tempfile::TempDir, more: &str) -> Self {
        let path = dir.path().to_str().unwrap();
        let mut text = more.replace("DIR", path);
        if !text.contains("input:") {
            text.push_str("\ninput: {type: http, listen_address: '127.0.0.1:0'}\n");
        }
        if !text.contains("web:") {
            text.push_str("web: {listen_address: '127.0.0.1:0'}\n");
        }
        text.push_str(&format!("outputs: [{{type: file, path: {path}/incidents.jsonl}}]\n"));
        let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let metrics = Metrics::default();
        let feedback = verdicts::open(&config.feedback, &metrics).unwrap();
        let feedback = verdicts::guard(&config.feedback, feedback).unwrap();
        let servers = Servers::start(&config, &metrics, Arc::new(|| Ok(())), feedback).unwrap();
        let (queue, board) = (servers.queue().cloned(), Some(servers.board().clone()));
        let readiness = servers.readiness().clone();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut graph = TopologyBuilder::new();
        graph.edge("checkout", "cart");
        graph.edge("cart", "redis");
        let setup = run::setup_with(&config, graph.build().0);
        let pipeline = std::thread::spawn(move || {
            let ready = &|state| readiness.set(state);
            let inlet = Inlet { queue, board, changes: None, store: None, ready };
            run::serve(&config, setup, &metrics, &stopped, inlet).map(drop).unwrap();
        });
        let (intake, web) = (servers.intake_addresses()[0], servers.web_addresses()[0]);
        let routes = servers.routes().to_vec();
        let (servers, pipeline) = (Some(servers), Some(pipeline));
        Self { intake, web, routes, servers, stop, pipeline, dir }
    }

    /// Ends as on a signal; the incident records that were written.
    pub(crate) fn finish(mut self) -> Vec<Value> {
        self.stop.store(true, Ordering::Relaxed);
        self.pipeline.take().unwrap().join().unwrap();
        self.servers.take().unwrap().stop();
        let text = std::fs::read_to_string(self.dir.path().join("incidents.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        request(self.intake, "POST", path, JSON, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        request(self.intake, "GET", path, "", b"")
    }

    pub(crate) fn read(&self, path: &str) -> Answer {
        request(self.web, "GET", path, "", b"")
    }

    /// Asks until the answer is as wanted.
    pub(crate) fn until(&self, path: &str, is_wanted: impl Fn(&Answer) -> bool) -> Answer {
        for _ in 0..300 {
            let answer = self.read(path);
            if is_wanted(&answer) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("never: {:?}", self.read(path));
    }

    /// The sum of a metric's series whose line has this text.
    pub(crate) fn metric(&self, text: &str) -> f64 {
        let metrics = self.read("/metrics").text();
        let lines = metrics.lines().filter(|line| line.starts_with(text));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One request on a connection of its own. `headers` are whole lines.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Answer {
    let mut stream = connect(address);
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The server may refuse a body before it has come.
    stream.write_all(body).ok();
    answer(&mut stream)
}

/// Reads one answer.
pub(crate) fn answer(stream: &mut impl Read) -> Answer {
    try_answer(stream).expect("an answer")
}

pub(crate) fn try_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let mut body = Vec::new();
    match field("content-length") {
        Some(length) => {
            body.resize(length.parse().ok()?, 0);
            reader.read_exact(&mut body).ok()?;
        }
        None => {
            reader.read_to_end(&mut body).ok();
        }
    }
    Some(Answer { status, head, body })
}

pub(crate) fn alert(service: &str) -> Vec<u8> {
    let labels = serde_json::json!({"alertname": "ErrorRateHigh", "service": service});
    serde_json::json!([{"labels": labels}]).to_string().into_bytes()
}
