//! A comparison in words.

use std::fmt;

use super::{Diff, Group, Incident, Kind, Moved, Totals};
use crate::plain::Plain;

/// Groups shown one by one.
const GROUPS_SHOWN: usize = 50;
/// Members shown of one incident.
const MEMBERS_SHOWN: usize = 5;
/// Suppressions shown.
const MOVED_SHOWN: usize = 10;

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        totals(f, "A", &self.a)?;
        totals(f, "B", &self.b)?;
        noise(f, &self.a, &self.b)?;
        let equal = self.count.get(&Kind::Same).copied().unwrap_or_default();
        let counts = Kind::ALL.into_iter().skip(1);
        let counts = counts.map(|kind| format!("{} {}", kind.name(), self.count[&kind]));
        writeln!(
            f,
            "\nsame members {equal}, {}; candidate differs {}",
            counts.collect::<Vec<_>>().join(", "),
            self.candidates_changed
        )?;
        for group in self.groups.iter().take(GROUPS_SHOWN) {
            write!(f, "\n{group}")?;
        }
        let more = self.groups.len().saturating_sub(GROUPS_SHOWN);
        if more > 0 {
            writeln!(f, "\nand {more} more groups; --format json has all")?;
        }
        moved(f, "suppressed by A, placed by B", &self.placed_by_b_only)?;
        moved(f, "placed by A, suppressed by B", &self.placed_by_a_only)
    }
}

fn totals(f: &mut fmt::Formatter<'_>, name: &str, totals: &Totals) -> fmt::Result {
    let Totals { policy, incidents, singles, records, placed, .. } = totals;
    let by = totals.suppressed.iter().map(|(by, count)| format!(", {by} {count}"));
    writeln!(
        f,
        "{name}  {} (policy {policy}): {incidents} incidents, {singles} of one alert; {records} \
         records; {placed} alerts placed{}",
        Plain(&totals.config),
        by.collect::<String>()
    )
}

/// What people would hear more or less of.
fn noise(f: &mut fmt::Formatter<'_>, a: &Totals, b: &Totals) -> fmt::Result {
    let suppressed = |side: &Totals| side.suppressed.values().sum::<usize>() as i128;
    writeln!(
        f,
        "B - A  noise: incidents {:+}, of one alert {:+}, records {:+}, suppressed alerts {:+}",
        b.incidents as i128 - a.incidents as i128,
        b.singles as i128 - a.singles as i128,
        i128::from(b.records) - i128::from(a.records),
        suppressed(b) - suppressed(a),
    )
}

fn moved(f: &mut fmt::Formatter<'_>, what: &str, list: &[Moved]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{what}: {}", list.len())?;
    for one in list.iter().take(MOVED_SHOWN) {
        let Moved { member, suppressed_as } = one;
        writeln!(
            f,
            "  {} on {} ({}, {}): {suppressed_as}",
            Plain(&member.alertname),
            Plain(&member.entity),
            member.fingerprint,
            member.starts_at
        )?;
    }
    Ok(())
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidate = if self.candidate_changed { ", another candidate" } else { "" };
        writeln!(f, "{}{candidate}", self.kind.name())?;
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            for incident in side {
                incident.show(f, name)?;
            }
        }
        Ok(())
    }
}

fn alerts(count: usize) -> &'static str {
    if count == 1 { "alert" } else { "alerts" }
}

impl Incident {
    fn show(&self, f: &mut fmt::Formatter<'_>, side: &str) -> fmt::Result {
        let Self { incident, confidence, members, .. } = self;
        let (root, count) = (Plain(&self.root), members.len());
        write!(
            f,
            "  {side} {incident}  {root}  confidence {confidence:.2}  {count} {}:",
            alerts(count)
        )?;
        for (at, member) in members.iter().take(MEMBERS_SHOWN).enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma} {} on {}", Plain(&member.alertname), Plain(&member.entity))?;
        }
        writeln!(f, "{}", if count > MEMBERS_SHOWN { ", …" } else { "" })
    }
}
