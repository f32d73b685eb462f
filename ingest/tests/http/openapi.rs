//! `docs/openapi.json` describes the routes there are, and what they answer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::{Daemon, JSON, alert, request};
use crate::feedback::{TOKEN, taking};

fn docs(name: &str) -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The document as one JSON Schema: the record's own schema stands where it is named.
fn schema(document: &Value, reference: &Value) -> Value {
    let mut schemas = document["components"]["schemas"].clone();
    let mut incident = docs("incident.schema.json");
    let text = incident["$defs"].to_string().replace("#/$defs/", "#/components/schemas/");
    let defs: Value = serde_json::from_str(&text).unwrap();
    let text = incident.to_string().replace("#/$defs/", "#/components/schemas/");
    incident = serde_json::from_str(&text).unwrap();
    incident.as_object_mut().unwrap().remove("$defs");
    schemas["Incident"] = incident;
    for (name, definition) in defs.as_object().unwrap() {
        assert!(schemas[name].is_null() || name == "Incident", "{name} stands for two things");
        schemas[name] = definition.clone();
    }
    let mut whole = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" });
    whole["components"] = json!({ "schemas": schemas });
    whole["allOf"] = json!([reference]);
    whole
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let daemon = taking("");
    let document = docs("openapi.json");
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            described.insert(format!("{} {}", method.to_uppercase(), path.replace("{id}", "{}")));
            assert!(operation["responses"].as_object().is_some_and(|all| !all.is_empty()));
        }
    }
    let served: BTreeSet<String> = daemon.routes.iter().cloned().collect();
    assert_eq!(described, served);
}

fn assert_described(document: &Value, response: &Value, answer: &Value) {
    let reference = &response["content"]["application/json"]["schema"];
    assert!(reference.is_object(), "not described: {answer}");
    let schema = schema(document, reference);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(answer).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{answer}: {errors:?}");
}

#[test]
fn verdicts_are_answered_as_described() {
    let daemon = taking("");
    let document = docs("openapi.json");
    let operation = &document["paths"]["/api/v1/incidents/{id}/feedback"]["post"];
    let good = r#"{"verdict": "reject", "who": "ada", "key": "k", "note": "no", "entity": "a"}"#;
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let validator = schema(&document, body);
    let validator = jsonschema::validator_for(&validator).unwrap();
    assert!(validator.is_valid(&serde_json::from_str(good).unwrap()));
    let large = " ".repeat(20_000);
    for (token, body, status) in [
        (TOKEN, good, 201),
        (TOKEN, good, 200),
        (TOKEN, r#"{"verdict": "maybe", "who": "ada"}"#, 400),
        (TOKEN, r#"{"verdict": "confirm"}"#, 400),
        ("", good, 401),
        (TOKEN, large.as_str(), 413),
    ] {
        let is_valid = serde_json::from_str(body).is_ok_and(|body| validator.is_valid(&body));
        assert_eq!(is_valid, body == good, "{body}");
        let headers = format!("{JSON}Authorization: Bearer {token}\r\n");
        let path = "/api/v1/incidents/inc-1m80z734x39nx31t/feedback";
        let answer = request(daemon.web, "POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, status, "{body}");
        assert_described(&document, &operation["responses"][status.to_string()], &answer.json());
    }
}

#[test]
fn answers_are_as_described() {
    let daemon = Daemon::start();
    assert_eq!(daemon.post("/api/v2/alerts", &alert("cart")).status, 200);
    let list = daemon.until("/api/v1/incidents", |answer| {
        answer.json()["incidents"].as_array().is_some_and(|list| !list.is_empty())
    });
    let id = list.json()["incidents"][0]["incident"].as_str().unwrap().to_owned();
    let document = docs("openapi.json");
    for (path, described, status) in [
        ("/api/v1/incidents", "/api/v1/incidents", 200),
        ("/api/v1/incidents?limit=0", "/api/v1/incidents", 400),
        (&format!("/api/v1/incidents/{id}"), "/api/v1/incidents/{id}", 200),
        ("/api/v1/incidents/inc-0", "/api/v1/incidents/{id}", 404),
        ("/api/v2/alerts", "/api/v2/alerts", 200),
        ("/api/v2/alerts?filter=%7Bbad", "/api/v2/alerts", 400),
        ("/api/v2/alerts/groups", "/api/v2/alerts/groups", 200),
        ("/api/v2/status", "/api/v2/status", 200),
        ("/api/v2/receivers", "/api/v2/receivers", 200),
        ("/api/v2/silences", "/api/v2/silences", 200),
        ("/api/v2/silence/x", "/api/v2/silence/{id}", 404),
    ] {
        let answer = daemon.read(path);
        assert_eq!(answer.status, status, "{path}");
        let response = &document["paths"][described]["get"]["responses"][status.to_string()];
        assert_described(&document, response, &answer.json());
    }
}
