//! A table with a head: `from` and `to`, and optionally `kind`, `from_kind` and `to_kind`.

use hypocenter_engine::{EdgeKind, EntityKind};

use super::{Draft, FormatError};

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(bytes);
    let wrong = |error: csv::Error| FormatError::new(error.to_string());
    let head = reader.headers().map_err(wrong)?.clone();
    let column = |names: &[&str]| {
        head.iter().position(|cell| {
            let cell = cell.trim_start_matches('\u{feff}');
            names.iter().any(|name| cell.eq_ignore_ascii_case(name))
        })
    };
    let ends = (column(&["from", "source", "client"]), column(&["to", "target", "server"]));
    let (Some(from), Some(to)) = ends else {
        let what = "line 1: the head must name the columns `from` and `to`; from depends on to";
        return Err(FormatError::new(what));
    };
    let kinds = [column(&["kind"]), column(&["from_kind"]), column(&["to_kind"])];
    for row in reader.records() {
        let row = row.map_err(wrong)?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or_default();
        let [kind, from_kind, to_kind] = kinds.map(cell);
        let edge =
            edge_kind(kind).map_err(|what| FormatError::new(format!("line {line}: {what}")))?;
        let mut end = |at: usize, kind: &str| {
            let kind = entity_kind(kind)
                .map_err(|what| FormatError::new(format!("line {line}: {what}")))?;
            Ok::<_, FormatError>(named(draft, cell(Some(at)), kind))
        };
        let (from, to) = (end(from, from_kind)?, end(to, to_kind)?);
        draft.edge(from, to, edge);
    }
    Ok(())
}

/// An entity by its full name, or by a plain one with its kind beside it.
pub(super) fn named(
    draft: &mut Draft,
    name: &str,
    kind: Option<EntityKind>,
) -> Option<crate::topology::layer::Id> {
    let (own, rest) = match EntityKind::prefix(name) {
        Some((own, rest)) => (Some(own), rest),
        None => (None, name),
    };
    // Only what begins with its kind says where it holds.
    let (place, name) = match rest.rsplit_once('/').filter(|_| own.is_some()) {
        Some((place, name)) => (place, name),
        None => ("", rest),
    };
    match kind.or(own) {
        Some(
            EntityKind::Service | EntityKind::Database | EntityKind::Queue | EntityKind::External,
        )
        | None => draft.peer(("", place), name, kind.or(own)),
        Some(kind) => draft.thing(kind, ("", place), name),
    }
}

pub(super) fn edge_kind(name: &str) -> Result<EdgeKind, String> {
    if name.is_empty() {
        return Ok(EdgeKind::default());
    }
    let known = || EdgeKind::ALL.map(EdgeKind::name).join(", ");
    EdgeKind::named(name).ok_or_else(|| format!("unknown kind {name:?}; there is {}", known()))
}

pub(super) fn entity_kind(name: &str) -> Result<Option<EntityKind>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    let known = || EntityKind::ALL.map(EntityKind::name).join(", ");
    let kind = EntityKind::named(name);
    kind.map(Some).ok_or_else(|| format!("unknown kind {name:?}; there is {}", known()))
}
