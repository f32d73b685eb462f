//! Where a layer is asked for: a file, or an API of what users run.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::merge::Trust;
use super::{Format, Layer, Places};
use crate::config::HttpConfig;
use crate::http_client::{Answer, Client};
use crate::redact::host_of;

/// Largest answer that is read, and largest file.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// Most pages of one answer.
const PAGES_MAX: usize = 1000;

/// One source of the dependency graph.
#[derive(Clone, PartialEq)]
pub struct SourceSpec {
    /// Its name, in logs, metrics and provenance.
    pub name: String,
    /// What it gives.
    pub format: Format,
    /// Where it is.
    pub from: From,
    /// What Prometheus is asked; empty: what the format needs.
    pub queries: Vec<String>,
    /// Which namespaces Kiali is asked for.
    pub namespaces: Vec<String>,
    /// How far back Jaeger, Zipkin and Kiali look.
    pub lookback: Duration,
    /// Where names hold that do not say so.
    pub places: Places,
    /// How often it is asked.
    pub refresh: Duration,
    /// How long one request may take.
    pub timeout: Duration,
    /// What it is believed.
    pub trust: Trust,
    /// Who we are, and whom we trust.
    pub http: HttpConfig,
}

/// Where a source is.
#[derive(Clone, PartialEq, Eq)]
pub enum From {
    /// A base URL.
    Url(String),
    /// A file.
    File(PathBuf),
}

impl std::fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceSpec")
            .field("name", &self.name)
            .field("format", &self.format)
            .field("from", &self.place())
            .finish_non_exhaustive()
    }
}

impl SourceSpec {
    /// A source with the usual settings.
    #[must_use]
    pub fn new(format: Format, from: From) -> Self {
        Self {
            name: format.name().to_owned(),
            format,
            from,
            queries: Vec::new(),
            namespaces: Vec::new(),
            lookback: Duration::from_secs(3600),
            places: Places::default(),
            refresh: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            trust: Trust::default(),
            http: HttpConfig::default(),
        }
    }

    /// The file, or scheme, host and port.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.from {
            From::Url(url) => host_of(url),
            From::File(file) => file.display().to_string(),
        }
    }

    /// A client for its URL; `None` for a file.
    ///
    /// # Errors
    /// Why a file of `tls_config` cannot be used.
    pub fn client(&self) -> Result<Option<Client>, String> {
        match &self.from {
            From::File(_) => Ok(None),
            From::Url(url) => {
                Client::new(url.trim_end_matches('/'), &self.http, self.timeout).map(Some)
            }
        }
    }

    /// Asks for the layer as of `now`, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Why there is none, with the request that failed.
    pub fn fetch(&self, client: Option<&Client>, now: i64) -> Result<Layer, String> {
        let pieces = match (&self.from, client) {
            (From::File(file), _) => vec![read_file(file)?],
            (From::Url(_), Some(client)) => self.ask(client, now)?,
            (From::Url(_), None) => return Err("has no client".to_owned()),
        };
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        self.format.read_all(&pieces, &self.places).map_err(|error| error.to_string())
    }

    fn ask(&self, client: &Client, now: i64) -> Result<Vec<Vec<u8>>, String> {
        let lookback = self.lookback.as_millis();
        match self.format {
            Format::Jaeger => {
                let path = format!("/api/dependencies?endTs={now}&lookback={lookback}");
                Ok(vec![get(client, &path)?])
            }
            Format::Zipkin => {
                let path = format!("/api/v2/dependencies?endTs={now}&lookback={lookback}");
                Ok(vec![get(client, &path)?])
            }
            Format::Kiali => {
                let namespaces = escaped(&self.namespaces.join(","));
                let duration = self.lookback.as_secs();
                let path = format!(
                    "/api/namespaces/graph?namespaces={namespaces}&graphType=service&duration={duration}s&injectServiceNodes=true"
                );
                Ok(vec![get(client, &path)?])
            }
            Format::Backstage => pages(client),
            format => {
                let queries = if self.queries.is_empty() {
                    queries(format)
                } else {
                    self.queries.iter().map(String::as_str).collect()
                };
                if queries.is_empty() {
                    return Ok(vec![get(client, "")?]);
                }
                let ask = |query: &&str| {
                    get(client, &format!("/api/v1/query?query={}", escaped(query)))
                        .map_err(|why| format!("query {query}: {why}"))
                };
                queries.iter().map(ask).collect()
            }
        }
    }
}

