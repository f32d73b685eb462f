//! The text after `to`: how the name of an entity is put together from labels.

use super::read::{LabelRef, Reading};
use super::rule::WhyNot;
use crate::entity::{EntityKind, EntityName};

/// How the name of an entity is put together.
#[derive(Clone, Debug)]
pub(super) struct Template {
    kind: EntityKind,
    /// Cluster and namespace.
    scope: Vec<Vec<Part>>,
    name: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Label(Placeholder),
}

/// `${label|filter?}`.
#[derive(Clone, Debug)]
struct Placeholder {
    /// `None`: the value that `match_any` found.
    label: Option<LabelRef>,
    filter: Filter,
    /// What stands for it when it is not set.
    otherwise: Otherwise,
}

#[derive(Clone, PartialEq, Debug)]
enum Otherwise {
    /// The rule does not match.
    NoMatch,
    /// The part of the name is left out.
    LeftOut,
    Text(Box<str>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filter {
    None,
    StripPort,
    AfterSlash,
    Host,
}

const FILTERS: [(&str, Filter); 3] = [
    ("strip_port", Filter::StripPort),
    ("after_slash", Filter::AfterSlash),
    ("host", Filter::Host),
];

impl Template {
    pub(super) fn parse(text: &str, aliases: &[(String, Vec<String>)]) -> Result<Self, String> {
        let parts = parts(text, aliases)?;
        if parts.is_empty() {
            return Err("has no `to`; it names the entity, as in `to: ${value}`".to_owned());
        }
        let mut segments = segments(parts);
        let typed = match segments.first().map(Vec::as_slice) {
            Some([Part::Text(kind)]) if segments.len() > 1 => Some(kind_of(kind, text)?),
            _ => None,
        };
        let Some(kind) = typed else {
            return Self::untyped(segments, text);
        };
        let name = segments.pop().unwrap_or_default();
        let scope = segments.split_off(1);
        if name.is_empty() || scope.iter().any(Vec::is_empty) {
            return Err(format!("`to: {text}`: nothing stands between two slashes"));
        }
        if name.iter().any(Part::is_left_out) {
            return Err(format!("`to: {text}`: the name itself cannot be left out"));
        }
        Ok(Self { kind, scope, name })
    }

    /// The name of a service, with whatever is in it.
    fn untyped(segments: Vec<Vec<Part>>, text: &str) -> Result<Self, String> {
        let mut name = Vec::new();
        for (at, segment) in segments.into_iter().enumerate() {
            if at > 0 {
                name.push(Part::Text("/".into()));
            }
            name.extend(segment);
        }
        if name.iter().any(Part::is_left_out) {
            return Err(format!("`to: {text}`: only cluster and namespace can be left out"));
        }
        Ok(Self { kind: EntityKind::Service, scope: Vec::new(), name })
    }

    /// The labels without which there is no name.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        let parts = self.scope.iter().flatten().chain(&self.name);
        parts.filter_map(|part| match part {
            Part::Label(Placeholder {
                label: Some(label), otherwise: Otherwise::NoMatch, ..
            }) => Some(&*label.name),
            _ => None,
        })
    }

    /// Whether `${value}` is in it.
    pub(super) fn uses_value(&self) -> bool {
        let mut parts = self.scope.iter().flatten().chain(&self.name);
        parts.any(|part| matches!(part, Part::Label(Placeholder { label: None, .. })))
    }

    pub(super) fn fill<'r>(
        &'r self,
        reading: &Reading<'_, '_>,
        value: Option<&str>,
    ) -> Result<EntityName, WhyNot<'r>> {
        let mut scope = String::new();
        for segment in &self.scope {
            let before = scope.len();
            if before > 0 {
                scope.push('/');
            }
            if !fill(segment, reading, value, &mut scope)? {
                // Only what comes after something is marked as left out.
                scope.truncate(before);
                if before > 0 {
                    scope.push_str("/-");
                }
            }
        }
        let mut name = String::new();
        fill(&self.name, reading, value, &mut name)?;
        if name.is_empty() {
            return Err(WhyNot::NoName);
        }
        Ok(EntityName { kind: self.kind, scope, name })
    }
}

impl Part {
    fn is_left_out(&self) -> bool {
        matches!(self, Self::Label(label) if label.otherwise == Otherwise::LeftOut)
    }
}

