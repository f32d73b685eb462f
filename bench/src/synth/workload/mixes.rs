//! What arrives: the mixes.

use clap::ValueEnum;

use super::super::numbers::Numbers;
use super::super::scale::CHANCE;
use super::{FILL_MS, HOLDS_MS, Message, NEVER_MS, ROUND_MS, Workload};

const MS: i64 = 1_000_000;
/// Between two new alerts of [`Mix::New`].
const NEW_EVERY: i64 = 10 * MS;
/// Between two alerts of a storm.
const STORM_EVERY: i64 = MS;
/// Between two resolves of a wave.
const RESOLVE_EVERY: i64 = MS / 10;
/// Alerts of one fault, at most.
const FAULT_ALERTS: usize = 200;
/// Part of a storm that has nothing to do with it.
const STORM_NOISE: f64 = 0.03;
/// Alerts that flap.
const FLAPPERS: u64 = 100;
/// Senders whose clocks are off are off by up to this.
const SKEW_MS: i64 = 30_000;

/// What arrives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Mix {
    /// Every live alert again each minute, in another order than they began.
    Duplicates,
    /// Alerts never seen before, anywhere, a hundred a second.
    New,
    /// Faults one after the other, each with up to 200 dependents that alert: a thousand new
    /// alerts a second.
    Storm,
    /// Every live alert is resolved.
    ResolveWave,
    /// Nothing more is heard: every live alert expires.
    ExpiryWave,
    /// As in operation: nine of ten are repeats, each from both senders of a pair; besides chance,
    /// storm, flapping alerts, and senders whose clock is off.
    Mixed,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Duplicates,
        Self::New,
        Self::Storm,
        Self::ResolveWave,
        Self::ExpiryWave,
        Self::Mixed,
    ];

    /// Name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicates => "duplicates",
            Self::New => "new",
            Self::Storm => "storm",
            Self::ResolveWave => "resolve-wave",
            Self::ExpiryWave => "expiry-wave",
            Self::Mixed => "mixed",
        }
    }
}

/// Messages, in order of arrival.
#[derive(Clone, Debug)]
pub struct Messages<'w> {
    workload: &'w Workload,
    mix: Option<Mix>,
    /// Whether the population promises an end, and is repeated.
    refreshed: bool,
    /// How many have been drawn.
    drawn: u64,
    numbers: Numbers,
    now: i64,
    /// Alerts of the current fault that are still to come: entity and rule.
    fault: Vec<(usize, usize)>,
    /// Alerts that nobody has seen before.
    fresh: u64,
    /// Repeats so far.
    repeats: u64,
}

impl<'w> Messages<'w> {
    pub(super) fn fill(workload: &'w Workload, mix: Mix) -> Self {
        Self { mix: None, now: 0, ..Self::measured(workload, mix) }
    }

    pub(super) fn measured(workload: &'w Workload, mix: Mix) -> Self {
        let size = workload.size;
        Self {
            workload,
            mix: Some(mix),
            refreshed: matches!(mix, Mix::Duplicates | Mix::ExpiryWave | Mix::Mixed),
            drawn: 0,
            numbers: Numbers::new(mix.name(), size.seed),
            now: FILL_MS * MS,
            fault: Vec::new(),
            fresh: size.live as u64,
            repeats: 0,
        }
    }

    fn live(&self) -> u64 {
        self.workload.size.live as u64
    }

    /// When, in each round, the population's alert of this number is told of.
    fn phase(&self, number: u64) -> i64 {
        let live = i128::from(self.live());
        let place = i128::from(number) * self.workload.unstride as i128 % live;
        (place * i128::from(ROUND_MS * MS) / live) as i64
    }

    fn resident(&self, number: u64, at: i64, ends: i64) -> Message {
        let resident = self.workload.residents[number as usize];
        let (entity, rule) = (resident.entity as usize, usize::from(resident.rule));
        let told = i64::from(resident.told_ms) * MS;
        let starts = if resident.is_standing { told - FILL_MS * MS } else { told };
        Message { at, number, entity, rule, starts, ends, resolved: false, replica: None }
    }

