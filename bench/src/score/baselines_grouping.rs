//! Nine simple groupings of a storm's alert instances, as a yardstick.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::data::{Storm, TruthRow};
use super::graph::Graph;
use super::grouping::{Figures, score};
use super::predictions::MemberLine;

/// A simple grouping. Times are in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Grouping {
    /// Each alert instance is a group.
    EachAlone,
    /// One group.
    AllInOne,
    /// A group for each entity, for all time.
    ByService,
    /// A group for each time span of this length, counted from the epoch.
    TimeBucket(f64),
    /// A new group when nothing began to fire for longer than this.
    TimeGap(f64),
    /// Instances are joined when their entities are so many calls apart and they began to fire
    /// within so many seconds; what is joined with the same is joined.
    GraphTime(u32, f64),
}

impl Grouping {
    /// Every grouping, in the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::EachAlone,
        Self::AllInOne,
        Self::ByService,
        Self::TimeBucket(300.0),
        Self::TimeGap(60.0),
        Self::TimeGap(120.0),
        Self::GraphTime(1, 120.0),
        Self::GraphTime(1, 300.0),
        Self::GraphTime(2, 300.0),
    ];

    /// What the grouping is called in tables.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::EachAlone => "each alert alone".to_owned(),
            Self::AllInOne => "all in one".to_owned(),
            Self::ByService => "by entity".to_owned(),
            Self::TimeBucket(secs) => format!("time bucket {secs} s"),
            Self::TimeGap(secs) => format!("time gap {secs} s"),
            Self::GraphTime(hops, secs) => format!("graph distance {hops} + {secs} s gap"),
        }
    }

    /// The figures of this grouping for a storm.
    ///
    /// # Errors
    /// When the storm's topology is malformed.
    pub fn score(self, storm: &Storm) -> Result<Figures> {
        score(storm, &self.predict(storm)?)
    }

    /// Groups the instances and names each group's deepest entity as its root.
    fn predict(self, storm: &Storm) -> Result<Vec<MemberLine>> {
        let graph = Graph::parse(&storm.topology);
        let graph = graph.with_context(|| format!("storm {}", storm.name))?;
        let groups = self.groups(&storm.truth, &graph);
        let mut members: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for (group, row) in groups.iter().zip(&storm.truth) {
            let alerts = members.entry(group).or_default();
            *alerts.entry(row.service.as_str()).or_insert(0) += 1;
        }
        let roots: BTreeMap<&str, Option<&str>> =
            members.iter().map(|(group, alerts)| (*group, deepest(alerts, &graph))).collect();
        let lines = groups.iter().zip(&storm.truth).map(|(group, row)| MemberLine {
            fingerprint: row.fingerprint.clone(),
            starts_at: row.starts_at.clone(),
            incident: Some(group.clone()),
            root: roots[group.as_str()].map(str::to_owned),
            confidence: None,
        });
        Ok(lines.collect())
    }

    /// A group id for each row.
    fn groups(self, rows: &[TruthRow], graph: &Graph) -> Vec<String> {
        let text = |ids: Vec<usize>| ids.iter().map(usize::to_string).collect();
        match self {
            Self::EachAlone => text((0..rows.len()).collect()),
            Self::AllInOne => text(vec![0; rows.len()]),
            Self::ByService => rows.iter().map(|row| row.service.clone()).collect(),
            Self::TimeBucket(width) => {
                rows.iter().map(|row| (secs(row).div_euclid(width) as i64).to_string()).collect()
            }
            Self::TimeGap(gap) => text(by_gap(rows, gap)),
            Self::GraphTime(hops, window) => text(by_graph_and_time(rows, graph, hops, window)),
        }
    }
}

/// When an instance began to fire, in seconds since the epoch. The reference scorer compares times
/// as such numbers, rounding errors and all; the figures must be the same.
fn secs(row: &TruthRow) -> f64 {
    row.at_ms as f64 / 1000.0
}

/// Row indices in order of time; rows of the same time in their given order.
fn in_order(rows: &[TruthRow]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows[*row].at_ms);
    order
}

fn by_gap(rows: &[TruthRow], gap: f64) -> Vec<usize> {
    let mut groups = vec![0; rows.len()];
    let mut group = 0;
    let order = in_order(rows);
    for (at, row) in order.iter().enumerate() {
        if at > 0 && secs(&rows[*row]) - secs(&rows[order[at - 1]]) > gap {
            group += 1;
        }
        groups[*row] = group;
    }
    groups
}

fn by_graph_and_time(rows: &[TruthRow], graph: &Graph, hops: u32, window: f64) -> Vec<usize> {
    let near: BTreeMap<&str, _> =
        rows.iter().map(|row| (row.service.as_str(), graph.within(&row.service, hops))).collect();
    let mut joined: Vec<usize> = (0..rows.len()).collect();
    let order = in_order(rows);
    for (at, first) in order.iter().enumerate() {
        let near = &near[rows[*first].service.as_str()];
        for later in &order[at + 1..] {
            if secs(&rows[*later]) - secs(&rows[*first]) > window {
                break;
            }
            if near.contains(rows[*later].service.as_str()) {
                let (from, to) = (head(&mut joined, *first), head(&mut joined, *later));
                joined[from] = to;
            }
        }
    }
    (0..rows.len()).map(|row| head(&mut joined, row)).collect()
}

/// The row that stands for all that are joined with this one.
fn head(joined: &mut [usize], mut row: usize) -> usize {
    while joined[row] != row {
        joined[row] = joined[joined[row]];
        row = joined[row];
    }
    row
}

/// The entity that calls no other entity of the group; of several, the one with the most alerts,
/// then the last by name.
fn deepest<'a>(alerts: &BTreeMap<&'a str, usize>, graph: &Graph) -> Option<&'a str> {
    let is_leaf = |entity: &str| {
        !graph.callees(entity).iter().any(|callee| alerts.contains_key(callee.as_str()))
    };
    let order = |(entity, count): &(&&'a str, &usize)| (is_leaf(entity), **count, **entity);
    alerts.iter().max_by_key(order).map(|(entity, _)| *entity)
}
