//! Cross-validation over systems: parameters are picked without one system and judged on it.
//!
//! The system of a set is the shortest name of a set that its name begins with: `petshop_stale` is
//! of `petshop`, being other alert rules over the same faults. A storm's systems are those that its
//! faults name. A storm of several systems is judged by parameters picked without any such storm:
//! its systems are known then, their mixture is not.

use std::collections::{BTreeMap, BTreeSet};

use super::search::Train;
use crate::score::data::{Data, Storm};
use crate::score::evaluation::{Evaluation, Headline};
use crate::score::grouping;

/// What is left out, and what is looked at.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The system left out; `several systems` for storms of more than one.
    pub left_out: String,
    /// The sets and storms to pick parameters with.
    pub train: Train,
    /// Names of the sets and storms to judge with.
    pub test: BTreeSet<String>,
}

/// The folds of some data; none when there is only one system.
#[must_use]
pub fn folds(data: &Data) -> Vec<Fold> {
    let systems = Systems::of(data);
    let train = |wanted: &dyn Fn(&BTreeSet<String>) -> bool| systems.train(wanted);
    let all: BTreeSet<&String> = systems.of.values().flatten().collect();
    if all.len() < 2 {
        return Vec::new();
    }
    let names = |wanted: &dyn Fn(&BTreeSet<String>) -> bool| -> BTreeSet<String> {
        systems.of.iter().filter(|(_, of)| wanted(of)).map(|(name, _)| name.clone()).collect()
    };
    let mut folds: Vec<Fold> = all
        .into_iter()
        .map(|system| Fold {
            left_out: system.clone(),
            train: train(&|of| !of.contains(system)),
            test: names(&|of| of.len() == 1 && of.contains(system)),
        })
        .collect();
    folds.push(Fold {
        left_out: "several systems".to_owned(),
        train: train(&|of| of.len() == 1),
        test: names(&|of| of.len() > 1),
    });
    folds.retain(|fold| !fold.train.all.is_empty() && !fold.test.is_empty());
    folds
}

/// All data, to pick parameters with.
#[must_use]
pub fn all(data: &Data) -> Train {
    Systems::of(data).train(&|_| true)
}

/// The figures of all data, each set and storm taken from the fold that left it out.
#[must_use]
pub fn assemble(folds: &[(Fold, Evaluation)]) -> Headline {
    let mut whole = Evaluation::default();
    for (fold, evaluation) in folds {
        let sets = evaluation.sets.iter().filter(|(name, _)| fold.test.contains(*name));
        whole.sets.extend(sets.map(|(name, figures)| (name.clone(), *figures)));
        let storms = evaluation.storms.iter().filter(|(name, _)| fold.test.contains(*name));
        let storms: BTreeMap<String, grouping::Figures> =
            storms.map(|(name, figures)| (name.clone(), *figures)).collect();
        whole.storms.extend(storms);
    }
    whole.headline()
}

/// Which systems each set and storm is of.
struct Systems {
    of: BTreeMap<String, BTreeSet<String>>,
}

impl Systems {
    /// The sets and storms whose systems are `wanted`, together and by system.
    fn train(&self, wanted: &dyn Fn(&BTreeSet<String>) -> bool) -> Train {
        let chosen = || self.of.iter().filter(|(_, of)| wanted(of));
        let mut by_system: BTreeMap<&BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
        for (name, of) in chosen() {
            by_system.entry(of).or_default().insert(name.clone());
        }
        Train {
            all: chosen().map(|(name, _)| name.clone()).collect(),
            by_system: by_system.into_values().collect(),
        }
    }

    fn of(data: &Data) -> Self {
        let names: Vec<&str> = data.sets.iter().map(|set| set.name.as_str()).collect();
        let system = |name: &str| {
            let heads = names.iter().filter(|head| name.starts_with(**head));
            heads.min_by_key(|head| head.len()).map_or(name, |head| *head).to_owned()
        };
        let storm = |storm: &Storm| {
            let named: BTreeSet<String> = storm
                .incidents
                .iter()
                .filter_map(|one| one.system.as_deref())
                .map(system)
                .collect();
            // One that does not say is of a system of its own, like the others of its kind.
            let kind = storm.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            if named.is_empty() { BTreeSet::from([kind.to_owned()]) } else { named }
        };
        let sets = data.sets.iter().map(|s| (s.name.clone(), BTreeSet::from([system(&s.name)])));
        let storms = data.storms.iter().map(|one| (one.name.clone(), storm(one)));
        Self { of: sets.chain(storms).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::data::{Set, TrueIncident};

    fn data(sets: &[&str], storms: &[(&str, &[&str])]) -> Data {
        let set = |name: &&str| Set { name: (*name).to_owned(), cases: Vec::new() };
        let storm = |(name, systems): &(&str, &[&str])| Storm {
            name: (*name).to_owned(),
            alerts: Vec::new(),
            topology: Vec::new(),
            truth: Vec::new(),
            incidents: systems
                .iter()
                .map(|system| TrueIncident {
                    id: (*system).to_owned(),
                    root_causes: BTreeSet::new(),
                    system: Some((*system).to_owned()),
                })
                .collect(),
        };
        Data {
            sets: sets.iter().map(set).collect(),
            storms: storms.iter().map(storm).collect(),
            ..Data::default()
        }
    }

    #[test]
    fn nothing_of_a_system_is_seen_while_it_is_left_out() {
        let data = data(
            &["shop", "shop_stale", "train"],
            &[("s-1", &["shop-low"]), ("t-1", &["train"]), ("m-1", &["shop-low", "train"])],
        );
        let folds = folds(&data);
        let names: Vec<&str> = folds.iter().map(|fold| fold.left_out.as_str()).collect();
        assert_eq!(names, ["shop", "train", "several systems"]);
        let set = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(folds[0].train.all, set(&["train", "t-1"]));
        assert_eq!(folds[0].test, set(&["shop", "shop_stale", "s-1"]));
        assert_eq!(folds[0].train.by_system, [set(&["train", "t-1"])]);
        assert_eq!(folds[2].train.by_system.len(), 2);
        assert_eq!(folds[2].train.all, set(&["shop", "shop_stale", "train", "s-1", "t-1"]));
        assert_eq!(folds[2].test, set(&["m-1"]));
    }

    #[test]
    fn one_system_cannot_be_left_out() {
        assert!(folds(&data(&["shop", "shop_stale"], &[])).is_empty());
    }
}
