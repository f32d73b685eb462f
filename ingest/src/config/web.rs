//! `web`: where HTTP is served, and to whom.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::yaml::section::{Section, text_of};
use crate::yaml::{Node, Value};

/// Port of metrics, health, and what can be read.
const PORT: u16 = 9096;

/// Where HTTP is served, and to whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Web {
    /// Where it listens; not for alerts, see [`super::HttpInput`].
    pub listen_addresses: Vec<SocketAddr>,
    /// TLS and authentication, in the format of Prometheus' exporter toolkit.
    pub config_file: Option<PathBuf>,
    /// Under which address people reach it.
    pub external_url: Option<String>,
    /// What stands before all paths; that of `external_url` when not given.
    pub route_prefix: Option<String>,
    /// Connections that may be open at once, on each of the servers.
    pub connections_max: usize,
    /// Of these, how many one address may have.
    pub connections_per_address_max: usize,
    /// Memory for incidents that can be read, in bytes of their records.
    pub incidents_bytes_max: usize,
    /// Memory for alerts that can be read, in bytes.
    pub alerts_bytes_max: usize,
    /// Whether other addresses than those of this machine may be listened on without
    /// authentication.
    pub allow_unauthenticated: bool,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen_addresses: vec![SocketAddr::from(([127, 0, 0, 1], PORT))],
            config_file: None,
            external_url: None,
            route_prefix: None,
            connections_max: 1_000,
            connections_per_address_max: 500,
            incidents_bytes_max: 64 << 20,
            alerts_bytes_max: 256 << 20,
            allow_unauthenticated: false,
        }
    }
}

impl Web {
    /// What stands before all paths: empty, or `/` and more without `/` at its end.
    #[must_use]
    pub fn prefix(&self) -> String {
        let external = || {
            let uri = self.external_url.as_ref()?.parse::<hyper::Uri>().ok()?;
            Some(uri.path().to_owned())
        };
        let prefix = self.route_prefix.clone().or_else(external).unwrap_or_default();
        match prefix.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }
}

pub(super) fn read(s: &mut Section<'_, '_>, into: &mut Web) {
    listen_addresses(s, &mut into.listen_addresses);
    let mut file = None;
    s.optional("config_file", &mut file);
    into.config_file = file.map(PathBuf::from);
    s.optional("external_url", &mut into.external_url);
    if let Some(url) = &into.external_url
        && let Err(what) = check_url(url)
    {
        s.problem("external_url", what);
    }
    s.optional("route_prefix", &mut into.route_prefix);
    s.whole("connections_max", 10..=100_000, &mut into.connections_max);
    s.whole("connections_per_address_max", 1..=100_000, &mut into.connections_per_address_max);
    s.whole("incidents_bytes_max", 1 << 20..=1 << 40, &mut into.incidents_bytes_max);
    s.whole("alerts_bytes_max", 1 << 20..=1 << 40, &mut into.alerts_bytes_max);
    s.choice(
        "allow_unauthenticated",
        &[("true", true), ("false", false)],
        &mut into.allow_unauthenticated,
    );
}

fn check_url(url: &str) -> Result<(), String> {
    let uri = url.parse::<hyper::Uri>().ok();
    let is_http = |uri: &hyper::Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
    };
    match uri.filter(is_http) {
        Some(_) => Ok(()),
        None => Err(format!("is {url}, must be a URL such as https://example.org/hypocenter")),
    }
}

/// `listen_address`: one, or a list of them.
pub(super) fn listen_addresses(s: &mut Section<'_, '_>, into: &mut Vec<SocketAddr>) {
    let Some(node) = s.take("listen_address") else { return };
    let one = std::slice::from_ref(node);
    let nodes: &[Node] = match &node.value {
        Value::List(nodes) => nodes,
        _ => one,
    };
    let mut addresses = Vec::new();
    for node in nodes {
        match parse_listen_address(text_of(node).unwrap_or_default()) {
            Ok(address) => addresses.push(address),
            Err(what) => s.problem("listen_address", format!("is {}, {what}", node.shown())),
        }
    }
    if nodes.is_empty() {
        s.problem("listen_address", "is empty, must have at least one address");
    }
    *into = addresses;
}

/// Reads `host:port` with a numeric host, or `:port`, which listens on all addresses.
///
/// # Errors
/// What is allowed.
pub fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    let full = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.replacen("localhost:", "127.0.0.1:", 1),
    };
    let allowed = "must be address:port with a numeric address, such as 127.0.0.1:9096 or :9096";
    full.parse().map_err(|_| allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_that_of_the_external_url_unless_given() {
        let prefix = |external: Option<&str>, route: Option<&str>| {
            let (external_url, route_prefix) =
                (external.map(str::to_owned), route.map(str::to_owned));
            Web { external_url, route_prefix, ..Web::default() }.prefix()
        };
        assert_eq!(prefix(None, None), "");
        assert_eq!(prefix(Some("https://h/a/b/"), None), "/a/b");
        assert_eq!(prefix(Some("https://h"), None), "");
        assert_eq!(prefix(Some("https://h/a"), Some("/")), "");
        assert_eq!(prefix(None, Some("x")), "/x");
    }
}
