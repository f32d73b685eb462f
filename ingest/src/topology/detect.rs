//! Which format a file is in, by its name and how it begins.

use super::Format;

/// How far into a file is looked.
const LOOKED_AT: usize = 64 << 10;

/// The format of a file; `None` when it is like none.
#[must_use]
pub fn detect(name: &str, bytes: &[u8]) -> Option<Format> {
    let bytes = &bytes[..bytes.len().min(LOOKED_AT)];
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let has = |words: &[&str]| words.iter().all(|word| text.contains(word));
    let ends = |ends: &[&str]| ends.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    let begins = |word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    if ends(&[".csv"]) {
        return Some(Format::Csv);
    }
    if ends(&[".dot", ".gv"]) || begins("digraph") || begins("strict digraph") {
        return Some(Format::Dot);
    }
    let is_json = text.starts_with(['{', '[']);
    if has(&["\"resultType\""]) {
        let by_labels: [(&[&str], Format); 6] = [
            (&["\"destination_service_name\""], Format::Istio),
            (&["\"source_workload\""], Format::Hubble),
            (&["\"destination_workload\""], Format::Hubble),
            (&["\"client\"", "\"server\""], Format::ServiceGraph),
            (&["\"direction\""], Format::Linkerd),
            (&["\"node\""], Format::KubeState),
        ];
        return by_labels.into_iter().find(|(labels, _)| has(labels)).map(|(_, format)| format);
    }
    let by_words: [(&[&str], Format); 8] = [
        (&["\"flow\"", "\"verdict\""], Format::Hubble),
        (&["\"parent\"", "\"child\"", "\"data\""], Format::Jaeger),
        (&["\"parent\"", "\"child\""], Format::Zipkin),
        (&["\"elements\""], Format::Kiali),
        (&["\"items\"", "\"relations\""], Format::Backstage),
        (&["\"items\"", "\"kind\""], Format::Kubectl),
        (&["\"service\"", "\"dependencies\""], Format::Keep),
        (&["\"edges\""], Format::Native),
    ];
    if is_json {
        let found = by_words.into_iter().find(|(words, _)| has(words)).map(|(_, format)| format);
        let is_line = has(&["\"from\"", "\"to\""]) && !has(&["\"edges\""]);
        return found.or(is_line.then_some(Format::Edges)).or(Some(Format::Native));
    }
    if has(&["services:", "service_id"]) || has(&["services:", "service:"]) {
        return Some(Format::Keep);
    }
    (has(&["edges:"]) || has(&["nodes:"])).then_some(Format::Native)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fixture_is_known() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/topology");
        let mut known = 0;
        for entry in std::fs::read_dir(root).expect("fixtures") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let stem = name.split(['.', '-']).next().expect("a first part");
            let Some(format) = Format::named(stem).filter(|_| !name.contains("golden")) else {
                continue;
            };
            let bytes = std::fs::read(&path).expect("a fixture");
            assert_eq!(detect(name, &bytes), Some(format), "{name}");
            known += 1;
        }
        assert!(known >= Format::ALL.len());
        assert_eq!(detect("x", b"plain text"), None);
    }
}
