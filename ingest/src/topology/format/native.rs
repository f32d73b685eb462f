//! Our own topology file. Its names are taken as they are: who writes them by hand means them.

use super::{FormatError, text};
use crate::topology::layer::{Layer, Name, is_placeholder};
use crate::topology_file::TopologyFile;

pub(super) fn read(pieces: &[&[u8]]) -> Result<Layer, FormatError> {
    let mut layer = Layer::default();
    for piece in pieces {
        let file = TopologyFile::parse(text(piece)?).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            FormatError::new(told.join("\n"))
        })?;
        layer.skipped.loops += file.report.self_loops.len();
        layer.skipped.duplicates += file.report.duplicate_edges.len();
        layer.skipped.unreadable += file.report.empty_names;
        for (name, kind) in file.topology.entities().filter(|(name, _)| !is_placeholder(name)) {
            layer.entities.insert(Name::from(name), kind);
        }
        for (from, to, kind) in file.topology.all_edges() {
            if is_placeholder(from) || is_placeholder(to) {
                layer.skipped.placeholders += 1;
            } else {
                let known = |name: &str| match layer.entities.get_key_value(name) {
                    Some((name, _)) => Name::clone(name),
                    None => Name::from(name),
                };
                let ends = (known(from), known(to));
                layer.edges.insert(ends, kind);
            }
        }
    }
    Ok(layer)
}
