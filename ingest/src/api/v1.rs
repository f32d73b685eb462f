//! Our own API: incidents as records, and their changes as a stream. `docs/openapi.json` describes
//! it.

mod stream;

use hyper::{Method, StatusCode};

use super::Turns;
use crate::board::{Board, Filter};
use crate::http::answer::{self, Answer};
use crate::http::{Request, Router};
use crate::record::PhaseName;

/// Incidents in one answer, unless asked otherwise.
const LIMIT: usize = 100;
/// The most that may be asked for.
const LIMIT_MAX: usize = 1_000;

/// Shows what is on a board.
#[derive(Clone, Debug)]
pub struct Incidents {
    board: Board,
    turns: Turns,
    streams: stream::Streams,
}

/// What a request for a list asks for.
struct Query {
    filter: Filter,
    before: Option<String>,
    limit: usize,
}

impl Incidents {
    /// Shows what is on `board`.
    #[must_use]
    pub fn new(board: Board, turns: Turns) -> Self {
        Self { board, turns, streams: stream::Streams::default() }
    }

    /// Adds the routes of `/api/v1` to `router`.
    #[must_use]
    pub fn routes(&self, router: Router) -> Router {
        let (list, one, stream) = (self.clone(), self.clone(), self.clone());
        router
            .route(Method::GET, "/api/v1/incidents", move |request: Request| {
                list.clone().list(request)
            })
            .route(Method::GET, "/api/v1/incidents/{}", move |request: Request| {
                std::future::ready(one.one(&request.parameter))
            })
            .route(Method::GET, "/api/v1/stream", move |request: Request| {
                std::future::ready(stream.streams.begin(&stream.board, &request))
            })
    }

    fn one(&self, id: &str) -> Answer {
        match self.board.incident(id) {
            Some(entry) => answer::json(StatusCode::OK, entry.body.clone()),
            None => {
                let what = "there is no such incident; it may have been over for too long";
                answer::error(StatusCode::NOT_FOUND, what)
            }
        }
    }

    async fn list(self, request: Request) -> Answer {
        let query = match read(&request) {
            Ok(query) => query,
            Err(what) => return answer::error(StatusCode::BAD_REQUEST, &what),
        };
        let turns = self.turns.clone();
        turns.work(move || self.render(&query)).await
    }

    fn render(&self, query: &Query) -> Answer {
        let (list, more) = self.board.list(&query.filter, query.before.as_deref(), query.limit);
        let mut out = Vec::with_capacity(64 + list.iter().map(|e| e.body.len() + 1).sum::<usize>());
        out.extend_from_slice(b"{\"incidents\":[");
        for (at, entry) in list.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&entry.body);
        }
        let next = list.last().filter(|_| more).map(|entry| &*entry.id);
        out.extend_from_slice(format!("],\"next\":{}}}\n", serde_json::json!(next)).as_bytes());
        answer::json(StatusCode::OK, out)
    }
}

fn read(request: &Request) -> Result<Query, String> {
    let mut query = Query { filter: Filter::default(), before: None, limit: LIMIT };
    for (name, value) in request.query() {
        match &*name {
            "phase" => query.filter.phases.push(phase(&value)?),
            "tenant" => query.filter.tenants.push(value),
            "severity" => query.filter.severities.push(value),
            "root_cause" => query.filter.entities.push(value),
            "before" => query.before = Some(value),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
                let wrong = || format!("limit is {value:?}, must be 1 to {LIMIT_MAX}");
                query.limit = limit.ok_or_else(wrong)?;
            }
            _ => {
                let known = "phase, tenant, severity, root_cause, before, limit";
                return Err(format!("{name:?} is no parameter; there are {known}"));
            }
        }
    }
    Ok(query)
}

fn phase(text: &str) -> Result<PhaseName, String> {
    match text {
        "open" => Ok(PhaseName::Open),
        "settled" => Ok(PhaseName::Settled),
        "resolved" => Ok(PhaseName::Resolved),
        "merged" => Ok(PhaseName::Merged),
        _ => Err(format!("phase is {text:?}, must be open, settled, resolved or merged")),
    }
}
