//! The formats that a graph comes in: each a pure function from bytes to a layer.

mod backstage;
mod csv;
mod dot;
mod edges;
mod hubble;
mod istio;
mod jaeger;
mod keep;
mod kiali;
mod kube_state;
mod kubectl;
mod linkerd;
mod native;
mod service_graph;
#[cfg(test)]
mod tests;
mod vector;
mod zipkin;

use super::layer::{Draft, EDGES_MAX, Layer, Places};

pub use edges::EdgeTopic;

/// A format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// Our own topology file, YAML or JSON.
    Native,
    /// A table with columns `from` and `to`.
    Csv,
    /// A graph of Graphviz.
    Dot,
    /// Keep's topology, YAML or JSON.
    Keep,
    /// Prometheus' answer with service graphs of OpenTelemetry or Tempo.
    ServiceGraph,
    /// Prometheus' answer with Istio's requests.
    Istio,
    /// Prometheus' answer with Linkerd's requests or connections.
    Linkerd,
    /// Prometheus' answer with Hubble's flows, or flows as `hubble observe -o json` prints them.
    Hubble,
    /// Prometheus' answer with series of kube-state-metrics.
    KubeState,
    /// Jaeger's dependencies.
    Jaeger,
    /// Zipkin's dependencies.
    Zipkin,
    /// Kiali's graph.
    Kiali,
    /// Backstage's catalog: an answer of its API.
    Backstage,
    /// Lists as `kubectl get … -o json` prints them.
    Kubectl,
    /// One edge a line, as in a compacted topic.
    Edges,
}

/// Why a text is not a graph.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl FormatError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// What serde has to say, and how the text begins where it is none of ours.
    fn json(error: &serde_json::Error, bytes: &[u8]) -> Self {
        let hint = match bytes.trim_ascii_start().first() {
            None => "; it is empty".to_owned(),
            Some(b'<') => "; it is HTML or XML, perhaps the page of a proxy or a login".to_owned(),
            Some(_) if error.is_eof() => "; it ends too early, it may be truncated".to_owned(),
            Some(_) => String::new(),
        };
        Self(format!("{error}{hint}"))
    }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Native,
        Self::Csv,
        Self::Dot,
        Self::Keep,
        Self::ServiceGraph,
        Self::Istio,
        Self::Linkerd,
        Self::Hubble,
        Self::KubeState,
        Self::Jaeger,
        Self::Zipkin,
        Self::Kiali,
        Self::Backstage,
        Self::Kubectl,
        Self::Edges,
    ];

    /// Name in the configuration and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Csv => "csv",
            Self::Dot => "dot",
            Self::Keep => "keep",
            Self::ServiceGraph => "service_graph",
            Self::Istio => "istio",
            Self::Linkerd => "linkerd",
            Self::Hubble => "hubble",
            Self::KubeState => "kube_state",
            Self::Jaeger => "jaeger",
            Self::Zipkin => "zipkin",
            Self::Kiali => "kiali",
            Self::Backstage => "backstage",
            Self::Kubectl => "kubectl",
            Self::Edges => "edges",
        }
    }

    /// The format with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Reads a graph. Names that do not say where they hold do so in `places`.
    ///
    /// # Errors
    /// What is wrong with it, where, and how to mend it. Single lines that make no edge are counted
    /// in [`Layer::skipped`] and are no error.
    pub fn read(self, bytes: &[u8], places: &Places) -> Result<Layer, FormatError> {
        self.read_all(&[bytes], places)
    }

    /// Reads a graph that comes in several pieces: pages, or answers to several queries.
    ///
    /// # Errors
    /// As [`Self::read`], for the first piece that is wrong.
    pub fn read_all(self, pieces: &[&[u8]], places: &Places) -> Result<Layer, FormatError> {
        let mut draft = Draft::new(places);
        let read = match self {
            Self::Native => return native::read(pieces),
            Self::Csv => csv::read,
            Self::Dot => dot::read,
            Self::Keep => keep::read,
            Self::ServiceGraph => service_graph::read,
            Self::Istio => istio::read,
            Self::Linkerd => linkerd::read,
            Self::Hubble => hubble::read,
            Self::KubeState => return bounded(kube_state::read(pieces, draft)?),
            Self::Jaeger => jaeger::read,
            Self::Zipkin => zipkin::read,
            Self::Kiali => kiali::read,
            Self::Backstage => return bounded(backstage::read(pieces, draft)?),
            Self::Kubectl => return bounded(kubectl::read(pieces, draft)?),
            Self::Edges => edges::read,
        };
        for piece in pieces {
            read(piece, &mut draft)?;
        }
        bounded(draft.finish())
    }
}

fn bounded(layer: Layer) -> Result<Layer, FormatError> {
    if layer.edges.len() > EDGES_MAX {
        let edges = layer.edges.len();
        return Err(FormatError(format!("has {edges} edges; at most {EDGES_MAX} are read")));
    }
    Ok(layer)
}

/// Text of a piece.
fn text(bytes: &[u8]) -> Result<&str, FormatError> {
    std::str::from_utf8(bytes).map_err(|error| {
        FormatError(format!("is no UTF-8 text from byte {} on", error.valid_up_to() + 1))
    })
}
