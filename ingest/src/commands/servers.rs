//! The HTTP servers of the daemon: one that alerts are posted to, if that is the input, and one for
//! metrics, health and readers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tracing::info;

use super::replay::decode_options;
use super::{Exit, Failure};
use crate::admin::{self, Readiness};
use crate::cli::RunArgs;
use crate::clock;
use crate::config::{Config, HttpInput, Input, Web};
use crate::file_error::FileError;
use crate::http::{Limits, Options, Router, Security, Server};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::source::http::Queue;
use crate::yaml::Problem;

/// The running servers. Dropping them stops them.
#[derive(Debug)]
pub struct Servers {
    web: Server,
    intake: Option<Server>,
    ready: Readiness,
    queue: Option<Queue>,
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
    /// Starts to listen. Not ready until [`Readiness::set`] says so; what is posted waits.
    ///
    /// # Errors
    /// That a web configuration is invalid, or an address cannot be had.
    pub fn start(config: &Config, metrics: &Metrics) -> Result<Self, Failure> {
        let Securities { web: security, intake: intake_security } = securities(config)?;
        let ready = Readiness::default();
        let base = || admin::health(Router::below(&config.web.prefix()), ready.clone());
        let limits = Limits {
            connections_max: config.web.connections_max,
            body_bytes_max: config.accept.body_bytes_max,
            ..Limits::default()
        };
        let options = |name, addresses: &[SocketAddr], router, security| Options {
            name,
            addresses: addresses.to_vec(),
            router,
            security,
            limits,
            counters: metrics.http(),
        };
        let start = |options, setting| {
            Server::start(options, setting).map_err(|error| Failure::new(Exit::Runtime, error))
        };
        let router = admin::metrics(base(), metrics.clone());
        let addresses = &config.web.listen_addresses;
        let web = start(
            options("web", addresses, router, security),
            "--web.listen-address or web.listen_address",
        )?;
        info!(address = %Shown(web.addresses()), "serving metrics and health");
        let (mut queue, mut intake) = (None, None);
        if let Input::Http(http) = &config.input {
            let HttpInput { listen_addresses, queue: limits, .. } = http;
            let places = Queue::new(*limits, clock::wall);
            let counters = metrics.intake(&places);
            let decode = decode_options(config);
            let posted = Intake::new(places.clone(), &decode, clock::wall, counters);
            let router = posted.routes(base());
            let server = start(
                options("intake", listen_addresses, router, intake_security),
                "input.listen_address",
            )?;
            info!(address = %Shown(server.addresses()), "taking alerts");
            (queue, intake) = (Some(places), Some(server));
        }
        Ok(Self { web, intake, ready, queue })
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

    /// Stops listening, finishes requests under way, and waits for that, a few seconds at most.
    pub fn stop(self) {
        if let Some(intake) = self.intake {
            intake.stop();
        }
        self.web.stop();
    }
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
