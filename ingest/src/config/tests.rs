mod mistakes;

use std::fs;
use std::time::Duration;

use hypocenter_engine::PolicySpec;
use mistakes::MISTAKES;

use super::*;
use crate::file_error::PROBLEMS_SHOWN_MAX;

/// Everything that is wrong with a text, one problem a line.
fn problems(text: &str) -> String {
    let problems = Config::parse(text).expect_err(text);
    problems.iter().map(|p| format!("{p}\n")).collect()
}

/// The examples in the reference manual: lines that begin with `#` and no space; each top-level
/// key begins another one.
fn examples() -> Vec<String> {
    let lines = DEFAULT_YML
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') || rest.starts_with("  ") => rest,
            _ => "",
        })
        .map(|line| if line.contains("hypocenter check config") { "" } else { line })
        .map(|line| format!("{line}\n"));
    let mut examples: Vec<String> = Vec::new();
    for (number, line) in lines.enumerate() {
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            // So that mistakes are shown at their line.
            examples.push("\n".repeat(number));
        }
        if let Some(last) = examples.last_mut() {
            last.push_str(&line);
        }
    }
    examples
}

#[test]
fn the_manual_holds_exactly_the_defaults() {
    let config = Config::parse(DEFAULT_YML).expect("the manual is valid");
    let default = Config::default();
    assert_eq!(*config.policy.spec(), PolicySpec::default());
    assert_eq!(config.policy.hash(), default.policy.hash());
    assert_eq!(format!("{config:?}"), format!("{default:?}"));
    let empty = Config::parse("").expect("an empty file is valid");
    assert_eq!(format!("{empty:?}"), format!("{default:?}"));
}

