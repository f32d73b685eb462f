//! `confirm`, `reject` and `feedback report`.

use std::fmt::Write;
use std::time::Duration;

use hypocenter_engine::Timestamp;
use serde_json::json;

use super::verdicts::read_token;
use super::{Exit, Failure, print};
use crate::cli::{Format, JudgeArgs, ReportArgs};
use crate::clock;
use crate::config::{Credential, HttpConfig};
use crate::feedback::http::TOKEN_HEADER;
use crate::feedback::{
    Bounds, Feedback, Judgement, Ledger, Log, Objective, Standing, Taken, Verdict, Via, read,
};
use crate::http_client::{Client, ClientError};
use crate::plain::Plain;
use crate::redact::Secret;

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Does what `confirm` and `reject` ask for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn judge(args: &JudgeArgs, verdict: Verdict) -> Result<(), Failure> {
    let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
    let Some(who) = args.who.clone().or_else(user) else {
        return Err(Failure::new(Exit::Usage, "say with --who whose verdict it is"));
    };
    let now = clock::wall();
    // A new verdict each time it is typed: only a script that tries again gives its own key.
    let key = || format!("cli-{}-{}", now.as_nanos(), std::process::id());
    let judgement = Judgement {
        at_ms: now.as_millis(),
        incident: args.incident.clone(),
        verdict,
        entity: args.entity.clone(),
        who,
        key: Some(args.key.clone().unwrap_or_else(key)),
        note: args.note.clone(),
        via: Via::File,
    };
    let judgement = judgement.check().map_err(|error| Failure::new(Exit::Usage, error))?;
    let taken = match (&args.file, &args.url) {
        (Some(file), _) => {
            let log = Log::new(file, Bounds::default());
            let objective = Objective { share: 0.0, window: Duration::from_secs(3600) };
            let failed = |error| Failure::new(Exit::Runtime, error);
            Feedback::open(log, objective).map_err(failed)?.take(judgement).map_err(failed)?
        }
        (None, Some(url)) => send(args, url, &judgement)?,
        (None, None) => return Err(Failure::new(Exit::Usage, "say where to: --url or --file")),
    };
    match taken {
        Taken::Stored => print("stored\n"),
        Taken::Duplicate => print("it was there already\n"),
    }
}

fn send(args: &JudgeArgs, url: &str, judgement: &Judgement) -> Result<Taken, Failure> {
    let mut config = match &args.http_config_file {
        Some(file) => HttpConfig::load(file)?,
        None => HttpConfig::default(),
    };
    if let Some(file) = &args.token_file {
        let token = Credential::Inline(Secret::new(read_token(file)?));
        // `Authorization` may be taken by what the server asks for of everybody.
        config.headers.push((TOKEN_HEADER.to_owned(), token));
    }
    let unavailable = |what: String| Failure::new(Exit::Unavailable, format!("{url}: {what}"));
    let client = Client::new(url.trim_end_matches('/'), &config, TIMEOUT).map_err(unavailable)?;
    let Judgement { incident, verdict, entity, who, key, note, .. } = judgement;
    let body = json!({
        "verdict": verdict, "entity": entity, "who": who, "key": key, "note": note,
    });
    let path = format!("/api/v1/incidents/{incident}/feedback");
    let answer = client.post(&path, &[], body.to_string().as_bytes(), ANSWER_BYTES_MAX);
    let answer = answer.map_err(|error: ClientError| unavailable(error.to_string()))?;
    let said = String::from_utf8_lossy(&answer.body).trim().to_owned();
    match answer.status {
        201 => Ok(Taken::Stored),
        200 => Ok(Taken::Duplicate),
        401 if said.contains("feedback.token_file") => {
            Err(unavailable("the token is wrong or missing; see --token-file".to_owned()))
        }
        401 => {
            Err(unavailable("it asks for a user and a password; see --http.config.file".to_owned()))
        }
        404 => Err(unavailable(
            "it takes no feedback; set feedback.file and feedback.token_file there".to_owned(),
        )),
        400 => Err(Failure::new(Exit::Usage, Plain(&said))),
        status => Err(unavailable(format!("status {status}: {}", Plain(&said)))),
    }
}

/// Does what `feedback report` asks for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn report(args: &ReportArgs) -> Result<(), Failure> {
    if !(0.0..=0.9999).contains(&args.objective) {
        return Err(Failure::new(Exit::Usage, "--objective must be from 0 to 0.9999"));
    }
    let (mut ledger, mut last, mut damaged) = (Ledger::default(), 0, 0);
    for file in &args.files {
        let damage = read(file, &mut |judgement| {
            last = last.max(judgement.at_ms);
            ledger.add(&judgement);
        });
        let damage = damage.map_err(|error| Failure::new(Exit::Invalid, error))?;
        damaged += damage.lines();
        for place in damage.places() {
            eprintln!("warning: {}", Plain(place));
        }
    }
    let objective = Objective { share: args.objective, window: args.window };
    let mut standing = ledger.standing(&objective, Timestamp::from_millis(last));
    standing.damaged_lines = damaged;
    match args.format {
        Format::Text => print(&words(&ledger, &standing)),
        Format::Json => {
            let all = json!({
                "schema_version": 1, "standing": standing, "disputed": ledger.disputed(),
                "named_instead": ledger.named_instead(),
            });
            print(&format!("{all:#}\n"))
        }
    }
}

fn words(ledger: &Ledger, standing: &Standing) -> String {
    let mut text = String::new();
    let mut line = |what: String| text.push_str(&(what + "\n"));
    let Standing { objective, budget_remaining, confirmations, rejections, damaged_lines, .. } =
        standing;
    line(format!("objective  {objective:.2} of the judged candidates are confirmed"));
    for window in &standing.windows {
        let ratio = window.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
        line(format!(
            "{:<10} {} judged, {} confirmed: precision {ratio}, burn rate {:.2}",
            window.window, window.judged, window.confirmed, window.burn_rate
        ));
    }
    line(format!("budget     {:.0} % left of the whole window's", budget_remaining * 100.0));
    line(format!(
        "in all     {confirmations} confirmations, {rejections} rejections, {damaged_lines} \
         damaged lines"
    ));
    let disputed = ledger.disputed();
    if !disputed.is_empty() {
        line(format!("disputed   {}", disputed.join(", ")));
    }
    let mut named = String::new();
    for (entity, count) in ledger.named_instead().iter().take(10) {
        if write!(named, " {} ({count})", Plain(entity)).is_err() {
            unreachable!("a string takes all");
        }
    }
    if !named.is_empty() {
        line(format!("instead   {named}"));
    }
    text
}
