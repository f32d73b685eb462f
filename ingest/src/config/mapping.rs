//! `mapping`: from labels to entities.
//!
//! What the engine checks is not repeated here; its errors get their place in the file.

use hypocenter_engine::{Action, Exporter, Mapping, MappingRule, MappingSpec};

use crate::yaml::reader::Reader;
use crate::yaml::section::{Section, text_of};
use crate::yaml::{At, Node, Value};

/// Where the elements of lists begin, by their paths.
type Places = Vec<(String, At)>;

pub(super) fn read(s: &mut Section<'_, '_>, spec: &mut MappingSpec) {
    let mut places = Places::new();
    let mut readable = true;
    for (key, into) in [("own_rules", &mut spec.own), ("rules", &mut spec.rules)] {
        let read = |reader: &Reader, node: &Node, path: &str| {
            let mut rule = MappingRule::default();
            reader.section(node, path, |s| mapping_rule(s, &mut rule));
            rule
        };
        readable &= list(s, key, into, &mut places, read);
    }
    let read = |reader: &Reader, node: &Node, path: &str| {
        let mut exporter = Exporter::default();
        reader.section(node, path, |s| {
            s.text("job", &mut exporter.job);
            s.texts("hides", &mut exporter.hides);
        });
        exporter
    };
    readable &= list(s, "exporters", &mut spec.exporters, &mut places, read);
    s.section("aliases", |s| aliases(s, &mut spec.aliases));
    if !readable || places.is_empty() {
        return;
    }
    for error in Mapping::new(spec).err().unwrap_or_default() {
        let place = places.iter().find(|(path, _)| *path == error.path);
        s.problem_below(place.map(|(_, at)| *at), &error.path, one_line(&error.problem));
    }
}

/// Reads a list, if it is given. Whether all of it could be read.
fn list<T>(
    s: &mut Section<'_, '_>,
    key: &str,
    into: &mut Vec<T>,
    places: &mut Places,
    read: impl Fn(&Reader, &Node, &str) -> T,
) -> bool {
    let mut items = Vec::new();
    let mut readable = true;
    let found = s.list(key, |reader, node, path| {
        let before = reader.problem_count();
        items.push(read(reader, node, path));
        places.push((path.to_owned(), node.at));
        readable &= reader.problem_count() == before;
    });
    if found.is_some() {
        *into = items;
    }
    readable
}

fn mapping_rule(s: &mut Section<'_, '_>, rule: &mut MappingRule) {
    s.text("name", &mut rule.name);
    s.section("match", |s| {
        for entry in s.take_rest() {
            match (&entry.node.value, text_of(&entry.node)) {
                (_, Some(pattern)) => rule.matches.push((entry.key.clone(), pattern.to_owned())),
                (Value::Quoted(_), None) => rule.matches.push((entry.key.clone(), String::new())),
                _ => {
                    let what = format!("is {}, must be a regular expression", entry.node.shown());
                    s.problem_at(entry, what);
                }
            }
        }
    });
    s.texts("match_any", &mut rule.any_of);
    s.text("to", &mut rule.to);
    s.choice("action", &Action::ALL.map(|action| (action.name(), action)), &mut rule.action);
    s.choice("exporter", &[("true", true), ("false", false)], &mut rule.exporter);
}

/// Each name given replaces the list of that name.
fn aliases(s: &mut Section<'_, '_>, aliases: &mut Vec<(String, Vec<String>)>) {
    for (name, names) in aliases.iter_mut() {
        s.texts(name, names);
    }
    for entry in s.take_rest() {
        let mut names = Vec::new();
        s.texts_of(entry, &mut names);
        aliases.push((entry.key.clone(), names));
    }
}

/// A regular expression's error without the drawing that shows the place in it.
fn one_line(problem: &str) -> String {
    match problem.split_once(": regex parse error:") {
        Some((what, drawing)) => {
            let why = drawing.lines().last().unwrap_or_default();
            format!("{what}: {}", why.trim_start_matches("error: "))
        }
        None => problem.to_owned(),
    }
}