/// Adds parts to a text; `false` when one is to be left out.
fn fill<'r>(
    parts: &'r [Part],
    reading: &Reading<'_, '_>,
    value: Option<&str>,
    text: &mut String,
) -> Result<bool, WhyNot<'r>> {
    for part in parts {
        let placeholder = match part {
            Part::Text(plain) => {
                text.push_str(plain);
                continue;
            }
            Part::Label(placeholder) => placeholder,
        };
        let found = match &placeholder.label {
            Some(label) => reading.get(label),
            None => value,
        };
        match (found, &placeholder.otherwise, &placeholder.label) {
            (Some(found), _, _) => text.push_str(placeholder.filter.apply(found)),
            (None, Otherwise::Text(plain), _) => text.push_str(plain),
            (None, Otherwise::LeftOut, _) => return Ok(false),
            (None, Otherwise::NoMatch, Some(label)) => {
                return Err(WhyNot::unset(label, reading));
            }
            (None, Otherwise::NoMatch, None) => return Err(WhyNot::NoName),
        }
    }
    Ok(true)
}

fn kind_of(segment: &str, text: &str) -> Result<EntityKind, String> {
    EntityKind::named(segment).ok_or_else(|| {
        let kinds: Vec<&str> = EntityKind::ALL.into_iter().map(EntityKind::name).collect();
        format!("`to: {text}`: \"{segment}\" is no kind of entity; there are {}", kinds.join(", "))
    })
}

fn parts(text: &str, aliases: &[(String, Vec<String>)]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once("${") {
        if !plain.is_empty() {
            parts.push(Part::Text(plain.into()));
        }
        let (inside, tail) =
            tail.split_once('}').ok_or_else(|| format!("`to: {text}`: `${{` is not closed"))?;
        parts.push(Part::Label(placeholder(inside, text, aliases)?));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    Ok(parts)
}

fn placeholder(
    inside: &str,
    text: &str,
    aliases: &[(String, Vec<String>)],
) -> Result<Placeholder, String> {
    let (inside, otherwise) = match (inside.strip_suffix('?'), inside.split_once('=')) {
        (Some(inside), _) => (inside, Otherwise::LeftOut),
        (None, Some((inside, plain))) if !plain.is_empty() => {
            (inside, Otherwise::Text(plain.into()))
        }
        _ => (inside, Otherwise::NoMatch),
    };
    let (name, filter) = inside.split_once('|').unwrap_or((inside, ""));
    let filter = match FILTERS.iter().find(|(known, _)| *known == filter) {
        Some((_, filter)) => *filter,
        None if filter.is_empty() => Filter::None,
        None => {
            let known: Vec<&str> = FILTERS.iter().map(|(name, _)| *name).collect();
            return Err(format!("unknown filter `{filter}`; there are {}", known.join(", ")));
        }
    };
    let is_label = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let label = match name {
        "" => return Err(format!("`to: {text}`: `${{}}` names no label")),
        "value" => None,
        name if name.chars().all(is_label) => Some(LabelRef::new(name, aliases)),
        name => return Err(format!("`to: {text}`: `{name}` is not the name of a label")),
    };
    Ok(Placeholder { label, filter, otherwise })
}

/// The parts between slashes; slashes in values do not count.
fn segments(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut segments: Vec<Vec<Part>> = vec![Vec::new()];
    for part in parts {
        let Part::Text(text) = &part else {
            segments.last_mut().expect("there is a first one").push(part);
            continue;
        };
        for (at, piece) in text.split('/').enumerate() {
            if at > 0 {
                segments.push(Vec::new());
            }
            if !piece.is_empty() {
                let last = segments.last_mut().expect("there is a first one");
                last.push(Part::Text(piece.into()));
            }
        }
    }
    segments
}

impl Filter {
    fn apply(self, text: &str) -> &str {
        match self {
            Self::None => text,
            Self::StripPort => without_port(text),
            Self::AfterSlash => text.rsplit_once('/').map_or(text, |(_, name)| name),
            Self::Host => without_port(host(text)),
        }
    }
}

/// `host:9100` without its port; IPv6 addresses keep their colons.
fn without_port(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port))
            if !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => address,
    }
}

/// `https://user@host:443/path` without all but host and port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}