/// What a format asks Prometheus; nothing for what is no series of it.
#[must_use]
pub fn queries(format: Format) -> Vec<&'static str> {
    match format {
        Format::ServiceGraph => vec![
            "sum by (client, server, connection_type, virtual_node, client_service_namespace, \
             server_service_namespace) (rate(traces_service_graph_request_total[15m])) > 0",
        ],
        Format::Istio => vec![
            "sum by (source_cluster, source_workload_namespace, source_workload, \
             source_canonical_service, destination_cluster, destination_service_namespace, \
             destination_service_name, destination_workload_namespace, destination_workload) \
             (rate(istio_requests_total{reporter=~\"source|waypoint\"}[10m])) > 0",
            "sum by (source_cluster, source_workload_namespace, source_workload, \
             source_canonical_service, destination_cluster, destination_service_namespace, \
             destination_service_name, destination_workload_namespace, destination_workload) \
             (rate(istio_tcp_sent_bytes_total{reporter=\"source\"}[10m])) > 0",
        ],
        Format::Linkerd => vec![
            "sum by (namespace, deployment, statefulset, daemonset, k8s_job, cronjob, authority, \
             dst_namespace, dst_deployment, dst_statefulset, dst_daemonset) \
             (rate(request_total{direction=\"outbound\"}[10m])) > 0",
            "sum by (namespace, deployment, statefulset, daemonset, k8s_job, cronjob, \
             dst_namespace, dst_deployment, dst_statefulset, dst_daemonset) \
             (tcp_open_connections{direction=\"outbound\", dst_namespace!=\"\"}) > 0",
        ],
        Format::Hubble => vec![
            "sum by (source_namespace, source_workload, destination_namespace, \
             destination_workload) \
             (rate(hubble_flows_processed_total{verdict=\"FORWARDED\"}[5m])) > 0",
        ],
        Format::KubeState => vec![
            "kube_pod_info",
            "namespace_workload_pod:kube_pod_owner:relabel",
            "kube_node_labels",
            "kube_pod_spec_volumes_persistentvolumeclaims_info",
        ],
        _ => Vec::new(),
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn get(client: &Client, path: &str) -> Result<Vec<u8>, String> {
    let answer = client.get(path, ANSWER_BYTES_MAX).map_err(|error| error.to_string())?;
    if !answer.is_success() {
        return Err(told(&answer));
    }
    if answer.truncated {
        return Err(format!("answers with more than {ANSWER_BYTES_MAX} bytes"));
    }
    Ok(answer.body)
}

/// Prometheus says in the body what is wrong with a query.
fn told(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct Error {
        error: String,
    }
    match serde_json::from_slice::<Error>(&answer.body) {
        Ok(Error { error }) => format!("answered with status {}: {error}", answer.status),
        Err(_) => answer.to_string(),
    }
}

fn pages(client: &Client) -> Result<Vec<Vec<u8>>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        page_info: Option<Next>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Next {
        next_cursor: Option<String>,
    }
    const FIRST: &str = "/api/catalog/entities/by-query?filter=kind%3Dcomponent&\
                         filter=kind%3Dresource&fields=kind,metadata,spec,relations&limit=500";
    let (mut pages, mut path) = (Vec::new(), FIRST.to_owned());
    while pages.len() < PAGES_MAX {
        let page = get(client, &path)?;
        // What is no page at all is told by the reader of the format.
        let next = serde_json::from_slice::<Page>(&page).ok();
        pages.push(page);
        let cursor = next.and_then(|page| page.page_info).and_then(|info| info.next_cursor);
        match cursor.filter(|cursor| !cursor.is_empty()) {
            Some(cursor) => {
                path = format!("/api/catalog/entities/by-query?cursor={}", escaped(&cursor));
            }
            None => return Ok(pages),
        }
    }
    Err(format!("has more than {PAGES_MAX} pages"))
}

