//! Mistakes that somebody could make, each in the one line where it would be made: a test of the
//! tests. A build without the feature `planted` has none of this, and its lines read as if only the
//! right answer stood there.

/// The right answer, or the wrong one while that mistake is planted.
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($bug:ident: $wrong:expr, $right:expr) => {
        $right
    };
}

/// The right answer, or the wrong one while that mistake is planted.
#[cfg(feature = "planted")]
macro_rules! planted {
    ($bug:ident: $wrong:expr, $right:expr) => {
        if $crate::planted::is($crate::planted::Bug::$bug) { $wrong } else { $right }
    };
}

pub(crate) use planted;

#[cfg(feature = "planted")]
pub use bugs::{Bug, plant};
#[cfg(feature = "planted")]
pub(crate) use bugs::{in_hash_order, is};

#[cfg(feature = "planted")]
mod bugs {
    use std::cell::Cell;

    use crate::table::HashSeed;

    macro_rules! bugs {
        ($($bug:ident $what:literal,)*) => {
            /// A mistake.
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub enum Bug { $(#[doc = $what] $bug,)* }

            impl Bug {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$bug,)*];

                /// What is wrong.
                #[must_use]
                pub const fn what(self) -> &'static str {
                    match self { $(Self::$bug => $what,)* }
                }
            }
        };
    }

    bugs! {
        ExpiryOffByOne "an alert ends a millisecond after its time",
        TimeoutNotRefreshed "a repeat does not keep an alert alive",
        ReplicaCounted "the replica label is part of an alert's identity",
        OldResolveEnds "a late resolve of an earlier episode ends the present one",
        FlapperPlaced "a flapping alert is placed all the same",
        FutureStartBelieved "an onset may lie in the future",
        VersionNotBumped "a settled incident keeps its version",
        SettleClockKept "another candidate does not begin the minute of settling anew",
        QuietSinceFirst "the quiet time counts from the first end, not from the last",
        TenantIgnored "all tenants are one",
        HubPriceSkipped "a hub costs as little as a leaf",
        RuleCountedAgain "an alert that fires again claims once more",
        FrozenTakesMore "an old incident takes alerts for ever",
        OneMemberTooMany "an incident takes one member beyond its maximum",
        YoungerSurvives "a merge keeps the younger incident's id",
        MergeWindowIgnored "old incidents are merged like young ones",
        MergedChain "what had gone into a merged incident still names that one",
        MergedNotRanked "the candidate stays what it was before a merge",
        HashOrderShows "incidents are merged in the order of a hash table",
        SilentFree "a candidate without an alert costs nothing",
        DisagreementIgnored "a silent candidate is believed whoever complains",
        DilutionIgnored "a millisecond too many explains a delay of a second",
        ShedUncounted "an event that a full table sheds is not counted",
        RestoredOrderLost "a restored engine knows the newest incidents of a root as its oldest",
        RestoredTie "after a restart, deadlines at one time come up in another order",
        TextHeldForEver "a forgotten alert leaves a text behind",
    }

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a mistake in all engines of this thread, instead of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// A list as a hash table would give it.
    pub(crate) fn in_hash_order<T>(mut list: Vec<T>, seed: HashSeed) -> Vec<T> {
        let places = list.len().max(1);
        list.rotate_left(seed.0 as usize % places);
        list
    }
}
