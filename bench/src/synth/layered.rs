//! Layered graphs: how a few dozen to a few hundred services of one company hang together.

use super::graph::Graph;
use super::numbers::Numbers;

/// What an entity is, which decides how it fails and what its rules are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Where users come in.
    Gateway,
    /// Answers requests, and makes some.
    Service,
    /// A database, cache or queue: makes no requests.
    Store,
}

/// A graph and what its entities are.
#[derive(Clone, Debug)]
pub(super) struct Landscape {
    pub(super) graph: Graph,
    pub(super) roles: Vec<Role>,
}

const SUBJECTS: [&str; 20] = [
    "account", "basket", "billing", "catalog", "checkout", "coupon", "customer", "delivery",
    "invoice", "ledger", "media", "offer", "order", "partner", "payment", "price", "review",
    "search", "stock", "ticket",
];
const FRONT: [&str; 3] = ["web", "bff", "mobile"];
const INNER: [&str; 6] = ["api", "worker", "core", "events", "reports", "sync"];
const STORES: [&str; 4] = ["db", "cache", "queue", "index"];
/// Used from everywhere.
const SHARED: [(&str, Role); 7] = [
    ("auth", Role::Service),
    ("config", Role::Service),
    ("notifications", Role::Service),
    ("kafka", Role::Store),
    ("redis-shared", Role::Store),
    ("postgres-shared", Role::Store),
    ("object-storage", Role::Store),
];

/// Gateways call fronts, fronts call inner services, those call each other (never in a circle),
/// their own store, and now and then a shared one. Everything but a gateway has a caller.
pub(super) fn landscape(services: usize, numbers: &mut Numbers) -> Landscape {
    let mut drawn = Landscape { graph: Graph::default(), roles: Vec::new() };
    let gateways = drawn.add_all(1 + services / 60, Role::Gateway, &["gateway"], "edge");
    let fronts = drawn.named(services * 15 / 100, Role::Service, &FRONT, numbers);
    let inner = drawn.named(services * 45 / 100, Role::Service, &INNER, numbers);
    let left = services.saturating_sub(drawn.graph.len() + SHARED.len()).max(2);
    let stores = drawn.named(left, Role::Store, &STORES, numbers);
    let shared: Vec<usize> =
        SHARED.iter().map(|&(name, role)| drawn.add(name.to_owned(), role)).collect();

    let mut popular = inner.clone();
    for &gateway in &gateways {
        drawn.call_some(gateway, (2, 6), &fronts, numbers);
    }
    for &front in &fronts {
        drawn.call_some(front, (2, 5), &popular, numbers);
        popular.extend(drawn.graph.callees[front].clone());
        drawn.call_shared(front, 0.3, &shared, numbers);
    }
    for (at, &from) in inner.iter().enumerate() {
        let below: Vec<usize> =
            popular.iter().copied().filter(|&to| to > from && inner.contains(&to)).collect();
        if at + 1 < inner.len() {
            drawn.call_some(from, (0, 3), &below, numbers);
        }
        drawn.call_some(from, (0, 2), &stores, numbers);
        drawn.call_shared(from, 0.6, &shared, numbers);
    }
    for &entity in &shared {
        if drawn.roles[entity] == Role::Service {
            drawn.call_some(entity, (1, 2), &stores, numbers);
        }
    }
    drawn.leave_nobody_alone(&gateways, &fronts, &inner, numbers);
    drawn
}

impl Landscape {
    fn add(&mut self, name: String, role: Role) -> usize {
        self.roles.push(role);
        self.graph.add(name)
    }

    fn add_all(&mut self, count: usize, role: Role, words: &[&str], stem: &str) -> Vec<usize> {
        let name =
            |at: usize| format!("{stem}-{}-{}", words[at % words.len()], at / words.len() + 1);
        (0..count).map(|at| self.add(name(at), role)).collect()
    }

    /// So many entities with names like `billing-api`, none twice.
    fn named(
        &mut self,
        count: usize,
        role: Role,
        words: &[&str],
        numbers: &mut Numbers,
    ) -> Vec<usize> {
        let mut list = Vec::new();
        while list.len() < count {
            let mut name = format!("{}-{}", numbers.pick(&SUBJECTS), numbers.pick(words));
            while self.graph.names.contains(&name) {
                name = format!(
                    "{}{}",
                    name.trim_end_matches(char::is_numeric),
                    numbers.between(2, 99)
                );
            }
            list.push(self.add(name, role));
        }
        list
    }

    fn call_some(&mut self, from: usize, count: (i64, i64), to: &[usize], numbers: &mut Numbers) {
        for _ in 0..numbers.between(count.0, count.1) {
            if !to.is_empty() {
                self.graph.link(from, numbers.pick(to));
            }
        }
    }

    fn call_shared(&mut self, from: usize, chance: f64, to: &[usize], numbers: &mut Numbers) {
        if numbers.chance(chance) {
            self.call_some(from, (1, 2), to, numbers);
        }
    }

    fn leave_nobody_alone(
        &mut self,
        gateways: &[usize],
        fronts: &[usize],
        inner: &[usize],
        numbers: &mut Numbers,
    ) {
        for entity in 0..self.graph.len() {
            if self.graph.callers[entity].is_empty() && self.roles[entity] != Role::Gateway {
                let is_front = fronts.contains(&entity);
                let above: &[usize] = if is_front { gateways } else { fronts };
                // Inner services come before stores: no circle.
                let above = if self.roles[entity] == Role::Store { inner } else { above };
                let caller = numbers.pick(above);
                self.graph.link(caller, entity);
            }
        }
    }
}
