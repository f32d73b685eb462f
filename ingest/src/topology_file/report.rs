//! What was found in a topology file, for people.

use std::fmt;

use hypocenter_engine::{Topology, TopologyReport};

use super::{Format, TopologyFile, lookalikes};

/// Examples shown of each finding.
const SHOWN_MAX: usize = 5;

impl fmt::Display for TopologyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = match self.format {
            Format::Json => "JSON",
            Format::Yaml => "YAML",
        };
        let topology = &self.topology;
        writeln!(
            f,
            "  {format}: {}, {}, version {:016x}",
            count(topology.len(), "entity", "entities"),
            count(topology.edges(), "dependency", "dependencies"),
            topology.version()
        )?;
        f.write_str(&findings(&self.report, topology))
    }
}

/// What is odd about a graph, one line each; nothing when there is nothing.
#[must_use]
pub fn findings(report: &TopologyReport, topology: &Topology) -> String {
    let lookalikes = lookalikes(topology);
    let mut text = String::new();
    let edge = |(from, to): &(String, String)| format!("{from} -> {to}");
    let circle = |names: &Vec<String>| some(names, " <-> ", String::clone);
    let same = |names: &Vec<String>| some(names, " = ", |name| format!("{name:?}"));
    let findings = [
        finding(&report.duplicate_nodes, "declared more than once, counted once", String::clone),
        finding(
            &report.several_kinds,
            "declared with several kinds, the first is kept",
            String::clone,
        ),
        finding(&report.undeclared, "used by an edge but not in nodes, added", String::clone),
        finding(&report.duplicate_edges, "given more than once, counted once", edge),
        finding(&report.self_loops, "depends on itself, edge dropped", String::clone),
        finding(&report.cycles, "circle of dependencies, kept", circle),
        finding(&lookalikes, "differ in case or spaces only, kept apart", same),
    ];
    for line in findings.iter().flatten() {
        text.push_str(&format!("  note: {line}\n"));
    }
    if report.empty_names > 0 {
        let what = "with an empty name, dropped";
        let count = count(report.empty_names, "node or edge", "nodes or edges");
        text.push_str(&format!("  note: {count} {what}\n"));
    }
    text
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn finding<T>(items: &[T], what: &str, shown: impl Fn(&T) -> String) -> Option<String> {
    let number = items.len();
    (number > 0).then(|| format!("{number} {what}: {}", some(items, ", ", shown)))
}

fn some<T>(items: &[T], between: &str, shown: impl Fn(&T) -> String) -> String {
    let mut text: Vec<String> = items.iter().take(SHOWN_MAX).map(shown).collect();
    if items.len() > SHOWN_MAX {
        text.push(format!("and {} more", items.len() - SHOWN_MAX));
    }
    text.join(between)
}
