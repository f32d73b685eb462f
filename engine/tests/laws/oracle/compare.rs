//! What both engines hold, side by side.

use std::collections::BTreeMap;

use hypocenter_engine::{Engine, Fingerprint, IncidentView, Phase};

use super::incidents::Incident;
use super::{NEAR, Oracle};

impl Oracle {
    pub(super) fn check(&self, engine: &Engine) {
        let mut live = 0;
        for view in engine.incidents() {
            let ours = &self.incidents[&view.id()];
            assert_eq!((ours.phase, ours.version), (view.phase(), view.version()), "{}", view.id());
            assert_eq!(ours.into, view.merged_into());
            if ours.phase == Phase::Merged {
                continue;
            }
            live += usize::from(!ours.phase.is_final());
            assert_eq!(ours.onset, view.onset().as_millis());
            let members: BTreeMap<Fingerprint, bool> =
                view.members().map(|member| (member.alert.fingerprint, member.firing)).collect();
            assert_eq!(ours.members, members, "{}", view.id());
            assert_eq!(ours.members.len(), view.member_counts().0);
            self.check_ranking(ours, &view);
        }
        let ours = self.incidents.values().filter(|incident| !incident.phase.is_final());
        assert_eq!(ours.count(), live, "live incidents");
    }

    fn check_ranking(&self, ours: &Incident, view: &IncidentView<'_>) {
        let root = view.root_cause().expect("one");
        assert_eq!(ours.candidate.as_deref(), Some(root.entity), "{:?}", ours.seen);
        let candidates = self.model.candidates(&ours.seen);
        let theirs: Vec<&str> = view.candidates().iter().map(|c| c.entity).collect();
        assert_eq!(candidates.len(), theirs.len(), "{:?} {theirs:?}", candidates.keys());
        let mut odds = BTreeMap::new();
        let ranking = &self.model.spec.ranking;
        for candidate in view.candidates() {
            let score: f64 = candidates[candidate.entity].values().sum();
            let off = (score - candidate.score.to_f64()).abs();
            assert!(off < NEAR, "{} has {score}, not {}", candidate.entity, candidate.score);
            odds.insert(candidate.entity, (score / ranking.temperature).exp());
        }
        let none = (ranking.none_score / ranking.temperature).exp();
        let all: f64 = odds.values().sum::<f64>() + none;
        let sure = odds[root.entity] / all;
        assert!((sure - root.confidence.to_f64()).abs() < 1e-3, "confidence {sure}");
        let mut terms = candidates[root.entity].clone();
        terms.retain(|_, part| part.abs() >= NEAR);
        let mut rest = 0.0;
        for term in view.evidence() {
            let key = (term.code.name(), term.entity.unwrap_or_default().to_owned());
            match terms.remove(&key) {
                Some(part) => {
                    let off = (part - term.contribution.to_f64()).abs();
                    assert!(off < NEAR, "{key:?}: {part}, not {}", term.contribution);
                }
                None => rest += term.contribution.to_f64(),
            }
        }
        // What is summed up in the record.
        let unlisted: f64 = terms.values().sum();
        assert!((rest - unlisted).abs() < NEAR, "{terms:?} is not in the evidence");
    }
}
