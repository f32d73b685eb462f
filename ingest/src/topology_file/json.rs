//! Topology from JSON. Names are borrowed from the text: a million edges take a second.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use hypocenter_engine::{EdgeKind, EntityKind};

use super::{EdgePart, NodePart, Parts};
use crate::yaml::{At, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'t> {
    version: Option<u64>,
    #[serde(borrow)]
    nodes: Option<Vec<Node<'t>>>,
    #[serde(borrow)]
    edges: Option<Vec<Object<Edge<'t>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge<'t> {
    #[serde(borrow)]
    from: Cow<'t, str>,
    #[serde(borrow)]
    to: Cow<'t, str>,
    #[serde(default, deserialize_with = "kind_of_edge")]
    kind: EdgeKind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFields<'t> {
    #[serde(borrow)]
    id: Cow<'t, str>,
    #[serde(default, deserialize_with = "kind_of_entity")]
    kind: Option<EntityKind>,
}

fn kind_of_edge<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EdgeKind, D::Error> {
    let name = Cow::<'de, str>::deserialize(deserializer)?;
    let known = || EdgeKind::ALL.map(EdgeKind::name).join(", ");
    EdgeKind::named(&name).ok_or_else(|| unknown_kind(&name, &known()))
}

fn kind_of_entity<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<EntityKind>, D::Error> {
    let name = Cow::<'de, str>::deserialize(deserializer)?;
    let known = || EntityKind::ALL.map(EntityKind::name).join(", ");
    EntityKind::named(&name).map(Some).ok_or_else(|| unknown_kind(&name, &known()))
}

fn unknown_kind<E: de::Error>(name: &str, known: &str) -> E {
    E::custom(format!("unknown kind {name:?}, there is {known}"))
}

/// `"a"`, or `{"id": "a"}`.
struct Node<'t>(NodePart<'t>);

/// A struct that is written as an object. (Derived code alone takes an array of values as well.)
struct Object<T>(T);

trait Named {
    const FORM: &'static str;
}

impl Named for File<'_> {
    const FORM: &'static str = "an object with `nodes` and `edges`";
}

impl Named for Edge<'_> {
    const FORM: &'static str = "an edge such as {\"from\": \"a\", \"to\": \"b\"}";
}

impl<'de, T: Named + Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

impl<'de: 't, 't> Deserialize<'de> for Node<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Named + Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::FORM)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node such as \"a\" or {\"id\": \"a\"}")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node(NodePart { id: Cow::Borrowed(text), kind: None }))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node(NodePart { id: Cow::Owned(text.to_owned()), kind: None }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let fields = NodeFields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Node(NodePart { id: fields.id, kind: fields.kind }))
    }
}

pub(super) fn read(text: &str) -> Result<Parts<'_>, Problem> {
    let Object::<File<'_>>(file) = serde_json::from_str(text).map_err(|error| problem(&error))?;
    if let Some(version) = file.version.filter(|version| *version != 1) {
        let what = format!("is {version}; this release reads version 1");
        return Err(Problem::new(None, "version", what));
    }
    let nodes = file.nodes.map(|list| list.into_iter().map(|node| node.0).collect());
    let edges = file.edges.map(|list| {
        let edges = list.into_iter().map(|Object(edge)| edge);
        edges.map(|Edge { from, to, kind }| EdgePart { from, to, kind }).collect()
    });
    Ok(Parts { nodes, edges })
}

fn problem(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let hint = if error.is_eof() {
        "; the file ends too early, it may be truncated"
    } else if error.is_syntax() {
        "; the file begins like JSON and must be valid JSON to its end"
    } else {
        ""
    };
    let at = At { line: error.line(), column: error.column().max(1) };
    Problem::new(Some(at), "", format!("{what}{hint}"))
}
