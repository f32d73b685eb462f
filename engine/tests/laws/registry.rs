//! All laws, so that they can be asked as one.

use crate::{grouping, identity, limits, oracle, ranking, state, swaps, time};

macro_rules! laws {
    ($($module:ident::$law:ident,)*) => {
        &[$((concat!(stringify!($module), "::", stringify!($law)), $module::$law),)*]
    };
}

/// Name and law. The slow model, which knows most, comes first.
pub(crate) const LAWS: &[(&str, fn())] = laws![
    oracle::s11_the_engine_is_the_slow_and_obvious_model,
    oracle::s11_in_a_storm_as_well,
    oracle::s11_at_times_of_any_kind,
    identity::e1_what_fires_and_is_placed_is_in_one_live_incident,
    identity::e1_members_are_those_that_were_told,
    identity::e2_an_alert_is_its_labels_in_any_order,
    identity::e2_a_doubled_event_changes_no_version,
    identity::e2_any_of_the_events_may_come_twice,
    identity::e2_what_fires_on_says_nothing_new,
    identity::e3_a_resolve_before_its_firing_is_only_counted,
    identity::e3_an_alert_ends_when_nothing_more_is_heard_of_it,
    identity::e4_flapping_does_not_version_at_every_flip,
    identity::e4_a_pair_that_disagrees_holds_no_memory,
    time::e5_a_shift_of_all_times_shifts_all_times,
    time::e5_an_absurd_start_disturbs_nothing_else,
    time::e5_the_clock_never_goes_back,
    time::e6_one_fault_in_any_order_is_one_incident,
    time::e6_two_faults_in_any_order_are_two_incidents,
    time::e6_the_same_members_have_the_same_candidate,
    time::e7_the_same_script_gives_the_same_text,
    time::e7_it_does_not_matter_how_often_time_is_told,
    time::e7_events_may_come_in_batches,
    time::e7_what_is_due_is_decided_as_of_its_deadline,
    time::e7_nothing_happens_before_the_next_deadline,
    time::e7_every_incident_ends,
    time::e7_every_event_is_answered_at_once,
    grouping::e8_unrelated_components_do_not_touch,
    grouping::e8_members_share_a_root,
    grouping::e11_a_life_follows_the_arrows,
    grouping::e8_what_is_explained_late_is_explained_early,
    grouping::e9_a_silent_hop_has_a_price_and_no_more,
    grouping::e10_refusals_are_said_and_counted,
    grouping::e10_span_and_members_are_bounded,
    grouping::e8_a_larger_audience_never_costs_less,
    grouping::e8_two_strangers_do_not_meet_at_a_busy_hub,
    grouping::e11_the_older_one_survives_and_nothing_rises_again,
    grouping::e12_without_a_graph_only_the_entity_groups,
    grouping::e12_fallback_labels_group_what_the_graph_does_not_know,
    grouping::e13_tenants_do_not_touch,
    grouping::e13_an_incident_has_one_tenant,
    grouping::m4_names_are_names,
    grouping::m4_loops_and_doubled_edges_say_nothing,
    grouping::e10_a_frozen_incident_takes_nothing_whatever_comes,
    swaps::e1_what_fires_stays_in_one_incident_when_the_graph_changes,
    swaps::e5_changes_of_the_graph_at_the_same_places_give_the_same_text,
    swaps::e7_it_does_not_matter_how_often_time_is_told_when_the_graph_changes,
    swaps::e14_an_equal_graph_changes_nothing,
    swaps::e14_a_graph_before_the_first_event_is_the_graph,
    swaps::e14_what_is_taken_over_is_as_if_it_had_come_under_the_new_graph,
    ranking::e14_every_incident_has_one_candidate_that_can_explain_it,
    ranking::e14_a_version_is_a_material_change,
    ranking::e14_nothing_changes_without_a_version,
    ranking::e14_a_new_candidate_has_a_reason,
    ranking::e15_the_evidence_is_the_score,
    ranking::e15_paths_are_shortest_chains_of_dependencies,
    ranking::e15_belief_is_shared_out,
    ranking::e15_why_not_says_where_it_lost,
    ranking::e15_a_worse_cause_stays_the_candidate,
    ranking::e15_incidents_explained_together_are_themselves,
    ranking::e16_silence_has_its_price,
    ranking::e16_those_who_do_not_complain_speak_for_a_silent_candidate,
    limits::e17_every_event_is_told_and_counted_once,
    limits::e17_events_of_an_incident_are_counted_in_it,
    limits::e17_tables_are_bounded_and_what_is_shed_is_said,
    limits::e17_the_least_valuable_goes_first,
    limits::e17_in_the_end_nothing_is_held,
    limits::e17_other_limits_and_seeds_leave_no_trace,
    state::m6_a_restored_engine_goes_on_as_if_nothing_had_been,
    state::m6_what_is_cut_off_or_changed_is_refused,
    state::m6_no_bytes_make_the_loader_panic,
];

/// The text of the laws.
const SOURCES: [&str; 8] = [
    include_str!("identity.rs"),
    include_str!("time.rs"),
    include_str!("grouping.rs"),
    include_str!("ranking.rs"),
    include_str!("limits.rs"),
    include_str!("state.rs"),
    include_str!("swaps.rs"),
    include_str!("oracle/mod.rs"),
];

#[test]
fn every_law_is_listed() {
    let written: usize = SOURCES.iter().map(|text| text.matches("#[test]\npub").count()).sum();
    assert_eq!(LAWS.len(), written);
}

/// Not M7, S4 and S6: those are about more than one engine.
#[test]
fn every_promise_has_a_law() {
    let words: Vec<&str> =
        SOURCES.iter().flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric())).collect();
    let numbered = |letter: &'static str, numbers: &[u32]| -> Vec<String> {
        numbers.iter().map(|number| format!("{letter}{number}")).collect()
    };
    let engine: Vec<u32> = (1..=17).collect();
    let promises = [
        numbered("E", &engine),
        numbered("M", &[1, 2, 3, 4, 5, 6, 8]),
        numbered("S", &[1, 2, 3, 5, 7, 8, 9, 10, 11, 12]),
        numbered("L", &[1, 2]),
    ];
    for promise in promises.concat() {
        assert!(words.contains(&promise.as_str()), "{promise} has no law");
    }
}
