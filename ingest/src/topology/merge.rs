//! One layer for each source, and the view of all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hypocenter_engine::{EdgeKind, EntityKind, Topology, TopologyBuilder, TopologyReport};

use super::layer::{Layer, Name, full_name, settle};

/// What a source is believed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Trust {
    /// How long what it no longer tells of is kept: late alerts are about what was there.
    pub keep_gone: Duration,
    /// The largest share of its edges, or of its entities, that it may lose from one answer to the
    /// next, 0 to 1. An answer that loses more is taken for a failure.
    pub max_shrink: f64,
}

impl Default for Trust {
    fn default() -> Self {
        Self { keep_gone: Duration::from_secs(3600), max_shrink: 0.3 }
    }
}

/// When something was told. Times are seconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen<K> {
    /// What it is.
    pub kind: K,
    /// When it was told first.
    pub first: i64,
    /// When it was told last.
    pub last: i64,
}

/// What one source told.
#[derive(Clone, Debug)]
struct Kept {
    entities: BTreeMap<Name, Seen<EntityKind>>,
    edges: BTreeMap<(Name, Name), Seen<EdgeKind>>,
    /// Its latest answer that was believed: when, and how many edges and entities.
    at: i64,
    told: (usize, usize),
    trust: Trust,
}

/// An answer is not believed, because too much is missing in it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "has {now} {what} after {before}, which is {percent} % less: not believed, the last good answer is kept; if it is right, raise max_shrink"
)]
pub struct Refusal {
    what: &'static str,
    before: usize,
    now: usize,
    percent: usize,
}

/// All layers.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    by_source: BTreeMap<String, Kept>,
}

impl Layers {
    /// Takes a source's answer of time `now`. What it tells no more is kept for a while; a source
    /// that fails, or is not believed, loses nothing however long it takes.
    ///
    /// # Errors
    /// [`Refusal`] when the answer loses more than the source may; nothing is changed then.
    pub fn update(
        &mut self,
        source: &str,
        layer: Layer,
        trust: Trust,
        now: i64,
    ) -> Result<(), Refusal> {
        let told = (layer.edges.len(), layer.entities.len());
        if let Some(kept) = self.by_source.get(source) {
            check("edges", kept.told.0, told.0, trust.max_shrink)?;
            check("entities", kept.told.1, told.1, trust.max_shrink)?;
        }
        let kept = self.by_source.entry(source.to_owned()).or_insert_with(|| Kept {
            entities: BTreeMap::new(),
            edges: BTreeMap::new(),
            at: now,
            told,
            trust,
        });
        (kept.at, kept.told, kept.trust) = (now.max(kept.at), told, trust);
        merge_in(&mut kept.entities, layer.entities, now);
        merge_in(&mut kept.edges, layer.edges, now);
        let oldest =
            kept.at.saturating_sub(i64::try_from(trust.keep_gone.as_secs()).unwrap_or(i64::MAX));
        kept.edges.retain(|_, seen| seen.last >= oldest);
        kept.entities.retain(|_, seen| seen.last >= oldest);
        Ok(())
    }

    /// Forgets a source that is no longer asked.
    pub fn remove(&mut self, source: &str) {
        self.by_source.remove(source);
    }

    /// When a source's latest answer came that was believed, in seconds since the Unix epoch.
    #[must_use]
    pub fn updated(&self, source: &str) -> Option<i64> {
        self.by_source.get(source).map(|kept| kept.at)
    }

    /// The view of all layers.
    #[must_use]
    pub fn merged(&self) -> Merged {
        let mut merged =
            Merged { sources: self.by_source.keys().cloned().collect(), ..Merged::default() };
        for kept in self.by_source.values() {
            for (name, seen) in &kept.entities {
                let known = merged.layer.entities.entry(Name::clone(name)).or_insert(seen.kind);
                *known = settle(Some(*known), Some(seen.kind)).unwrap_or_default();
            }
        }
        let names = merged.same_names();
        let name_of = |name: &Name| names.get(name).map_or_else(|| Name::clone(name), Name::clone);
        for (number, kept) in self.by_source.values().enumerate() {
            for ((from, to), seen) in &kept.edges {
                let ends = (name_of(from), name_of(to));
                if ends.0 == ends.1 {
                    continue;
                }
                let from = 1u64.checked_shl(number as u32).unwrap_or(0);
                let told = merged.told_by.entry(ends.clone()).or_default();
                *told |= from;
                let known = merged.layer.edges.entry(ends).or_insert(seen.kind);
                *known = seen.kind.max(*known);
            }
        }
        for name in names.keys() {
            merged.layer.entities.remove(name);
        }
        merged.connect_by_name();
        merged
    }
}

fn check(what: &'static str, before: usize, now: usize, max: f64) -> Result<(), Refusal> {
    let lost = before.saturating_sub(now);
    if lost as f64 <= before as f64 * max {
        return Ok(());
    }
    Err(Refusal { what, before, now, percent: (lost * 100).div_ceil(before) })
}