    fn filling(&self) -> Option<Message> {
        if self.drawn >= self.live() {
            return None;
        }
        let number = self.drawn;
        let at = i64::from(self.workload.residents[number as usize].told_ms) * MS;
        let ends = match self.refreshed {
            true => FILL_MS * MS + (HOLDS_MS - ROUND_MS) * MS + self.phase(number),
            false => NEVER_MS * MS,
        };
        Some(self.resident(number, at, ends))
    }

    /// The next repeat of the population.
    fn repeat(&mut self) -> Message {
        let (round, place) = (self.repeats / self.live(), self.repeats % self.live());
        self.repeats += 1;
        // Not in the order of their beginning.
        let stride = self.workload.stride as u128;
        let number = (u128::from(place) * stride % u128::from(self.live())) as u64;
        let at = FILL_MS * MS + round as i64 * ROUND_MS * MS + self.phase(number);
        self.resident(number, at, at + HOLDS_MS * MS)
    }

    fn unheard(&mut self, entity: usize, rule: usize) -> Message {
        let (at, number) = (self.now, self.fresh);
        self.fresh += 1;
        let ends = NEVER_MS * MS;
        Message { at, number, entity, rule, starts: at, ends, resolved: false, replica: None }
    }

    fn by_chance(&mut self) -> Message {
        let entity = self.numbers.below(self.workload.size.services);
        let rule = self.numbers.below(CHANCE.len());
        self.unheard(entity, rule)
    }

    fn stormy(&mut self) -> Message {
        if self.numbers.chance(STORM_NOISE) {
            return self.by_chance();
        }
        let (entity, rule) = match self.fault.pop() {
            Some(next) => next,
            None => {
                self.fault = self.workload.fault(FAULT_ALERTS, &mut self.numbers);
                self.fault.pop().unwrap_or_default()
            }
        };
        self.unheard(entity, rule)
    }

    fn resolve(&mut self) -> Option<Message> {
        if self.drawn >= self.live() {
            return None;
        }
        self.now += RESOLVE_EVERY;
        let (at, number) = (self.now, self.drawn);
        Some(Message { resolved: true, ..self.resident(number, at, at) })
    }

    fn mixed(&mut self) -> Message {
        // Both senders of a pair tell of a repeat, one right after the other.
        let rest = self.drawn % 20;
        if rest < 18 {
            let replica = Some((rest % 2) as u8);
            if rest % 2 == 1 {
                self.repeats -= 1;
            }
            let message = self.repeat();
            self.now = self.now.max(message.at);
            return Message { replica, at: self.now, ..message };
        }
        match self.drawn / 20 % 4 {
            0 if rest == 18 => {
                let starts = self.now + self.numbers.between(-SKEW_MS, SKEW_MS) * MS;
                Message { starts, ..self.by_chance() }
            }
            0 => self.by_chance(),
            1 => {
                let flap = self.drawn / 80;
                let (number, resolved) = (flap % FLAPPERS, (flap / FLAPPERS).is_multiple_of(2));
                let (at, ends) = (self.now, self.now + if resolved { 0 } else { NEVER_MS * MS });
                let message = self.resident(number, at, ends);
                let starts = if resolved { message.starts } else { at };
                Message { starts, resolved, ..message }
            }
            _ => self.stormy(),
        }
    }
}

impl Iterator for Messages<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let message = match self.mix {
            None => self.filling()?,
            Some(Mix::Duplicates) => self.repeat(),
            Some(Mix::ExpiryWave) => return None,
            Some(Mix::New) => {
                self.now += NEW_EVERY;
                self.by_chance()
            }
            Some(Mix::Storm) => {
                self.now += STORM_EVERY;
                self.stormy()
            }
            Some(Mix::ResolveWave) => self.resolve()?,
            Some(Mix::Mixed) => self.mixed(),
        };
        self.drawn += 1;
        Some(message)
    }
}
