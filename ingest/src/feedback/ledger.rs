//! What the judgements come to: precision, error budget, burn rate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use hypocenter_engine::Timestamp;
use serde::Serialize;

use super::judgement::{Judgement, Verdict};

/// What is promised, and over how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Objective {
    /// Least share of judged candidates that is confirmed, 0 to 1, exclusive.
    pub share: f64,
    /// Over this long.
    pub window: Duration,
}

/// Judgements, of which the latest of each (incident, who) counts.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    latest: BTreeMap<(String, String), (i64, Verdict, Option<String>)>,
    keys: BTreeSet<String>,
    confirmed: u64,
    rejected: u64,
}

/// Precision over one window.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Precision {
    /// The window, as a duration is written.
    pub window: String,
    /// Verdicts in it, the latest of each (incident, who).
    pub judged: u64,
    /// Of these, how many confirm.
    pub confirmed: u64,
    /// Share confirmed; null when nothing was judged.
    pub ratio: Option<f64>,
    /// How fast the error budget burns: 1 spends exactly the budget; 0 when nothing was judged.
    pub burn_rate: f64,
}

/// Where we stand.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Standing {
    /// The objective.
    pub objective: f64,
    /// Precision over the objective's window, and over a quarter and a thirtieth of it.
    pub windows: Vec<Precision>,
    /// Share of the error budget that is left over the whole window: 1 untouched, below 0 overspent.
    pub budget_remaining: f64,
    /// Judgements in the log that confirm, overruled ones included.
    pub confirmations: u64,
    /// Judgements in the log that reject, overruled ones included.
    pub rejections: u64,
    /// Judgements that came again.
    pub duplicates: u64,
    /// Judgements that could not be understood.
    pub refused: u64,
    /// Lines of the log that cannot be read.
    pub damaged_lines: u64,
}

impl Ledger {
    /// Whether a judgement says nothing new: its key is known, or it has none and says the same as
    /// the latest one of its author.
    #[must_use]
    pub fn knows(&self, judgement: &Judgement) -> bool {
        match &judgement.key {
            Some(key) => self.keys.contains(key),
            None => {
                let before = self.latest.get(&author(judgement));
                before.is_some_and(|(_, verdict, entity)| {
                    *verdict == judgement.verdict && *entity == judgement.entity
                })
            }
        }
    }

    /// Counts a judgement of the log.
    pub fn add(&mut self, judgement: &Judgement) {
        if self.knows(judgement) {
            return;
        }
        self.keys.extend(judgement.key.clone());
        match judgement.verdict {
            Verdict::Confirm => self.confirmed += 1,
            Verdict::Reject => self.rejected += 1,
        }
        let latest = (judgement.at_ms, judgement.verdict, judgement.entity.clone());
        // The order of the log counts, and not the clocks of those who wrote it.
        self.latest.insert(author(judgement), latest);
    }

    /// Precision over the last `window` before `now`.
    #[must_use]
    pub fn precision(&self, objective: f64, window: Duration, now: Timestamp) -> Precision {
        let span = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        let since = now.as_millis().saturating_sub(span);
        let within = self.latest.values().filter(|(at, ..)| *at > since);
        let (mut judged, mut confirmed) = (0_u64, 0_u64);
        for (_, verdict, _) in within {
            judged += 1;
            confirmed += u64::from(*verdict == Verdict::Confirm);
        }
        let ratio = (judged > 0).then(|| confirmed as f64 / judged as f64);
        let burn_rate = ratio.map_or(0.0, |ratio| (1.0 - ratio) / (1.0 - objective));
        let window = crate::duration::format(window);
        Precision { window, judged, confirmed, ratio, burn_rate }
    }

    /// Where we stand as of `now`.
    #[must_use]
    pub fn standing(&self, objective: &Objective, now: Timestamp) -> Standing {
        let Objective { share, window } = *objective;
        let windows = [window, window / 4, window / 30];
        let windows: Vec<Precision> =
            windows.into_iter().map(|window| self.precision(share, window, now)).collect();
        Standing {
            objective: share,
            budget_remaining: 1.0 - windows[0].burn_rate,
            windows,
            confirmations: self.confirmed,
            rejections: self.rejected,
            ..Standing::default()
        }
    }

