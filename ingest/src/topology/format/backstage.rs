//! Backstage's catalog: pages of `GET /api/catalog/entities/by-query`.

use std::collections::BTreeMap;

use hypocenter_engine::{EdgeKind, EntityKind};
use serde::Deserialize;

use super::{Draft, FormatError};
use crate::topology::layer::{Id, Layer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Page {
    Items { items: Vec<Entity> },
    Bare(Vec<Entity>),
}

#[derive(Deserialize)]
struct Entity {
    kind: String,
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    relations: Vec<Relation>,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(rename = "type")]
    sort: Option<String>,
    #[serde(default, rename = "dependsOn")]
    depends_on: Vec<String>,
    #[serde(default, rename = "consumesApis")]
    consumes: Vec<String>,
    #[serde(default, rename = "providesApis")]
    provides: Vec<String>,
}

#[derive(Deserialize)]
struct Relation {
    #[serde(rename = "type")]
    sort: String,
    #[serde(rename = "targetRef")]
    target: String,
}

/// Kind, namespace and name in small letters, as references are compared.
type Ref = (String, String, String);

/// References may leave out kind and namespace.
fn reference(text: &str, kind: &str, namespace: &str) -> Ref {
    let text = text.to_lowercase();
    let (kind, rest) = text.split_once(':').unwrap_or((kind, &text));
    let (namespace, name) = rest.split_once('/').unwrap_or((namespace, rest));
    (kind.to_owned(), namespace.to_owned(), name.to_owned())
}

fn kind_of(entity: &Entity) -> Option<EntityKind> {
    let is_resource = entity.kind.eq_ignore_ascii_case("resource");
    let sort = entity.spec.sort.as_deref().unwrap_or_default().to_lowercase();
    match sort.as_str() {
        _ if !is_resource => None,
        "database" | "cache" | "db" => Some(EntityKind::Database),
        "queue" | "topic" | "message-queue" | "kafka-topic" => Some(EntityKind::Queue),
        _ => None,
    }
}

pub(super) fn read(pieces: &[&[u8]], mut draft: Draft) -> Result<Layer, FormatError> {
    let mut entities = Vec::new();
    for piece in pieces {
        let page: Page =
            serde_json::from_slice(piece).map_err(|error| match serde_json::from_slice(piece) {
                Ok(serde_json::Value::Object(object)) if object.contains_key("error") => {
                    FormatError::new(format!("Backstage says: {}", object["error"]))
                }
                Ok(_) => FormatError::new("is no page of entities, which has `items`"),
                Err(_) => FormatError::json(&error, piece),
            })?;
        match page {
            Page::Items { items } | Page::Bare(items) => entities.extend(items),
        }
    }
    let mut ids: BTreeMap<Ref, Id> = BTreeMap::new();
    let mut providers: BTreeMap<Ref, Vec<Id>> = BTreeMap::new();
    let namespace =
        |entity: &Entity| entity.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    for entity in &entities {
        let is_peer = ["component", "resource"].map(|kind| entity.kind.eq_ignore_ascii_case(kind));
        if !is_peer.contains(&true) {
            continue;
        }
        // Kubernetes knows it by the name that the annotation says, in a namespace of its own.
        let known_as = |key: &str| entity.metadata.annotations.get(key).map(String::as_str);
        let name = known_as("backstage.io/kubernetes-id").unwrap_or(&entity.metadata.name);
        let place = known_as("backstage.io/kubernetes-namespace").unwrap_or_default();
        let Some(id) = draft.peer(("", place), name, kind_of(entity)) else { continue };
        let space = namespace(entity).to_lowercase();
        let own = (entity.kind.to_lowercase(), space.clone(), entity.metadata.name.to_lowercase());
        ids.insert(own, id);
        let by_relation = entity.relations.iter().filter(|r| r.sort == "providesApi");
        let by_spec = entity.spec.provides.iter();
        for api in by_relation.map(|relation| &relation.target).chain(by_spec) {
            providers.entry(reference(api, "api", &space)).or_default().push(id);
        }
    }
    for entity in &entities {
        let space = namespace(entity).to_lowercase();
        let own = (entity.kind.to_lowercase(), space.clone(), entity.metadata.name.to_lowercase());
        let Some(&from) = ids.get(&own) else { continue };
        let related = |sort: &'static str| {
            entity.relations.iter().filter(move |r| r.sort == sort).map(|r| &r.target)
        };
        let mut targets: Vec<Id> = Vec::new();
        let mut missing = 0;
        // Relations are both ways round, and resolved; what is written by hand is in the spec.
        for target in related("dependsOn").chain(&entity.spec.depends_on) {
            match ids.get(&reference(target, "component", &space)) {
                Some(&id) => targets.push(id),
                None => missing += 1,
            }
        }
        for api in related("consumesApi").chain(&entity.spec.consumes) {
            match providers.get(&reference(api, "api", &space)) {
                Some(found) => targets.extend(found),
                None => missing += 1,
            }
        }
        draft.skipped.unreadable += missing;
        // The same thing said in relations and in the spec is said once.
        targets.sort_unstable();
        targets.dedup();
        for to in targets {
            draft.edge(Some(from), Some(to), EdgeKind::Calls);
        }
    }
    Ok(draft.finish())
}
