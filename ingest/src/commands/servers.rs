//! The HTTP servers of the daemon: one that alerts are posted to, if that is the input, and one for
//! metrics, health and readers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tracing::info;

use super::reload::Reload;
use super::replay::decode_options;
use super::{Exit, Failure};
use crate::admin::{self, Readiness};
use crate::api::{Alertmanager, Incidents, Turns};
use crate::board::{Board, BoardLimits};
use crate::book::Book;
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, Input, Web};
use crate::feedback::http::Guarded;
use crate::file_error::FileError;
use crate::http::{Limits, Options, Router, Security, Server};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::neighbours::resync::Resync;
use crate::source::http::Queue;
use crate::yaml::Problem;

/// Versions of incidents that a reader of the stream may be behind.
const CHANGES_MAX: usize = 1_000;

/// The running servers. Dropping them stops them.
#[derive(Debug)]
pub struct Servers {
    web: Server,
    intake: Option<Server>,
    routes: Vec<String>,
    ready: Readiness,
    queue: Option<Queue>,
    posted: Option<Arc<Intake>>,
    /// Asks Alertmanager what fires, at the start.
    _resync: Option<Resync>,
    board: Board,
}

/// Who may ask the servers.
#[derive(Debug)]
pub struct Securities {
    web: Arc<Security>,
    intake: Arc<Security>,
}

/// Lets flags override the file.
pub fn override_web(web: &mut Web, args: &RunArgs) {
    if !args.web_listen_address.is_empty() {
        web.listen_addresses.clone_from(&args.web_listen_address);
    }
    let override_with = |into: &mut Option<_>, from: &Option<_>| {
        if from.is_some() {
            into.clone_from(from);
        }
    };
    override_with(&mut web.external_url, &args.web_external_url);
    override_with(&mut web.route_prefix, &args.web_route_prefix);
    if args.web_config_file.is_some() {
        web.config_file.clone_from(&args.web_config_file);
    }
    web.allow_unauthenticated |= args.web_allow_unauthenticated;
}

/// Reads the web configuration files, and refuses to listen beyond this machine without
/// authentication.
///
/// # Errors
/// Everything that is wrong with them, or where authentication is missing.
pub fn securities(config: &Config) -> Result<Securities, FileError> {
    let web = Security::load(config.web.config_file.as_deref())?;
    check_open(&config.web, "web", &config.web.listen_addresses, &web)?;
    let intake = match &config.input {
        Input::Http(http) => {
            let intake = match &http.web_config_file {
                Some(file) => Security::load(Some(file))?,
                None => Arc::clone(&web),
            };
            check_open(&config.web, "input", &http.listen_addresses, &intake)?;
            intake
        }
        Input::Kafka(_) | Input::File { .. } => Arc::clone(&web),
    };
    Ok(Securities { web, intake })
}

fn check_open(
    web: &Web,
    section: &str,
    addresses: &[SocketAddr],
    security: &Security,
) -> Result<(), FileError> {
    let open = addresses.iter().find(|address| !address.ip().is_loopback());
    let Some(open) = open.filter(|_| !web.allow_unauthenticated && !security.authenticates())
    else {
        return Ok(());
    };
    let what = format!(
        "is {open}, where others can reach it without authentication; set web.config_file with \
         basic_auth_users or client certificates, or web.allow_unauthenticated: true if the network \
         around it is trusted"
    );
    let problem = Problem::new(None, &format!("{section}.listen_address"), what);
    Err(FileError::new(Path::new("configuration"), vec![problem]))
}

