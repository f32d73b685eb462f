//! Which entity an alert is about: ordered, typed rules over its labels; the first match wins.

use regex::Regex;

use crate::label::Labels;

/// One rule as written by the user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MappingRule {
    /// Name, recorded with each alert that the rule maps.
    pub name: String,
    /// Labels that must match, each with an anchored regular expression.
    pub matches: Vec<(String, String)>,
    /// Labels of which one must be set; the first one that is gives `${value}`.
    pub any_of: Vec<String>,
    /// The entity's name, with `${label}`, `${value}`, and `${label|strip_port}`. A label that
    /// is not set makes the rule not match.
    pub to: String,
}

/// The rules that map alerts to entities, checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: Box<str>,
    matches: Vec<(Box<str>, Regex)>,
    any_of: Vec<Box<str>>,
    to: Vec<Part>,
}

#[derive(Clone, PartialEq, Debug)]
enum Part {
    Text(Box<str>),
    Value { strip_port: bool },
    Label { name: Box<str>, strip_port: bool },
}

/// What is wrong with a mapping rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("mapping rule {rule:?}: {problem}")]
pub struct MappingError {
    /// The rule's name, or its number from 1 when it has none.
    pub rule: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// Where an alert belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapped<'m> {
    /// The entity's name.
    pub entity: String,
    /// The rule that said so.
    pub rule: &'m str,
}

/// The default rules: `service`, `app`, `node`, `job`, `instance`. A node label is more telling
/// than the job that scraped it, hence before `job`.
#[must_use]
pub fn default_mapping() -> Vec<MappingRule> {
    let plain = |name: &str, to: &str| MappingRule {
        name: name.to_owned(),
        any_of: vec![name.to_owned()],
        to: to.to_owned(),
        ..MappingRule::default()
    };
    vec![
        plain("service", "${value}"),
        plain("app", "${value}"),
        plain("node", "${value}"),
        plain("job", "${value}"),
        plain("instance", "${value|strip_port}"),
    ]
}

impl Mapping {
    /// Checks the rules.
    ///
    /// # Errors
    /// All that is wrong with them, in order.
    pub fn new(rules: &[MappingRule]) -> Result<Self, Vec<MappingError>> {
        let mut errors = Vec::new();
        let mut checked = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            match Rule::new(rule) {
                Ok(rule) => checked.push(rule),
                Err(problem) => {
                    let number = (at + 1).to_string();
                    let rule = if rule.name.is_empty() { number } else { rule.name.clone() };
                    errors.push(MappingError { rule, problem });
                }
            }
        }
        if errors.is_empty() { Ok(Self { rules: checked }) } else { Err(errors) }
    }

    /// The entity that an alert is about; `None` when no rule matches.
    #[must_use]
    pub fn entity<'m>(&'m self, labels: Labels<'_>) -> Option<Mapped<'m>> {
        self.rules.iter().find_map(|rule| {
            let entity = rule.apply(labels)?;
            Some(Mapped { entity, rule: &rule.name })
        })
    }
}

impl Rule {
    fn new(rule: &MappingRule) -> Result<Self, String> {
        if rule.name.is_empty() {
            return Err("has no name; give it one, it is recorded with each alert".to_owned());
        }
        let mut matches = Vec::new();
        for (label, pattern) in &rule.matches {
            let regex = Regex::new(&format!("^(?:{pattern})$"))
                .map_err(|e| format!("pattern {pattern:?} of label {label:?}: {e}"))?;
            matches.push((label.as_str().into(), regex));
        }
        let to = parse_template(&rule.to)?;
        if rule.any_of.is_empty() && to.iter().any(|p| matches!(p, Part::Value { .. })) {
            return Err("`${value}` in `to` needs `match_any`".to_owned());
        }
        if rule.any_of.is_empty() && matches.is_empty() {
            return Err("matches everything; give it `match` or `match_any`".to_owned());
        }
        let any_of = rule.any_of.iter().map(|l| l.as_str().into()).collect();
        Ok(Self { name: rule.name.as_str().into(), matches, any_of, to })
    }

    fn apply(&self, labels: Labels<'_>) -> Option<String> {
        for (label, regex) in &self.matches {
            if !regex.is_match(labels.get(label).unwrap_or_default()) {
                return None;
            }
        }
        let value = self.any_of.iter().find_map(|label| labels.get(label));
        if value.is_none() && !self.any_of.is_empty() {
            return None;
        }
        let mut entity = String::new();
        for part in &self.to {
            let (text, strip) = match part {
                Part::Text(text) => (&**text, false),
                Part::Value { strip_port } => (value?, *strip_port),
                Part::Label { name, strip_port } => (labels.get(name)?, *strip_port),
            };
            entity.push_str(if strip { without_port(text) } else { text });
        }
        (!entity.is_empty()).then_some(entity)
    }
}