/// The bytes of a file.
///
/// # Errors
/// Why they cannot be had.
pub fn read_file(file: &std::path::Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let told = |error: std::io::Error| error.to_string();
    let mut bytes = Vec::new();
    let mut reader: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(told)?)
    };
    reader.by_ref().take(ANSWER_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > ANSWER_BYTES_MAX {
        return Err(format!("has more than {ANSWER_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_client::tests::{TestServer, answer};

    fn spec(format: Format, url: &str) -> SourceSpec {
        let mut spec = SourceSpec::new(format, From::Url(url.to_owned()));
        spec.timeout = Duration::from_millis(700);
        spec
    }

    fn fetch(spec: &SourceSpec) -> Result<Layer, String> {
        let client = spec.client().expect("a client");
        spec.fetch(client.as_ref(), 1_795_328_760_000)
    }

    #[test]
    fn pages_are_followed_to_the_last() {
        let server = TestServer::start(|head, _| {
            let item = |name: &str| {
                format!(
                    r#"{{"kind":"Component","metadata":{{"name":"{name}"}},
                    "relations":[{{"type":"dependsOn","targetRef":"component:default/c"}}]}}"#
                )
            };
            let (name, next) = match head.split_whitespace().nth(1) {
                Some(path) if path.contains("cursor=two%2F2") => ("c", "{}"),
                Some(path) if path.contains("cursor=one") => ("b", r#"{"nextCursor":"two/2"}"#),
                _ => ("a", r#"{"nextCursor":"one"}"#),
            };
            answer("200 OK", &format!(r#"{{"items":[{}],"pageInfo":{next}}}"#, item(name)))
        });
        let layer = fetch(&spec(Format::Backstage, &server.url())).expect("three pages");
        assert_eq!((layer.entities.len(), layer.edges.len()), (3, 2));
        assert_eq!(server.seen().len(), 3);
    }

    #[test]
    fn whatever_comes_back_is_told_with_the_request() {
        let cases = [
            (
                "422 Unprocessable Entity",
                r#"{"status":"error","error":"bad_data: parse"}"#,
                "bad_data",
            ),
            ("200 OK", "<html>login</html>", "HTML"),
            ("200 OK", r#"{"status":"error","error":"timed out"}"#, "timed out"),
            (
                "200 OK",
                r#"{"status":"success","data":{"resultType":"vector","result":7}}"#,
                "result",
            ),
            ("200 OK", r#"{"status":"success","data":{"resultType":"vector","#, "truncated"),
            ("503 Unavailable", "", "503"),
            ("302 Found", "", "302"),
        ];
        for (status, body, told) in cases {
            let text = answer(status, body);
            let server = TestServer::start(move |_, _| text.clone());
            let why = fetch(&spec(Format::Istio, &server.url())).expect_err(body);
            assert!(why.contains(told), "{why}");
        }
        let hanging = TestServer::start(|_, _| "hang".to_owned());
        assert!(fetch(&spec(Format::Jaeger, &hanging.url())).is_err());
        assert!(fetch(&spec(Format::Jaeger, "http://127.0.0.1:1")).is_err());
        let missing = SourceSpec::new(Format::Csv, From::File("/nonexistent.csv".into()));
        assert!(missing.fetch(None, 0).is_err());
    }

    #[test]
    fn all_queries_are_asked_and_read_as_one() {
        let server = TestServer::start(|head, _| {
            let metric = match head {
                _ if head.contains("kube%5Fpod%5Finfo") => {
                    r#"{"namespace":"s","pod":"p-0","node":"w"}"#
                }
                _ if head.contains("owner") => r#"{"namespace":"s","pod":"p-0","workload":"p"}"#,
                _ if head.contains("labels") => {
                    r#"{"node":"w","label_topology_kubernetes_io_zone":"z"}"#
                }
                _ => "",
            };
            let result = match metric {
                "" => String::new(),
                metric => format!(r#"{{"metric":{metric},"value":[0,"1"]}}"#),
            };
            let body = format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#
            );
            answer("200 OK", &body)
        });
        let layer = fetch(&spec(Format::KubeState, &server.url())).expect("valid");
        let names: Vec<&str> = layer.entities.keys().map(|name| &**name).collect();
        assert_eq!(names, ["node/w", "pod/s/p-0", "workload/s/p", "zone/z"]);
        assert_eq!((layer.edges.len(), server.seen().len()), (3, 4));
    }
}