impl Servers {
    /// Starts to listen. Not ready until [`Readiness::set`] says so; what is posted waits. Verdicts
    /// are taken if there is a log for them.
    ///
    /// # Errors
    /// That a web configuration is invalid, or an address cannot be had.
    pub fn start(
        config: &Config,
        metrics: &Metrics,
        reload: Reload,
        feedback: Option<Guarded>,
    ) -> Result<Self, Failure> {
        let Securities { web: security, intake: intake_security } = securities(config)?;
        let ready = Readiness::default();
        let board = board(config);
        metrics.readable(&board, None);
        let turns = Turns::default();
        let base = || admin::health(Router::below(&config.web.prefix()), ready.clone());
        let router = admin::reload(admin::metrics(base(), metrics.clone()), reload);
        let mut router = Incidents::new(board.clone(), turns.clone()).routes(router);
        if let Some(feedback) = feedback {
            router = feedback.routes(router);
        }
        let (mut queue, mut posted, mut apart, mut resync) = (None, None, None, None);
        if let Input::Http(http) = &config.input {
            let places = Queue::new(http.queue, clock::wall);
            let (intake, api) = intake(config, metrics, &places, (&board, &turns));
            queue = Some(places);
            posted = Some(Arc::clone(&intake));
            resync = start_resync(config, metrics, &intake)?;
            router = api.routes(router);
            let is_one = http.listen_addresses == config.web.listen_addresses;
            if is_one && http.listen_addresses.iter().all(|address| address.port() != 0) {
                router = intake.routes(router);
            } else {
                apart = Some((http, intake.routes(api.routes(base()))));
            }
        }
        let mut routes = paths(&router);
        routes.extend(apart.as_ref().map(|(_, router)| paths(router)).unwrap_or_default());
        let start = |name, addresses: &[SocketAddr], router, security, setting| {
            let limits = Limits {
                connections_max: config.web.connections_max,
                connections_per_address_max: config.web.connections_per_address_max,
                body_bytes_max: config.accept.body_bytes_max,
                ..Limits::default()
            };
            let (addresses, counters) = (addresses.to_vec(), metrics.http());
            let options = Options { name, addresses, router, security, limits, counters };
            Server::start(options, setting).map_err(|error| Failure::new(Exit::Runtime, error))
        };
        let setting = "--web.listen-address or web.listen_address";
        let web = start("web", &config.web.listen_addresses, router, security, setting)?;
        info!(address = %Shown(web.addresses()), "serving metrics and health");
        let mut intake = None;
        if let Some((http, router)) = apart {
            let (addresses, setting) = (&http.listen_addresses, "input.listen_address");
            let server = start("intake", addresses, router, intake_security, setting)?;
            info!(address = %Shown(server.addresses()), "taking alerts");
            intake = Some(server);
        }
        Ok(Self { web, intake, routes, ready, queue, posted, _resync: resync, board })
    }

    /// What `/-/ready` says.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.ready
    }

    /// What has been posted and not yet decided; `None` when nothing can be posted.
    #[must_use]
    pub fn queue(&self) -> Option<&Queue> {
        self.queue.as_ref()
    }

    /// Where alerts are posted to; `None` when nothing can be posted.
    #[must_use]
    pub fn posted(&self) -> Option<&Arc<Intake>> {
        self.posted.as_ref()
    }

    /// Methods and paths of all servers, such as `GET /metrics`.
    #[must_use]
    pub fn routes(&self) -> &[String] {
        &self.routes
    }

    /// Where metrics, health and readers are served.
    #[must_use]
    pub fn web_addresses(&self) -> &[SocketAddr] {
        self.web.addresses()
    }

    /// Where alerts are posted to.
    #[must_use]
    pub fn intake_addresses(&self) -> &[SocketAddr] {
        self.intake.as_ref().unwrap_or(&self.web).addresses()
    }

    /// Where readers see incidents.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Stops listening, finishes requests under way, and waits for that, a few seconds at most.
    pub fn stop(self) {
        if let Some(intake) = self.intake {
            intake.stop();
        }
        self.web.stop();
    }
}

fn board(config: &Config) -> Board {
    let limits = BoardLimits {
        bytes_max: config.web.incidents_bytes_max,
        changes_max: CHANGES_MAX,
        retain_for: config.policy.spec().times.retain_for,
    };
    let epoch = u64::try_from(clock::wall().as_millis()).unwrap_or_default();
    Board::new(limits, epoch)
}

/// Asks Alertmanager what fires, if there is one to ask.
fn start_resync(
    config: &Config,
    metrics: &Metrics,
    intake: &Arc<Intake>,
) -> Result<Option<Resync>, Failure> {
    if config.neighbours.resync.urls.is_empty() {
        return Ok(None);
    }
    let intake = Arc::clone(intake);
    let offer = Box::new(move |body: &[u8]| intake.offer(body));
    let resync = Resync::start(&config.neighbours.resync, offer, metrics);
    resync.map(Some).map_err(|why| Failure::new(Exit::Unavailable, why))
}

fn paths(router: &Router) -> Vec<String> {
    router.paths().map(|(method, path)| format!("{method} {path}")).collect()
}

/// Where alerts are posted to, and what tools that speak Alertmanager's language read.
fn intake(
    config: &Config,
    metrics: &Metrics,
    queue: &Queue,
    (board, turns): (&Board, &Turns),
) -> (Arc<Intake>, Alertmanager) {
    let spec = config.policy.spec();
    let bytes_max = config.web.alerts_bytes_max;
    let book = Book::new(&spec.labels.replica, spec.times.resolve_timeout, bytes_max);
    metrics.readable(board, Some(&book));
    let (decode, counters) = (decode_options(config), metrics.intake(queue));
    let intake = Intake::new(queue.clone(), &decode, clock::wall, counters, Arc::clone(&book));
    (intake, Alertmanager::new(book, board.clone(), turns.clone(), clock::wall))
}

/// Addresses in a log line.
struct Shown<'a>(&'a [SocketAddr]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}