fn parse_template(template: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((text, tail)) = rest.split_once("${") {
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        let (inside, tail) =
            tail.split_once('}').ok_or_else(|| format!("`to: {template}`: `${{` is not closed"))?;
        let (name, filter) = inside.split_once('|').unwrap_or((inside, ""));
        let strip_port = match filter {
            "" => false,
            "strip_port" => true,
            other => return Err(format!("unknown filter `{other}`; there is `strip_port`")),
        };
        parts.push(match name {
            "" => return Err(format!("`to: {template}`: `${{}}` names no label")),
            "value" => Part::Value { strip_port },
            name => Part::Label { name: name.into(), strip_port },
        });
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    if parts.is_empty() {
        return Err("`to` is empty; it names the entity, as in `to: ${value}`".to_owned());
    }
    Ok(parts)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::LabelLimits;

    fn map(rules: &[MappingRule], pairs: &[(&str, &str)]) -> Option<(String, String)> {
        let mapping = Mapping::new(rules).expect("valid");
        let mut pairs = pairs.to_vec();
        let labels = Labels::canonical(&mut pairs, &LabelLimits::default()).expect("valid");
        mapping.entity(labels).map(|m| (m.entity, m.rule.to_owned()))
    }

    #[test]
    fn defaults_prefer_the_subject() {
        let of = |pairs: &[(&str, &str)]| map(&default_mapping(), pairs);
        let yes = |entity: &str, rule: &str| Some((entity.to_owned(), rule.to_owned()));
        assert_eq!(of(&[("service", "a"), ("job", "b"), ("node", "c")]), yes("a", "service"));
        assert_eq!(of(&[("job", "b"), ("node", "c")]), yes("c", "node"));
        assert_eq!(of(&[("job", "b"), ("instance", "h:1")]), yes("b", "job"));
        assert_eq!(of(&[("instance", "h:9100")]), yes("h", "instance"));
        assert_eq!(of(&[("instance", "fe80::1")]), yes("fe80::1", "instance"));
        assert_eq!(of(&[("instance", "[fe80::1]:80")]), yes("[fe80::1]", "instance"));
        assert_eq!(of(&[("alertname", "x")]), None);
    }

    #[test]
    fn rules_match_in_order_with_anchored_patterns() {
        let rule = |name: &str, label: &str, pattern: &str, to: &str| MappingRule {
            name: name.into(),
            matches: vec![(label.into(), pattern.into())],
            to: to.into(),
            ..MappingRule::default()
        };
        let rules = [
            rule("kube", "alertname", "KubeNode.*", "node/${node}"),
            rule("rest", "alertname", ".+", "x/${namespace}/${service}"),
        ];
        let kube = map(&rules, &[("alertname", "KubeNodeNotReady"), ("node", "n1")]);
        assert_eq!(kube.expect("maps").0, "node/n1");
        assert_eq!(map(&rules, &[("alertname", "XKubeNode"), ("node", "n1")]), None);
        let rest = [("alertname", "a"), ("namespace", "n"), ("service", "s")];
        assert_eq!(map(&rules, &rest).expect("maps").0, "x/n/s");
    }

    #[test]
    fn every_mistake_is_named() {
        let bad =
            |rule: MappingRule| Mapping::new(&[rule]).expect_err("refused").remove(0).to_string();
        let named = |to: &str| MappingRule {
            name: "r".into(),
            any_of: vec!["a".into()],
            to: to.into(),
            ..MappingRule::default()
        };
        assert!(bad(MappingRule { name: String::new(), ..named("x") }).contains("\"1\""));
        assert!(bad(named("")).contains("`to` is empty"));
        assert!(bad(named("${a")).contains("not closed"));
        assert!(bad(named("${}")).contains("names no label"));
        assert!(bad(named("${a|upper}")).contains("unknown filter"));
        assert!(bad(MappingRule { any_of: vec![], ..named("x") }).contains("everything"));
        let pattern = vec![("l".to_owned(), "(".to_owned())];
        assert!(bad(MappingRule { matches: pattern, ..named("x") }).contains("unclosed group"));
    }
}
