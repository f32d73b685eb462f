//! Verdicts of engineers over HTTP: who may send them, and what becomes of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use hypocenter::feedback::{Judgement, Via, read};

use crate::common::{Answer, Daemon, JSON, request};
use crate::security::{basic, users};

const INCIDENT: &str = "inc-1m80z734x39nx31t";
pub(crate) const TOKEN: &str = "0123456789abcdef0123";
const WEB: &str = "web: {listen_address: '127.0.0.1:0', config_file: DIR/web.yml}\n";

/// A daemon that takes verdicts by HTTP.
pub(crate) fn taking(more: &str) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("token", &format!("{TOKEN}\n"));
    write("wrong", &TOKEN.replace('0', "1"));
    write("web.yml", &users("alice", "right"));
    let feedback = "feedback: {file: DIR/f.jsonl, token_file: DIR/token}\n";
    Daemon::in_dir(dir, &format!("{feedback}{more}"))
}

fn hypocenter(daemon: &Daemon, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hypocenter"));
    command.args(args).args(["--url", &format!("http://{}", daemon.web)]);
    let output = command.current_dir(daemon.dir.path()).env("USER", "ada").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn post(daemon: &Daemon, headers: &str, body: &[u8]) -> Answer {
    let path = format!("/api/v1/incidents/{INCIDENT}/feedback");
    request(daemon.web, "POST", &path, &format!("{JSON}{headers}"), body)
}

fn kept(dir: &Path) -> Vec<Judgement> {
    let mut found = Vec::new();
    read(&dir.join("f.jsonl"), &mut |judgement| found.push(judgement)).unwrap();
    found
}

#[test]
fn those_who_have_the_token_are_heard() {
    let daemon = taking("");
    let run = |args: &[&str]| hypocenter(&daemon, args);
    let (code, _, err) = run(&["confirm", INCIDENT]);
    assert_eq!((code, err.contains("the token is wrong or missing")), (5, true), "{err}");
    assert_eq!(run(&["confirm", INCIDENT, "--token-file", "wrong"]).0, 5);
    let with = ["confirm", INCIDENT, "cart", "--key", "k", "--token-file", "token"];
    assert_eq!(run(&with).1, "stored\n");
    assert_eq!(run(&with).1, "it was there already\n");
    let (code, _, err) = run(&["reject", INCIDENT, "--token-file", "token", "--note", " "]);
    assert_eq!(code, 2, "{err}");
    let found = kept(daemon.dir.path());
    assert_eq!(found.len(), 1);
    assert_eq!((&*found[0].incident, found[0].via), (INCIDENT, Via::Http));
    assert_eq!(found[0].entity.as_deref(), Some("cart"));
    let text = daemon.read("/metrics").text();
    for line in [
        "hypocenter_feedback_judgements_total{verdict=\"confirm\"} 1",
        "hypocenter_feedback_precision_ratio{window=\"30d\"} 1",
        "hypocenter_feedback_burn_rate{window=\"30d\"} 0",
        "hypocenter_feedback_error_budget_remaining_ratio 1",
        "hypocenter_feedback_duplicates_total 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn it_is_off_unless_there_is_a_token() {
    for config in ["", "feedback: {file: DIR/f.jsonl}\n"] {
        let daemon = Daemon::with(config);
        assert_eq!(post(&daemon, "", b"{}").status, 404);
        let (code, _, err) = hypocenter(&daemon, &["confirm", INCIDENT]);
        assert_eq!((code, err.contains("it takes no feedback")), (5, true), "{err}");
        assert!(!daemon.routes.iter().any(|route| route.contains("feedback")));
    }
}

#[test]
fn only_the_token_opens() {
    let daemon = taking("");
    let body = br#"{"verdict": "confirm", "who": "ada", "key": "k"}"#;
    for wrong in [
        "",
        "Authorization:\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer 0123456789abcdef012\r\n",
        "Authorization: Bearer 0123456789abcdef0124\r\n",
        "Authorization: Basic 0123456789abcdef0123\r\n",
        "Feedback-Token:\r\n",
        "Feedback-Token: 0123456789ABCDEF0123\r\n",
    ] {
        let refused = post(&daemon, wrong, body);
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(refused.head.to_ascii_lowercase().contains("www-authenticate: bearer"));
    }
    assert!(!daemon.dir.path().join("f.jsonl").exists(), "nothing was written");
    let bearer = format!("authorization: bearer {TOKEN}\r\n");
    assert_eq!(post(&daemon, &bearer, body).status, 201);
    assert_eq!(post(&daemon, &format!("Feedback-Token: {TOKEN}\r\n"), body).status, 200);
    let browser = format!("{bearer}Origin: https://evil.example\r\n");
    assert_eq!(post(&daemon, &browser, body).status, 403);
    let path = format!("/api/v1/incidents/{INCIDENT}/feedback");
    assert_eq!(daemon.read(&path).status, 405);
    let large = post(&daemon, &bearer, &[b' '; (16 << 10) + 1]);
    assert_eq!((large.status, large.text().contains("more than 16384 bytes")), (413, true));
    assert_eq!(kept(daemon.dir.path()).len(), 1);
}

#[test]
fn the_token_is_asked_for_beside_the_password() {
    let daemon = taking(WEB);
    let body = br#"{"verdict": "confirm", "who": "ada"}"#;
    let (password, bearer) =
        (basic("alice", "right"), format!("Authorization: Bearer {TOKEN}\r\n"));
    let own = format!("Feedback-Token: {TOKEN}\r\n");
    for (headers, asks_for) in [
        (String::new(), "basic"),
        (bearer, "basic"),
        (own.clone(), "basic"),
        (format!("{}{own}", basic("alice", "wrong")), "basic"),
        (password.clone(), "bearer"),
        (format!("{password}Feedback-Token: {}\r\n", TOKEN.replace('0', "1")), "bearer"),
    ] {
        let refused = post(&daemon, &headers, body);
        assert_eq!(refused.status, 401, "{headers}");
        let head = refused.head.to_ascii_lowercase();
        assert!(head.contains(&format!("www-authenticate: {asks_for}")), "{headers}: {head}");
    }
    assert_eq!(post(&daemon, &format!("{password}{own}"), body).status, 201);
    let (code, _, err) = hypocenter(&daemon, &["confirm", INCIDENT, "--token-file", "token"]);
    assert_eq!((code, err.contains("see --http.config.file")), (5, true), "{err}");
    let write = |text: &str| fs::write(daemon.dir.path().join("http.yml"), text).unwrap();
    let with = ["reject", INCIDENT, "--token-file", "token", "--http.config.file", "http.yml"];
    write("basic_auth: {username: alice, password_file: password}\n");
    fs::write(daemon.dir.path().join("password"), "right\n").unwrap();
    assert_eq!(hypocenter(&daemon, &with).1, "stored\n");
    write("basic_auth: {username: alice}\nbasic: 1\n");
    let (code, _, err) = hypocenter(&daemon, &with);
    assert_eq!((code, err.contains("http.yml:2")), (3, true), "{err}");
}