    /// Forgets all, to be read again.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The entities that were named as the root cause instead of a rejected candidate, most often
    /// named first.
    #[must_use]
    pub fn named_instead(&self) -> Vec<(String, u64)> {
        let mut count: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, verdict, entity) in self.latest.values() {
            if let (Verdict::Reject, Some(entity)) = (verdict, entity) {
                *count.entry(entity).or_default() += 1;
            }
        }
        let mut list: VecDeque<(String, u64)> =
            count.into_iter().map(|(entity, count)| (entity.to_owned(), count)).collect();
        list.make_contiguous()
            .sort_by_key(|(entity, count)| (std::cmp::Reverse(*count), entity.clone()));
        list.into()
    }

    /// Incidents on which two people disagree.
    #[must_use]
    pub fn disputed(&self) -> Vec<String> {
        let mut verdicts: BTreeMap<&str, BTreeSet<Verdict>> = BTreeMap::new();
        for ((incident, _), (_, verdict, _)) in &self.latest {
            verdicts.entry(incident).or_default().insert(*verdict);
        }
        let disputed = verdicts.into_iter().filter(|(_, verdicts)| verdicts.len() > 1);
        disputed.map(|(incident, _)| incident.to_owned()).collect()
    }
}

fn author(judgement: &Judgement) -> (String, String) {
    (judgement.incident.clone(), judgement.who.clone())
}

#[cfg(test)]
mod tests {
    use super::super::judgement::Via;
    use super::*;

    fn judgement(at: i64, incident: u8, who: &str, verdict: Verdict) -> Judgement {
        let incident = format!("inc-{incident:016}");
        let (who, via) = (who.to_owned(), Via::File);
        Judgement {
            at_ms: at * 86_400_000,
            incident,
            verdict,
            entity: None,
            who,
            key: None,
            note: None,
            via,
        }
    }

    fn ledger(list: &[(i64, u8, &str, Verdict)]) -> Ledger {
        let mut ledger = Ledger::default();
        for &(at, incident, who, verdict) in list {
            ledger.add(&judgement(at, incident, who, verdict));
        }
        ledger
    }

    use Verdict::{Confirm, Reject};

    #[test]
    fn the_latest_verdict_of_each_person_counts() {
        let ledger =
            ledger(&[(1, 1, "ada", Confirm), (2, 1, "ada", Reject), (2, 1, "bob", Confirm)]);
        let now = Timestamp::from_millis(3 * 86_400_000);
        let found = ledger.precision(0.8, Duration::from_secs(30 * 86_400), now);
        assert_eq!((found.judged, found.confirmed, found.ratio), (2, 1, Some(0.5)));
        assert_eq!(ledger.disputed(), ["inc-0000000000000001"]);
    }

    #[test]
    fn the_budget_burns_by_window() {
        // Nine right long ago, and one wrong lately, with a fifth allowed to be wrong.
        let mut list: Vec<_> = (1..=9).map(|n| (1, n, "ada", Confirm)).collect();
        list.push((29, 10, "ada", Reject));
        let objective = Objective { share: 0.8, window: Duration::from_secs(30 * 86_400) };
        let now = Timestamp::from_millis(29 * 86_400_000 + 1);
        let standing = ledger(&list).standing(&objective, now);
        let burn: Vec<f64> = standing.windows.iter().map(|w| w.burn_rate).collect();
        assert!((burn[0] - 0.5).abs() < 1e-9 && (burn[1] - 5.0).abs() < 1e-9, "{standing:?}");
        assert!((standing.budget_remaining - 0.5).abs() < 1e-9);
        assert_eq!(standing.windows[1].window, "7d12h");
    }

    #[test]
    fn nothing_judged_is_no_failure() {
        let objective = Objective { share: 0.8, window: Duration::from_secs(86_400) };
        let standing = Ledger::default().standing(&objective, Timestamp::from_millis(0));
        assert_eq!((standing.windows[0].ratio, standing.budget_remaining), (None, 1.0));
    }

    #[test]
    fn a_key_makes_two_one_and_without_one_sameness_does() {
        let mut ledger = Ledger::default();
        let with = |key: Option<&str>, verdict| Judgement {
            key: key.map(str::to_owned),
            ..judgement(1, 1, "ada", verdict)
        };
        ledger.add(&with(Some("k"), Confirm));
        assert!(ledger.knows(&with(Some("k"), Reject)), "the key alone says so");
        assert!(!ledger.knows(&with(Some("l"), Confirm)));
        assert!(ledger.knows(&with(None, Confirm)), "the same as the latest");
        assert!(!ledger.knows(&with(None, Reject)));
    }
}
