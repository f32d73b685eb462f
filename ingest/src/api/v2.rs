//! Alertmanager's API v2, as far as tools read it: amtool, Grafana's data source, karma.
//!
//! Alerts are those that were posted to us; groups are incidents. There are no silences: nothing is
//! ever muted here, and who asks for it is told where to.

mod render;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use hyper::{Method, StatusCode};
use hypocenter_engine::{Fingerprint, Timestamp};
use serde_json::json;

use super::Turns;
use super::matcher::{self, Matcher};
use crate::board::{Board, Entry};
use crate::book::{Book, Stored};
use crate::http::answer::{self, Answer};
use crate::http::{Request, Router};
use crate::intake::bad_request;
use crate::record::rfc3339;
use render::{alert, timestamp};

/// The only receiver.
const RECEIVER: &str = "hypocenter";
/// What readers of an Alertmanager's configuration get: one that parses.
const CONFIG: &str = "# Hypocenter, which speaks Alertmanager's API: groups are incidents.\n\
    route:\n  receiver: hypocenter\nreceivers:\n- name: hypocenter\n";

/// Answers in the place of an Alertmanager. Clones share everything.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    book: Arc<Book>,
    board: Board,
    turns: Turns,
    clock: fn() -> Timestamp,
    started: (Timestamp, Instant),
}

/// What a request for alerts asks for.
#[derive(Debug)]
struct Query {
    matchers: Vec<Matcher>,
    active: bool,
    receiver: bool,
}

impl Query {
    /// The query, or what is wrong with it.
    fn read(request: &Request) -> Result<Self, String> {
        let mut query = Self { matchers: Vec::new(), active: true, receiver: true };
        for (name, value) in request.query() {
            match &*name {
                "filter" => query.matchers.extend(matcher::parse(&value)?),
                "receiver" => query.receiver &= matcher::anchored(&value)?.is_match(RECEIVER),
                "active" => query.active = truth(&name, &value)?,
                // Nothing here is silenced, inhibited or unprocessed: they show nothing more.
                "silenced" | "inhibited" | "unprocessed" | "muted" => {
                    truth(&name, &value)?;
                }
                _ => {}
            }
        }
        Ok(query)
    }

    fn admits(&self, alert: &Stored) -> bool {
        let value_of = |name: &str| alert.labels.get(name).to_owned();
        self.active && self.receiver && self.matchers.iter().all(|m| m.passes(value_of))
    }
}

fn truth(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" | "t" => Ok(true),
        "false" | "0" | "f" => Ok(false),
        _ => Err(format!("{name} is {value:?}, must be true or false")),
    }
}

impl Alertmanager {
    /// Shows what is in `book`, grouped as on `board`. `clock` is the wall clock.
    #[must_use]
    pub fn new(book: Arc<Book>, board: Board, turns: Turns, clock: fn() -> Timestamp) -> Self {
        Self { book, board, turns, clock, started: (clock(), Instant::now()) }
    }

    /// Adds the readable routes of `/api/v2` to `router`.
    #[must_use]
    pub fn routes(&self, router: Router) -> Router {
        let (alerts, groups, status) = (self.clone(), self.clone(), self.clone());
        let alerts = move |request: Request| alerts.clone().large(request, Self::alerts);
        let groups = move |request: Request| groups.clone().large(request, Self::groups);
        let status = move |_| std::future::ready(status.status());
        let nothing = |_| async { answer::json(StatusCode::OK, "[]\n") };
        let receivers = |_| async {
            answer::json(StatusCode::OK, json!([{ "name": RECEIVER }]).to_string() + "\n")
        };
        let no_silence = |_| async {
            answer::error(
                StatusCode::NOT_FOUND,
                "there are no silences here; ask your Alertmanager",
            )
        };
        let refuse = |_| async {
            bad_request(
                "Hypocenter silences nothing: add the silence in your Alertmanager, which notifies",
            )
        };
        router
            .route(Method::GET, "/api/v2/alerts", alerts)
            .route(Method::GET, "/api/v2/alerts/groups", groups)
            .route(Method::GET, "/api/v2/status", status)
            .route(Method::GET, "/api/v2/receivers", receivers)
            .route(Method::GET, "/api/v2/silences", nothing)
            .route(Method::POST, "/api/v2/silences", refuse)
            .route(Method::GET, "/api/v2/silence/{}", no_silence)
            .route(Method::DELETE, "/api/v2/silence/{}", no_silence)
    }

    async fn large(self, request: Request, render: fn(&Self, &Query) -> String) -> Answer {
        let query = match Query::read(&request) {
            Ok(query) => query,
            Err(what) => return bad_request(&what),
        };
        let turns = self.turns.clone();
        turns.work(move || answer::json(StatusCode::OK, render(&self, &query))).await
    }

    fn alerts(&self, query: &Query) -> String {
        let mut out = String::from("[");
        for stored in self.book.firing((self.clock)()).iter().filter(|alert| query.admits(alert)) {
            if out.len() > 1 {
                out.push(',');
            }
            alert(&mut out, stored, RECEIVER);
        }
        out.push_str("]\n");
        out
    }

    /// Incidents with their alerts that fire, and last those alerts that belong to none.
    fn groups(&self, query: &Query) -> String {
        let alerts = self.book.firing((self.clock)());
        let incidents = self.board.groups();
        let mut place: HashMap<Fingerprint, usize> = HashMap::new();
        for (at, (_, members)) in incidents.iter().enumerate() {
            place.extend(members.iter().map(|member| (*member, at)));
        }
        let mut grouped: Vec<Vec<&Stored>> = vec![Vec::new(); incidents.len() + 1];
        for stored in alerts.iter().filter(|alert| query.admits(alert)) {
            grouped[place.get(&stored.fingerprint).copied().unwrap_or(incidents.len())]
                .push(stored);
        }
        let mut out = String::from("[");
        let labels = incidents.iter().map(|(entry, _)| group_labels(entry)).chain([json!({})]);
        for (labels, alerts) in labels.zip(&grouped).filter(|(_, alerts)| !alerts.is_empty()) {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str("{\"alerts\":[");
            for (at, stored) in alerts.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                alert(&mut out, stored, RECEIVER);
            }
            let receiver = json!({ "name": RECEIVER });
            out.push_str(&format!("],\"labels\":{labels},\"receiver\":{receiver}}}"));
        }
        out.push_str("]\n");
        out
    }

    fn status(&self) -> Answer {
        let (started, since) = self.started;
        let status = json!({
            "cluster": { "peers": [], "status": "disabled" },
            "config": { "original": CONFIG },
            "uptime": timestamp(started),
            "versionInfo": {
                "branch": "hypocenter",
                "buildDate": "",
                "buildUser": "",
                "goVersion": "",
                "revision": format!("up {} s, since {}", since.elapsed().as_secs(), rfc3339(started)),
                "version": env!("CARGO_PKG_VERSION"),
            },
        });
        answer::json(StatusCode::OK, format!("{status}\n"))
    }
}

/// By what a group is told: the incident and its candidate.
fn group_labels(entry: &Entry) -> serde_json::Value {
    let mut labels = json!({
        "incident": &*entry.id,
        "root_cause": &*entry.entity,
        "severity": entry.severity,
    });
    if !entry.tenant.is_empty() {
        labels["tenant"] = (*entry.tenant).into();
    }
    labels
}
