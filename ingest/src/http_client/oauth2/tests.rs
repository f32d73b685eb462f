use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::{Authorization, ClientTls, Credential};
use crate::http_client::tests::{TestServer, answer};
use crate::redact::Properties;

const LONG: Duration = Duration::from_secs(20);

fn oauth2(token_url: String, client_secret: Credential) -> OAuth2 {
    OAuth2 {
        client_id: "a client".to_owned(),
        client_secret,
        token_url,
        scopes: vec!["read".to_owned(), "write".to_owned()],
        endpoint_params: Properties([("audience".to_owned(), "al&rts".to_owned())].into()),
        tls: ClientTls::default(),
        proxy_url: None,
    }
}

fn inline(text: &str) -> Credential {
    Credential::Inline(Secret::new(text.to_owned()))
}

fn client(server: &TestServer, oauth2: OAuth2) -> Client {
    let authorization = Authorization::OAuth2(Box::new(oauth2));
    let config = HttpConfig { authorization, ..HttpConfig::default() };
    Client::new(&server.url(), &config, LONG).expect("a client")
}

/// What was asked for: the credentials and forms of tokens, and the tokens shown elsewhere.
fn seen(server: &TestServer) -> Vec<String> {
    let told = |(head, body): (String, String)| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let header = lines.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let shown = header.map_or("-", |(_, value)| value).to_owned();
        if head.starts_with("POST /token ") { format!("{shown} {body}") } else { shown }
    };
    server.seen().into_iter().map(told).collect()
}

/// Gives the tokens t1, t2 and so on; takes a request to `/x` when `takes` says so.
fn issuer(
    expires_in: &'static str,
    takes: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> TestServer {
    let number = AtomicUsize::new(0);
    TestServer::start(move |head, _| {
        if head.starts_with("POST /token ") {
            let number = number.fetch_add(1, Ordering::Relaxed) + 1;
            let token = format!(
                r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":{expires_in}}}"#
            );
            return answer("200 OK", &token);
        }
        answer(if takes(head) { "200 OK" } else { "401 No" }, "")
    })
}

const FORM_SENT: &str = "grant_type=client_credentials&scope=read%20write&audience=al%26rts";

#[test]
fn a_token_is_kept_until_it_is_refused() {
    let refuses = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refuses);
    let server = issuer("3600", move |head| {
        !head.contains("Bearer t1") || count.fetch_add(1, Ordering::Relaxed) < 2
    });
    let client = client(&server, oauth2(format!("{}/token", server.url()), inline("s:cret")));
    for status in [200, 200, 401, 200, 200] {
        assert_eq!(client.get("/x", 9).expect("an answer").status, status);
    }
    // `a%20client:s%3Acret`
    let asked = format!("Basic YSUyMGNsaWVudDpzJTNBY3JldA== {FORM_SENT}");
    let all = ["Bearer t1", "Bearer t1", "Bearer t1", &asked, "Bearer t2", "Bearer t2"];
    assert_eq!(seen(&server), [&[asked.as_str()], &all[..]].concat());
}

#[test]
fn a_token_about_to_expire_is_not_used_again_and_the_secret_is_read_each_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret");
    for expires_in in ["9", "\"9\""] {
        fs::write(&file, "one\n").expect("written");
        let server = issuer(expires_in, |_| true);
        let url = format!("{}/token", server.url());
        let client = client(&server, oauth2(url, Credential::File(file.clone())));
        client.get("/x", 9).expect("an answer");
        fs::write(&file, "two\n").expect("written");
        client.get("/x", 9).expect("an answer");
        let basic = |pair| format!("Basic {} {FORM_SENT}", BASE64_STANDARD.encode(pair));
        let (one, two) = (basic("a%20client:one"), basic("a%20client:two"));
        assert_eq!(seen(&server), [&one, "Bearer t1", &two, "Bearer t2"]);
    }
}

#[test]
fn who_wants_credentials_in_the_form_gets_them_there() {
    let server = TestServer::start(|head, body| match head {
        _ if head.starts_with("GET ") => answer("200 OK", ""),
        _ if body.ends_with("&client_id=a%20client&client_secret=hush") => {
            answer("200 OK", r#"{"access_token":"t","expires_in":1}"#)
        }
        _ => answer("401 No", r#"{"error":"invalid_client"}"#),
    });
    let client = client(&server, oauth2(format!("{}/token", server.url()), inline("hush")));
    for _ in 0..2 {
        assert_eq!(client.get("/x", 9).expect("an answer").status, 200);
    }
    let in_form = format!("- {FORM_SENT}&client_id=a%20client&client_secret=hush");
    let seen = seen(&server);
    assert_eq!(seen[1..], [&in_form, "Bearer t", &in_form, "Bearer t"], "it is remembered");
}

#[test]
fn without_a_token_nothing_is_sent_and_no_secret_is_told() {
    for (status, body, told) in [
        ("400 No", r#"{"error":"invalid_scope"}"#, "answers with status 400: invalid_scope"),
        ("401 No", r#"{"error":"is hush right?"}"#, "answers with status 401"),
        ("503 No", "hush", "answers with status 503"),
        ("200 OK", "hush", "answers with what is no token"),
        ("200 OK", r#"{"access_token":""}"#, "answers without an access_token"),
        ("200 OK", r#"{"access_token":"hush","token_type":"a b"}"#, "token_type that is no word"),
    ] {
        let server = TestServer::start(move |_, _| answer(status, body));
        let client = client(&server, oauth2(format!("{}/token", server.url()), inline("hush")));
        let error = client.get("/x", 9).expect_err(body);
        assert!(matches!(error, ClientError::Unavailable(_)), "{error:?}");
        let text = error.to_string();
        let place = format!("no token from {}: ", server.url());
        assert!(text.starts_with(&place) && text.ends_with(told), "{text}");
        assert!(!text.contains("hush") && !format!("{client:?}").contains("hush"), "{text}");
        assert!(server.seen().iter().all(|(head, _)| head.starts_with("POST /token ")));
    }
}
