//! What is wrong with rules side by side: equal names, and rules that nothing can reach.

use regex::Regex;

use super::MappingRule;
use super::read::anchored;
use super::template::Template;

/// The rules that another one makes useless, with what is wrong.
pub(super) fn between(rules: &[MappingRule]) -> Vec<(usize, String)> {
    let mut problems = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let before = &rules[..at];
        if !rule.name.is_empty() && before.iter().any(|other| other.name == rule.name) {
            problems.push((at, "has the name of a rule before it; give each its own".to_owned()));
        } else if let Some(first) = before.iter().find(|first| takes_all_of(first, rule)) {
            let what = format!(
                "can never match: rule \"{}\" before it takes all that it would; put it first, \
                 or narrow that one",
                first.name
            );
            problems.push((at, what));
        }
    }
    problems
}

/// Whether `first` surely matches wherever `rule` does. Where that cannot be told, it does not.
fn takes_all_of(first: &MappingRule, rule: &MappingRule) -> bool {
    if first.exporter != rule.exporter {
        return false;
    }
    let Some(set) = surely_set(rule) else { return false };
    let any_of = first.any_of.is_empty()
        || first.any_of.iter().any(|label| set.iter().any(|known| known == label))
        || !rule.any_of.is_empty() && rule.any_of.iter().all(|l| first.any_of.contains(l));
    let matches = first.matches.iter().all(|(label, pattern)| {
        let same = rule.matches.iter().filter(|(other, _)| other == label);
        let implied = |other: &str| other == pattern || all_match(other, label, pattern);
        same.into_iter().any(|(_, other)| implied(other))
            || matches!(pattern.as_str(), ".+" | ".*") && set.iter().any(|known| known == label)
            || pattern == ".*"
    });
    let named = match first.action.has_entity() {
        true => required(first),
        false => Some(Vec::new()),
    };
    let named = named.is_some_and(|labels| labels.iter().all(|label| set.contains(label)));
    any_of && matches && named
}

/// The labels without which a rule does not match; `None`: the rule is broken.
fn surely_set(rule: &MappingRule) -> Option<Vec<String>> {
    let mut set = if rule.action.has_entity() { required(rule)? } else { Vec::new() };
    for (label, pattern) in &rule.matches {
        if !anchored(label, pattern).ok()?.is_match("") {
            set.push(label.clone());
        }
    }
    if let [only] = rule.any_of.as_slice() {
        set.push(only.clone());
    }
    Some(set)
}

fn required(rule: &MappingRule) -> Option<Vec<String>> {
    let template = Template::parse(&rule.to, &[]).ok()?;
    Some(template.required().map(str::to_owned).collect())
}

/// Whether all that a list of plain words matches is matched by a pattern.
fn all_match(words: &str, label: &str, pattern: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-|".contains(c);
    let Ok(regex) = anchored(label, pattern) else { return false };
    !words.is_empty()
        && words.chars().all(plain)
        && words.split('|').all(|w| Regex::is_match(&regex, w))
}
