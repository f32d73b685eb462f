//! Alerts as JSON, in the form of Alertmanager's API.

use hypocenter_engine::Timestamp;

use crate::book::{Pairs, Stored};

/// A time as that API has it: UTC, with milliseconds.
pub(super) fn timestamp(time: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(time) => format!("{time:.3}"),
        // Out of the calendar's range, which 64 bits of nanoseconds are not.
        Err(_) => String::new(),
    }
}

/// Adds one alert to `out`.
pub(super) fn alert(out: &mut String, stored: &Stored, receiver: &str) {
    out.push_str("{\"annotations\":");
    object(out, &stored.annotations);
    let (ends, starts) = (timestamp(stored.ends_at), timestamp(stored.starts_at));
    let (updated, fingerprint) = (timestamp(stored.updated_at), stored.fingerprint);
    out.push_str(&format!(
        ",\"endsAt\":\"{ends}\",\"fingerprint\":\"{fingerprint}\",\"receivers\":[{{\"name\":"
    ));
    text(out, receiver);
    out.push_str(&format!(
        "}}],\"startsAt\":\"{starts}\",\"status\":{{\"inhibitedBy\":[],\"silencedBy\":[],\
         \"mutedBy\":[],\"state\":\"active\"}},\"updatedAt\":\"{updated}\""
    ));
    let url = web_address(&stored.generator_url);
    if !url.is_empty() {
        out.push_str(",\"generatorURL\":");
        text(out, url);
    }
    out.push_str(",\"labels\":");
    object(out, &stored.labels);
    out.push('}');
}

/// The text if it is the address of a page. Whoever shows it makes a link of it, and an alert may
/// carry `javascript:`.
fn web_address(url: &str) -> &str {
    let is_address = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    let is_plain =
        !url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>\"`".contains(c));
    if is_address && is_plain { url } else { "" }
}

fn object(out: &mut String, pairs: &Pairs) {
    out.push('{');
    for (at, (name, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        text(out, name);
        out.push(':');
        text(out, value);
    }
    out.push('}');
}

fn text(out: &mut String, text: &str) {
    match serde_json::to_string(text) {
        Ok(quoted) => out.push_str(&quoted),
        Err(error) => unreachable!("a text is JSON: {error}"),
    }
}