fn merge_in<K: Ord, V: Copy>(kept: &mut BTreeMap<K, Seen<V>>, told: BTreeMap<K, V>, now: i64) {
    for (key, kind) in told {
        let seen = kept.entry(key).or_insert(Seen { kind, first: now, last: now });
        (seen.kind, seen.last) = (kind, now);
    }
}

/// The view of all layers.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// The graph.
    pub layer: Layer,
    /// Names without a place that are those of several entities: kept apart, with what they may be.
    pub ambiguous: Vec<(Name, Vec<Name>)>,
    /// Dependencies that nobody told: a service runs on the workload of its name and place.
    pub by_name: Vec<(Name, Name)>,
    sources: Vec<String>,
    /// By edge, a bit for each of the first 64 sources.
    told_by: BTreeMap<(Name, Name), u64>,
}

impl Merged {
    /// The sources that told of a dependency.
    #[must_use]
    pub fn told_by(&self, edge: &(Name, Name)) -> Vec<&str> {
        let told = self.told_by.get(edge).copied().unwrap_or_default();
        let sources = self.sources.iter().enumerate();
        sources.filter(|(at, _)| told >> (*at).min(63) & 1 == 1).map(|(_, name)| &**name).collect()
    }

    /// Names without a place, such as those of traces, that are one entity's with a place: the same
    /// entity. Where there are several, nothing is guessed.
    fn same_names(&mut self) -> BTreeMap<Name, Name> {
        let mut placed: BTreeMap<String, Vec<(Name, EntityKind)>> = BTreeMap::new();
        let mut plain = Vec::new();
        for (name, &kind) in &self.layer.entities {
            if !is_peer(kind) {
                continue;
            }
            let (scope, last) = taken_apart(name);
            if scope.is_empty() {
                plain.push((Name::clone(name), last.to_owned(), kind));
            } else {
                placed.entry(last.to_owned()).or_default().push((Name::clone(name), kind));
            }
        }
        let mut same = BTreeMap::new();
        for (name, last, kind) in plain {
            // What is outside is not what runs here, and a database is not a service.
            let fits = |found: &&(Name, EntityKind)| {
                found.1 == kind || kind == EntityKind::Service || found.1 == EntityKind::Service
            };
            let found: Vec<&(Name, EntityKind)> =
                placed.get(&last).into_iter().flatten().filter(fits).collect();
            match &found[..] {
                [] => {}
                [(only, _)] => drop(same.insert(name, Name::clone(only))),
                several => {
                    let several = several.iter().map(|(name, _)| Name::clone(name)).collect();
                    self.ambiguous.push((name, several));
                }
            }
        }
        same
    }

    /// A service runs on the workload of its name and place, unless it is told what it runs on.
    fn connect_by_name(&mut self) {
        let runs: std::collections::BTreeSet<&Name> = self
            .layer
            .edges
            .iter()
            .filter(|(_, kind)| **kind == EdgeKind::RunsOn)
            .map(|((from, _), _)| from)
            .collect();
        let mut found = Vec::new();
        for (name, kind) in &self.layer.entities {
            if *kind != EntityKind::Service || runs.contains(name) {
                continue;
            }
            let (scope, last) = taken_apart(name);
            let workload = full_name(EntityKind::Workload, scope, last);
            if let Some((workload, _)) = self.layer.entities.get_key_value(&*workload) {
                found.push((Name::clone(name), Name::clone(workload)));
            }
        }
        for edge in &found {
            self.layer.edges.insert(edge.clone(), EdgeKind::RunsOn);
        }
        self.by_name = found;
    }

    /// The engine's graph of this view, as the one after `before`.
    #[must_use]
    pub fn build_after(&self, before: &Topology) -> (Topology, TopologyReport) {
        builder(&self.layer).build_after(before)
    }
}

/// The engine's graph of a layer, not yet built.
#[must_use]
pub fn builder(layer: &Layer) -> TopologyBuilder {
    let mut builder = TopologyBuilder::new();
    for (name, &kind) in &layer.entities {
        builder.typed_node(name, kind);
    }
    for ((from, to), &kind) in &layer.edges {
        builder.typed_edge(from, to, kind);
    }
    builder
}

/// What is called by name, and may be known with and without its place.
fn is_peer(kind: EntityKind) -> bool {
    use EntityKind::{Database, External, Queue, Service};
    matches!(kind, Service | Database | Queue | External)
}

/// Place and name of a full name.
fn taken_apart(name: &str) -> (&str, &str) {
    let rest = EntityKind::prefix(name).map(|(_, rest)| rest);
    rest.map_or(("", name), |rest| rest.rsplit_once('/').unwrap_or(("", rest)))
}

/// What differs between two graphs, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    lines: Vec<String>,
}

