//! Keep's topology: its YAML for import, and the JSON of its API.

use std::collections::BTreeMap;

use hypocenter_engine::{EdgeKind, EntityKind};
use serde::Deserialize;

use super::{Draft, FormatError, text};
use crate::topology::layer::Id;
use crate::yaml::reader::Reader;

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    match bytes.trim_ascii_start().first() {
        Some(b'[' | b'{') => json(bytes, draft),
        _ => yaml(text(bytes)?, draft),
    }
}

fn kind_of(category: &str) -> Option<EntityKind> {
    match category.to_lowercase().as_str() {
        "database" | "db" | "cache" => Some(EntityKind::Database),
        "queue" | "messaging" => Some(EntityKind::Queue),
        _ => None,
    }
}

/// Every service has a number, by which dependencies name it.
fn yaml(text: &str, draft: &mut Draft) -> Result<(), FormatError> {
    let reader = Reader::default();
    let root = reader.parse(text);
    let mut ids: BTreeMap<String, Option<Id>> = BTreeMap::new();
    let mut missing = None;
    if let Some(root) = &root {
        reader.section(root, "", |s| {
            let services = s.list("services", |reader, item, path| {
                let [mut id, mut name, mut namespace, mut category] = [const { String::new() }; 4];
                reader.section(item, path, |s| {
                    s.text("id", &mut id);
                    s.text("service", &mut name);
                    let mut optional = None;
                    s.optional("namespace", &mut optional);
                    namespace = optional.take().unwrap_or_default();
                    s.optional("category", &mut optional);
                    category = optional.unwrap_or_default();
                    if name.is_empty() {
                        s.problem("service", "is missing; it names the service");
                    }
                    drop(s.take_rest());
                });
                ids.insert(id, draft.peer(("", &namespace), &name, kind_of(&category)));
            });
            if services.is_none() {
                s.problem("services", "is missing; it lists services with `id` and `service`");
            }
            s.list("dependencies", |reader, item, path| {
                let [mut from, mut to] = [const { String::new() }; 2];
                reader.section(item, path, |s| {
                    s.text("service_id", &mut from);
                    s.text("depends_on_service_id", &mut to);
                    drop(s.take_rest());
                });
                for (key, id) in [("service_id", &from), ("depends_on_service_id", &to)] {
                    if !ids.contains_key(id) {
                        missing =
                            missing.take().or(Some(format!("{path}.{key}: no service has {id:?}")));
                    }
                }
                let id = |id: &str| ids.get(id).copied().flatten();
                draft.edge(id(&from), id(&to), EdgeKind::Calls);
            });
            drop(s.take_rest());
        });
    }
    let problems = reader.into_problems();
    if problems.is_empty() && root.is_some() {
        return missing.map_or(Ok(()), |what| Err(FormatError::new(what)));
    }
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(FormatError::new(if told.is_empty() { "is empty".to_owned() } else { told.join("\n") }))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Services(Vec<Service>),
    One(Service),
}

#[derive(Deserialize)]
struct Service {
    service: String,
    namespace: Option<String>,
    category: Option<String>,
    #[serde(default)]
    dependencies: BTreeMap<String, serde_json::Value>,
}

fn json(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| {
        let is_json = serde_json::from_slice::<serde_json::Value>(bytes);
        match is_json {
            Ok(_) => FormatError::new("is no list of services, which have `service`"),
            Err(_) => FormatError::json(&error, bytes),
        }
    })?;
    let services = match answer {
        Answer::Services(services) => services,
        Answer::One(service) => vec![service],
    };
    // A dependency has a name only: it holds where the service of that name does.
    let mut spaces: BTreeMap<&str, &str> = BTreeMap::new();
    for service in &services {
        spaces.insert(&service.service, service.namespace.as_deref().unwrap_or_default());
    }
    for service in &services {
        let namespace = service.namespace.as_deref().unwrap_or_default();
        let kind = kind_of(service.category.as_deref().unwrap_or_default());
        let from = draft.peer(("", namespace), &service.service, kind);
        for name in service.dependencies.keys() {
            let place = spaces.get(name.as_str()).copied().unwrap_or(namespace);
            let to = draft.peer(("", place), name, None);
            draft.edge(from, to, EdgeKind::Calls);
        }
    }
    Ok(())
}