#[test]
fn the_manual_names_every_key() {
    let (manual, example) = (Reader::default(), Reader::default());
    Config::default().read(DEFAULT_YML, &manual).expect("readable");
    let mut inputs = Vec::new();
    for text in examples() {
        let config = Config::default().read(&text, &example).expect("readable");
        inputs.push(config.input);
    }
    assert_eq!(example.problem_count(), 0, "{:?}", example.into_problems());
    assert!(inputs.contains(&Input::Http(HttpInput::default())), "{inputs:?}");
    let kafka = inputs.iter().find_map(|input| match input {
        Input::Kafka(kafka) => Some(kafka),
        _ => None,
    });
    let kafka = kafka.expect("an example with Kafka");
    let brokers = kafka.brokers.clone();
    let default = KafkaInput { brokers, ..KafkaInput::default() };
    assert_eq!(*kafka, default);
    let mut known = manual.known();
    known.extend(example.known());
    // What all clients have in common is shown once.
    let common = |path: &str| match path.find("http_config.") {
        Some(at) => path[at..].to_owned(),
        None => path.to_owned(),
    };
    let given = |path: &String| {
        let without_index = crate::yaml::reader::without_index;
        let same = |given: &String| common(&without_index(given)) == common(path);
        manual.given_paths().iter().chain(&example.given_paths()).any(same)
    };
    let missing: Vec<_> = known.iter().filter(|path| !given(path)).collect();
    assert!(missing.is_empty(), "not in default.yml: {missing:?}");
}

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    for (text, expected) in MISTAKES {
        let found = problems(text);
        assert!(found.contains(expected), "{text}\nfound:    {found}expected: {expected}");
        assert_eq!(found.lines().count(), 1, "{text}{found}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "
input:
  typ: kafka
grouping:
  decay: 1.5
  window: 80
  hops_max: 2
ranking:
  temperature: 0
nonsense: 1
";
    assert_eq!(
        problems(text),
        "3:3: input.typ: is not a known key; did you mean \"type\"?\n\
         5:10: grouping.decay: is 1.5, allowed is more than 0, less than 1\n\
         6:11: grouping.window: is 80, which has no unit; must be a duration such as 30s, 5m or 1h30m\n\
         9:16: ranking.temperature: is 0, allowed is 0.01 to 100\n\
         10:1: nonsense: is not a known key; there are annotations, feedback, grouping, input, kinds, labels, \
         limits, log, mapping, neighbours, outputs, ranking, state, times, topology, web\n\
         ranking.hops_max: is 4, allowed is at most grouping.hops_max\n"
    );
}

#[test]
fn values_arrive() {
    let text = "
input: {type: kafka, brokers: ['a:1', 'b:2'], topics: [x, y], offset_reset: error, properties: {a.b: 1, c: true}}
outputs:
  - {type: webhook, url: 'https://u:p@h/x', timeout: 3s}
  - {type: file, path: out.jsonl}
topology: {file: graph.yml}
state: {dir: kept, interval: 1m}
labels: {tenant: cluster, replica: []}
mapping: {rules: [{name: n, match: {a: 'b.*', c: ''}, match_any: [d], to: 'pod/${value}'}]}
kinds: {words: {error: [boom]}, weights: {error: {own: 5}}}
times: {settle_for: 1m30s}
limits: {labels_max: 10}
web: {listen_address: ':1234'}
";
    let config = Config::parse(text).expect("valid");
    let Input::Kafka(kafka) = &config.input else { panic!("Kafka") };
    assert_eq!(kafka.topics, ["x", "y"]);
    assert_eq!(kafka.offset_reset, OffsetReset::Error);
    assert_eq!(kafka.properties["a.b"], "1");
    assert_eq!(config.outputs.len(), 2);
    assert_eq!(config.state.dir.as_deref(), Some(Path::new("kept")));
    assert_eq!(config.state.interval, Duration::from_secs(60));
    let spec = config.policy.spec();
    assert_eq!(spec.labels.tenant.as_deref(), Some("cluster"));
    assert!(spec.labels.replica.is_empty());
    assert_eq!(spec.mapping.rules[0].matches[1], ("c".to_owned(), String::new()));
    assert_eq!(spec.kinds.classify("BoomNow", None).name(), "error");
    assert_eq!(spec.kinds.classify("ErrorNow", None).name(), "other");
    assert_eq!(spec.times.settle_for.as_secs_f64(), 90.0);
    assert_eq!(config.accept.labels.count_max, 10);
    assert_eq!(config.web.listen_addresses, [([0u16; 8], 1234).into()]);
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let load = |path: &Path| Config::load(path).expect_err("refused").to_string();
    let missing = dir.path().join("none.yml");
    assert!(load(&missing).ends_with("none.yml: there is no such file; check the path"));
    assert!(load(dir.path()).ends_with("is a directory; name a file in it"));
    let binary = dir.path().join("b.yml");
    fs::write(&binary, b"log:\n  level: \xff\n").expect("written");
    assert!(
        load(&binary).ends_with("is not UTF-8 text: line 2 has a byte that does not belong there")
    );
    fs::write(&binary, vec![b' '; 5 << 20]).expect("written");
    assert!(load(&binary).contains("has more than 4194304 bytes"));
    fs::write(&binary, "\u{feff}log: {levl: info}\n").expect("written");
    assert!(
        load(&binary).ends_with("b.yml:1:7: log.levl: is not a known key; did you mean \"level\"?")
    );
}

#[test]
fn relative_paths_start_at_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("c.yml");
    fs::write(&file, "topology: {file: t.yml}\ninput: {paths: ['-', a, /b]}\n").expect("written");
    let config = Config::load(&file).expect("valid");
    assert_eq!(config.topology_file, Some(dir.path().join("t.yml")));
    let paths = vec![PathBuf::from("-"), dir.path().join("a"), PathBuf::from("/b")];
    assert_eq!(config.input, Input::File { paths });
}

#[test]
fn many_problems_are_cut() {
    let text: String = (0..500).map(|n| format!("k{n}: 1\n")).collect();
    let error = FileError::new(Path::new("f"), Config::parse(&text).expect_err("invalid"));
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), PROBLEMS_SHOWN_MAX + 1);
    assert!(shown.ends_with("f: and 450 more"), "{shown}");
}

#[test]
fn a_text_is_laid_over_another_configuration() {
    let base = Config::parse("ranking: {slack: 5, decay: 0.6}").expect("valid");
    let over = base.clone().with("ranking: {decay: 0.5}").expect("valid");
    let ranking = over.policy.spec().ranking;
    assert_eq!((ranking.slack, ranking.decay), (5.0, 0.5));
    assert_ne!(over.policy.hash(), base.policy.hash());
    let errors = base.with("grouping: {hops_max: 2}").expect_err("below ranking.hops_max");
    assert!(errors[0].to_string().contains("hops_max"), "{errors:?}");
}