impl Difference {
    /// What `b` has and `a` has not, and the other way round.
    #[must_use]
    pub fn between(a: &Layer, b: &Layer) -> Self {
        let mut lines = Vec::new();
        let gone = a.entities.iter().filter(|(name, _)| !b.entities.contains_key(*name));
        lines.extend(gone.map(|(name, _)| format!("- {name}")));
        for (name, kind) in &b.entities {
            match a.entities.get(name) {
                None => lines.push(format!("+ {name}")),
                Some(before) if before != kind => {
                    lines.push(format!("~ {name}: {before} -> {kind}"));
                }
                Some(_) => {}
            }
        }
        let gone = a.edges.keys().filter(|edge| !b.edges.contains_key(*edge));
        lines.extend(gone.map(|(from, to)| format!("- {from} -> {to}")));
        for ((from, to), kind) in &b.edges {
            match a.edges.get(&(Name::clone(from), Name::clone(to))) {
                None => lines.push(format!("+ {from} -> {to} ({})", kind.name())),
                Some(before) if before != kind => {
                    let (before, kind) = (before.name(), kind.name());
                    lines.push(format!("~ {from} -> {to}: {before} -> {kind}"));
                }
                Some(_) => {}
            }
        }
        Self { lines }
    }

    /// Whether the graphs are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{Format, Places};

    fn layer(edges: &str) -> Layer {
        let text = format!("from,to\n{}", edges.replace(' ', "\n").replace('>', ","));
        Format::Csv.read(text.as_bytes(), &Places::default()).expect("valid")
    }

    fn names(merged: &Merged) -> Vec<String> {
        let edges = merged.layer.edges.iter();
        edges.map(|((a, b), kind)| format!("{a}>{b}:{}", kind.name())).collect()
    }

    #[test]
    fn what_a_source_tells_no_more_is_kept_for_a_while() {
        let mut layers = Layers::default();
        let trust = Trust { keep_gone: Duration::from_secs(100), max_shrink: 0.5 };
        layers.update("a", layer("a>b b>c c>d"), trust, 1000).expect("first");
        layers.update("a", layer("a>b b>c"), trust, 1060).expect("less");
        assert_eq!(layers.merged().layer.edges.len(), 3);
        // Nobody answers for long: nothing is lost.
        assert_eq!(layers.updated("a"), Some(1060));
        layers.update("a", layer("a>b b>c"), trust, 1101).expect("same");
        assert_eq!(names(&layers.merged()), ["a>b:calls", "b>c:calls"]);
        assert!(!layers.merged().layer.entities.contains_key("d"));
    }

    #[test]
    fn an_answer_that_is_half_empty_is_not_believed() {
        let mut layers = Layers::default();
        let trust = Trust::default();
        layers.update("a", layer("a>b b>c c>d d>e"), trust, 0).expect("first");
        let before = layers.merged().layer;
        let refusal = layers.update("a", layer("a>b b>c"), trust, 9000).expect_err("half");
        let text = "has 2 edges after 4, which is 50 % less: not believed";
        assert!(refusal.to_string().starts_with(text), "{refusal}");
        assert!(layers.update("a", Layer::default(), trust, 9000).is_err());
        assert_eq!(layers.merged().layer, before);
        let force = Trust { max_shrink: 1.0, ..trust };
        layers.update("a", layer("a>b"), force, 9000).expect("asked for");
        assert_eq!(names(&layers.merged()), ["a>b:calls"]);
    }

    #[test]
    fn layers_are_merged_and_say_who_told() {
        let mut layers = Layers::default();
        let trust = Trust::default();
        let traces = layer("web>orders orders>database/orders-db shop>api");
        let mesh = layer(
            "service/shop/web>service/shop/orders service/a/x>service/a/api \
             service/b/x>service/b/api workload/shop/orders>pod/shop/orders-0",
        );
        layers.update("traces", traces, trust, 0).expect("first");
        layers.update("mesh", mesh, trust, 0).expect("first");
        let merged = layers.merged();
        let expected = [
            "service/a/x>service/a/api:calls",
            "service/b/x>service/b/api:calls",
            "service/shop/orders>database/orders-db:calls",
            "service/shop/orders>workload/shop/orders:runs_on",
            "service/shop/web>service/shop/orders:calls",
            "shop>api:calls",
            "workload/shop/orders>pod/shop/orders-0:calls",
        ];
        assert_eq!(names(&merged), expected);
        let both = (Name::from("service/shop/web"), Name::from("service/shop/orders"));
        assert_eq!(merged.told_by(&both), ["mesh", "traces"]);
        let ambiguous: Vec<&str> = merged.ambiguous.iter().map(|(name, _)| &**name).collect();
        assert_eq!(ambiguous, ["api"]);
        assert_eq!(merged.by_name.len(), 1);
        let (topology, report) = merged.build_after(&Topology::default());
        assert_eq!((topology.edges(), report.is_clean()), (7, true));
    }

    #[test]
    fn differences_are_told() {
        let (a, b) = (layer("a>b b>c"), layer("a>b a>d"));
        let text = Difference::between(&a, &b).to_string();
        assert_eq!(text, "- c\n+ d\n- b -> c\n+ a -> d (calls)\n");
        assert!(Difference::between(&a, &a).is_empty());
    }
}
