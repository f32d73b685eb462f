//! Which handler answers which request.

use std::future::Future;
use std::pin::Pin;

use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::answer::{self, Answer};
use super::request::Request;

/// An answer to be.
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Answers requests to one route.
pub trait Handler: Send + Sync {
    /// Answers one.
    fn handle(&self, request: Request) -> Answering;
}

impl<F, A> Handler for F
where
    F: Fn(Request) -> A + Send + Sync,
    A: Future<Output = Answer> + Send + 'static,
{
    fn handle(&self, request: Request) -> Answering {
        Box::pin(self(request))
    }
}

struct Route {
    method: Method,
    path: &'static str,
    pattern: Pattern,
    handler: Box<dyn Handler>,
}

/// The routes of a server.
#[derive(Default)]
pub struct Router {
    prefix: String,
    routes: Vec<Route>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.paths()).finish()
    }
}

/// What a request comes to.
pub(super) enum Routed<'r> {
    /// A handler, its label, and what stands for `{}`.
    To(&'r dyn Handler, &'static str, String),
    /// The answer is known, and who gives it.
    Answer(Answer, &'static str),
}

impl Router {
    /// Routes below a prefix, such as `/hypocenter`; empty for none.
    #[must_use]
    pub fn below(prefix: &str) -> Self {
        Self { prefix: prefix.trim_end_matches('/').to_owned(), routes: Vec::new() }
    }

    /// Adds a route. `path` may have one `{}`, which stands for a segment. GET answers HEAD too.
    #[must_use]
    pub fn route(
        mut self,
        method: Method,
        path: &'static str,
        handler: impl Handler + 'static,
    ) -> Self {
        let (pattern, handler) = (Pattern::of(path), Box::new(handler));
        self.routes.push(Route { method, path, pattern, handler });
        self
    }

    /// Methods and paths of all routes, in the order in which they were added.
    pub fn paths(&self) -> impl Iterator<Item = (&Method, &'static str)> {
        self.routes.iter().map(|route| (&route.method, route.path))
    }

    /// Whether a path has a route.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.routes.iter().any(|route| route.path == path)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Routed<'_> {
        let Some(path) = path.strip_prefix(&self.prefix) else {
            return Routed::Answer(not_found(path), "other");
        };
        let path = if path.is_empty() { "/" } else { path };
        let sought = if *method == Method::HEAD { &Method::GET } else { method };
        let mut allowed: Vec<&Route> = Vec::new();
        for route in &self.routes {
            let Some(parameter) = route.pattern.matches(path) else { continue };
            if route.method == sought {
                return Routed::To(&*route.handler, route.path, parameter);
            }
            allowed.push(route);
        }
        match allowed.first() {
            Some(first) => Routed::Answer(not_allowed(method, &allowed), first.path),
            None => Routed::Answer(not_found(path), "other"),
        }
    }
}

/// A path that may have one segment to be filled in.
#[derive(Clone, Copy)]
enum Pattern {
    Exact(&'static str),
    /// What stands before and after the segment.
    Around(&'static str, &'static str),
}

impl Pattern {
    fn of(path: &'static str) -> Self {
        path.split_once("{}").map_or(Self::Exact(path), |(head, tail)| Self::Around(head, tail))
    }

    /// What stands for the `{}` in a path that matches; nothing when there is none.
    fn matches(self, path: &str) -> Option<String> {
        match self {
            Self::Exact(exact) => (exact == path).then(String::new),
            Self::Around(head, tail) => {
                let segment = path.strip_prefix(head)?.strip_suffix(tail)?;
                if segment.is_empty() || segment.contains('/') {
                    return None;
                }
                Some(percent_decode_str(segment).decode_utf8_lossy().into_owned())
            }
        }
    }
}

fn not_found(path: &str) -> Answer {
    answer::error(StatusCode::NOT_FOUND, &format!("path {path} was not found"))
}

fn not_allowed(method: &Method, allowed: &[&Route]) -> Answer {
    let mut names: Vec<&str> = allowed.iter().map(|route| route.method.as_str()).collect();
    names.sort_unstable();
    let what = format!("method {method} is not allowed, but [{}] are", names.join(","));
    let mut answer = answer::error(StatusCode::METHOD_NOT_ALLOWED, &what);
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        answer.headers_mut().insert(header::ALLOW, names);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_one_segment_wherever_it_stands() {
        let one = |path| Pattern::of("/i/{}").matches(path);
        let below = |path| Pattern::of("/i/{}/feedback").matches(path);
        assert_eq!(one("/i/inc-1").as_deref(), Some("inc-1"));
        assert_eq!(below("/i/inc-1/feedback").as_deref(), Some("inc-1"));
        assert_eq!(below("/i/a%2fb/feedback").as_deref(), Some("a/b"), "decoded afterwards");
        for path in ["/i/", "/i/a/feedback", "/i", "/j/a"] {
            assert_eq!(one(path), None, "{path}");
        }
        for path in ["/i/feedback", "/i//feedback", "/i/a/b/feedback", "/i/a", "/i/a/feedback/"] {
            assert_eq!(below(path), None, "{path}");
        }
        assert_eq!(Pattern::of("/i").matches("/i").as_deref(), Some(""));
    }
}
