//! One rule, compiled.

use std::fmt;

use regex::Regex;

use super::read::{LabelRef, Reading, anchored};
use super::template::Template;
use super::{Action, Mapped, MappingRule};
use crate::entity::EntityName;

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) name: Box<str>,
    matches: Vec<(LabelRef, Regex)>,
    any_of: Vec<LabelRef>,
    /// `None`: the action has no entity.
    to: Option<Template>,
    action: Action,
    exporter: bool,
}

/// Why a rule does not match.
#[derive(Debug)]
pub(super) enum WhyNot<'r> {
    /// A label has another value, or none.
    Differs(&'r LabelRef, &'r Regex, Option<String>),
    /// None of these labels is set.
    NoneOf(&'r [LabelRef], bool),
    /// A label of the name is not set.
    Unset(&'r LabelRef, bool),
    /// The name would be empty.
    NoName,
}

impl<'r> WhyNot<'r> {
    pub(super) fn unset(label: &'r LabelRef, reading: &Reading<'_, '_>) -> Self {
        Self::Unset(label, reading.is_hidden(label))
    }
}

impl fmt::Display for WhyNot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |hidden: &bool| if *hidden { " but to name the exporter" } else { "" };
        match self {
            Self::Differs(label, regex, value) => {
                let pattern = regex.as_str();
                let pattern = pattern.strip_prefix("^(?:").unwrap_or(pattern);
                let pattern = pattern.strip_suffix(")$").unwrap_or(pattern);
                match value {
                    Some(value) => write!(f, "{} is {value:?}, not {pattern}", label.name),
                    None => write!(f, "{} is not set, must be {pattern}", label.name),
                }
            }
            Self::NoneOf(labels, is_hidden) => {
                let names: Vec<&str> = labels.iter().map(|label| &*label.name).collect();
                let none = if names.len() == 1 { "is not" } else { "are not" };
                write!(f, "{} {none} set{}", names.join(", "), hidden(is_hidden))
            }
            Self::Unset(label, is_hidden) => {
                write!(f, "{} is not set{}", label.name, hidden(is_hidden))
            }
            Self::NoName => f.write_str("the name would be empty"),
        }
    }
}

impl Rule {
    pub(super) fn new(
        rule: &MappingRule,
        aliases: &[(String, Vec<String>)],
    ) -> Result<Self, String> {
        if rule.name.is_empty() {
            return Err("has no name; give it one, it is recorded with each alert".to_owned());
        }
        let mut matches = Vec::new();
        for (label, pattern) in &rule.matches {
            matches.push((LabelRef::new(label, aliases), anchored(label, pattern)?));
        }
        let to = match (rule.action.has_entity(), rule.to.is_empty()) {
            (true, _) => Some(Template::parse(&rule.to, aliases)?),
            (false, true) => None,
            (false, false) => {
                let action = rule.action.name();
                return Err(format!("has `to`, and `action: {action}` names no entity"));
            }
        };
        if rule.any_of.is_empty() && to.as_ref().is_some_and(Template::uses_value) {
            return Err("`${value}` in `to` needs `match_any`".to_owned());
        }
        if rule.any_of.is_empty() && matches.is_empty() {
            return Err("matches everything; give it `match` or `match_any`".to_owned());
        }
        let any_of = rule.any_of.iter().map(|label| LabelRef::new(label, aliases)).collect();
        let (action, exporter) = (rule.action, rule.exporter);
        Ok(Self { name: rule.name.as_str().into(), matches, any_of, to, action, exporter })
    }

    pub(super) fn apply<'r>(&'r self, reading: &Reading<'_, '_>) -> Result<Mapped<'r>, WhyNot<'r>> {
        let reading = if self.exporter { reading.open() } else { *reading };
        for (label, regex) in &self.matches {
            let value = reading.get(label);
            if !regex.is_match(value.unwrap_or_default()) {
                return Err(WhyNot::Differs(label, regex, value.map(str::to_owned)));
            }
        }
        let value = self.any_of.iter().find_map(|label| reading.get(label));
        if value.is_none() && !self.any_of.is_empty() {
            let hidden = self.any_of.iter().any(|label| reading.is_hidden(label));
            return Err(WhyNot::NoneOf(&self.any_of, hidden));
        }
        let entity = match &self.to {
            Some(to) => to.fill(&reading, value)?,
            None => EntityName::default(),
        };
        Ok(Mapped { entity, service: None, action: self.action, rule: &self.name })
    }
}
