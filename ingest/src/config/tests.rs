use std::fs;

use hypocenter_engine::PolicySpec;

use super::*;
use crate::file_error::PROBLEMS_SHOWN_MAX;

/// Everything that is wrong with a text, one problem a line.
fn problems(text: &str) -> String {
    let problems = Config::parse(text).expect_err(text);
    problems.iter().map(|p| format!("{p}\n")).collect()
}

/// The examples in the reference manual: lines that begin with `#` and no space.
fn examples() -> String {
    DEFAULT_YML
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') || rest.starts_with("  ") => rest,
            _ => "",
        })
        .map(|line| {
            if line.contains("hypocenter check config") {
                ""
            } else {
                line
            }
        })
        .map(|line| format!("{line}\n"))
        .collect()
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
    Config::read(DEFAULT_YML, &manual).expect("readable");
    let config = Config::read(&examples(), &example).expect("readable");
    assert_eq!(example.problem_count(), 0, "{:?}", example.into_problems());
    let Input::Kafka(kafka) = &config.input else {
        panic!("the example input is Kafka: {:?}", config.input);
    };
    let brokers = kafka.brokers.clone();
    let default = KafkaInput {
        brokers,
        ..KafkaInput::default()
    };
    assert_eq!(*kafka, default);
    let mut known = manual.known();
    known.extend(example.known());
    let given = |path: &String| {
        let same = |given: &String| crate::yaml::reader::without_index(given) == *path;
        manual
            .given_paths()
            .iter()
            .chain(&example.given_paths())
            .any(same)
    };
    let missing: Vec<_> = known.iter().filter(|path| !given(path)).collect();
    assert!(missing.is_empty(), "not in default.yml: {missing:?}");
}

/// Texts with one mistake each, and how it is reported.
const MISTAKES: &[(&str, &str)] = &[
    (
        "groupin:\n  decay: 0.5\n",
        "1:1: groupin: is not a known key; did you mean \"grouping\"?",
    ),
    (
        "grouping:\n  decy: 0.5\n",
        "2:3: grouping.decy: is not a known key; did you mean \"decay\"?",
    ),
    (
        "log:\n  zzz: 1\n",
        "2:3: log.zzz: is not a known key; there are format, level",
    ),
    (
        "grouping: [1]\n",
        "1:11: grouping: is a list, must be a section of keys and values",
    ),
    (
        "grouping:\n  decay: high\n",
        "2:10: grouping.decay: is high, must be a number",
    ),
    (
        "grouping:\n  decay: '0.5'\n",
        "2:10: grouping.decay: is \"0.5\", must be a number; take the quotes away",
    ),
    (
        "grouping:\n  decay: .nan\n",
        "2:10: grouping.decay: is .nan, must be a number",
    ),
    (
        "grouping:\n  decay: inf\n",
        "2:10: grouping.decay: is inf, must be a number",
    ),
    (
        "grouping:\n  decay: 1.5\n",
        "2:10: grouping.decay: is 1.5, allowed is more than 0, less than 1",
    ),
    (
        "grouping:\n  hops_max: 9\n",
        "2:13: grouping.hops_max: is 9, allowed is 1 to 8",
    ),
    (
        "grouping:\n  hops_max: 300\n",
        "2:13: grouping.hops_max: is 300, allowed is 0 to 255",
    ),
    (
        "grouping:\n  hops_max: 2.5\n",
        "2:13: grouping.hops_max: is 2.5, must be a whole number, 0 to 255",
    ),
    (
        "grouping:\n  window: 80\n",
        "2:11: grouping.window: is 80, which has no unit; must be a duration such as 30s, 5m or 1h30m",
    ),
    (
        "grouping:\n  window: 1 minute\n",
        "2:11: grouping.window: is 1 minute, must be a duration",
    ),
    (
        "grouping:\n  window: 5min\n",
        "which has the unknown unit \"min\"; there are y, w, d, h, m, s, ms",
    ),
    (
        "times:\n  settle_for: 0s\n",
        "2:15: times.settle_for: is 0s, allowed is more than 0, at most 30 days",
    ),
    (
        "limits:\n  alerts_max: 0\n",
        "2:15: limits.alerts_max: is 0, allowed is 1 to 100000000",
    ),
    (
        "limits:\n  alerts_max: -1\n",
        "limits.alerts_max: is -1, allowed is 1 to 100000000",
    ),
    (
        "ranking:\n  strength_by_severity:\n    critical: 0\n",
        "3:15: ranking.strength_by_severity.critical: is 0, allowed is more than 0, at most 100",
    ),
    (
        "labels:\n  replica: a\n",
        "2:12: labels.replica: is a, must be a list, as in [a, b]; put it in brackets",
    ),
    (
        "labels:\n  replica: [[a]]\n",
        "2:13: labels.replica[0]: is a list, must be text",
    ),
    (
        "labels:\n  metric: ''\n",
        "2:11: labels.metric: is empty, must be text",
    ),
    (
        "kinds:\n  weights:\n    error: {pull: 2}\n",
        "3:19: kinds.weights.error.pull: is 2, allowed is 0 to 1",
    ),
    (
        "kinds:\n  words:\n    error: [Error]\n",
        "3:12: kinds.words.error: has \"Error\", which no name can match",
    ),
    (
        "kinds:\n  words: {other: [x]}\n",
        "kinds.words.other: is not a known key",
    ),
    (
        "mapping:\n  rules:\n    - {name: a, match: {job: '('}, to: x}\n",
        "3:7: mapping.rules[0]: pattern \"(\" of label \"job\": unclosed group",
    ),
    (
        "mapping:\n  rules:\n    - {match_any: [a], to: x}\n",
        "mapping.rules[0]: has no name",
    ),
    (
        "mapping:\n  rules:\n    - {name: a, match_any: [a], to: '${b'}\n",
        "is not closed",
    ),
    (
        "mapping:\n  rules:\n    - {name: a, match_any: [a], too: x}\n",
        "did you mean \"to\"?",
    ),
    (
        "input:\n  type: rabbit\n",
        "2:9: input.type: is rabbit, must be one of kafka, file",
    ),
    (
        "input:\n  type: kafka\n",
        "input.brokers: is missing; name at least one broker",
    ),
    (
        "input:\n  type: kafka\n  brokers: []\n",
        "3:12: input.brokers: is empty",
    ),
    (
        "input:\n  type: kafka\n  brokers: [kafka]\n",
        "3:13: input.brokers[0]: is kafka, must be host:port",
    ),
    (
        "input:\n  brokers: ['a:1']\n",
        "2:3: input.brokers: is not a known key",
    ),
    (
        "input:\n  type: kafka\n  brokers: ['a:1']\n  dead_letter_topic: alerts\n",
        "4:22: input.dead_letter_topic: is one of the topics",
    ),
    ("outputs: []\n", "1:10: outputs: is empty"),
    (
        "outputs: {type: stdout}\n",
        "1:10: outputs: is a section of keys and values, must be a list",
    ),
    (
        "outputs:\n  - path: x\n",
        "2:5: outputs[0].type: is missing; one of kafka, webhook, file, stdout",
    ),
    (
        "outputs:\n  - type: file\n",
        "2:5: outputs[0].path: is missing",
    ),
    (
        "outputs:\n  - type: webhook\n    url: ftp://x\n",
        "3:10: outputs[0].url: must be an http or https URL",
    ),
    (
        "outputs:\n  - type: stdout\n  - type: stdout\n",
        "outputs: has stdout more than once",
    ),
    (
        "web:\n  listen_address: nowhere\n",
        "2:19: web.listen_address: is nowhere, must be address:port",
    ),
    (
        "log:\n  level: verbose\n",
        "2:10: log.level: is verbose, must be one of debug, info, warn, error",
    ),
    (
        "log:\n  level: warn\n  level: info\n",
        "3:3: level: is given twice, first in line 2; keep one",
    ),
    (
        "log:\n\tlevel: info\n",
        "2:1: is indented with a tab; YAML takes spaces only",
    ),
    (
        "- a\n",
        "1:1: is a list, must be a section of keys and values",
    ),
    (
        "just text\n",
        "1:1: is just text, must be a section of keys and values",
    ),
];

#[test]
fn every_mistake_has_its_place_and_its_remedy() {
    for (text, expected) in MISTAKES {
        let found = problems(text);
        assert!(
            found.contains(expected),
            "{text}\nfound:    {found}expected: {expected}"
        );
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
         9:16: ranking.temperature: is 0, allowed is more than 0\n\
         10:1: nonsense: is not a known key; there are annotations, grouping, input, kinds, labels, \
         limits, log, mapping, outputs, ranking, times, topology, web\n\
         ranking.hops_max: is 3, allowed is at most grouping.hops_max\n"
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
labels: {tenant: cluster, replica: []}
mapping: {rules: [{name: n, match: {a: 'b.*', c: ''}, match_any: [d], to: 'x/${value}'}]}
kinds: {words: {error: [boom]}, weights: {error: {own: 5}}}
times: {settle_for: 1m30s}
limits: {labels_max: 10}
web: {listen_address: ':1234'}
";
    let config = Config::parse(text).expect("valid");
    let Input::Kafka(kafka) = &config.input else {
        panic!("Kafka")
    };
    assert_eq!(kafka.topics, ["x", "y"]);
    assert_eq!(kafka.offset_reset, OffsetReset::Error);
    assert_eq!(kafka.properties["a.b"], "1");
    assert_eq!(config.outputs.len(), 2);
    let spec = config.policy.spec();
    assert_eq!(spec.labels.tenant.as_deref(), Some("cluster"));
    assert!(spec.labels.replica.is_empty());
    assert_eq!(
        spec.mapping.0[0].matches[1],
        ("c".to_owned(), String::new())
    );
    assert_eq!(spec.kinds.classify("BoomNow", None).name(), "error");
    assert_eq!(spec.kinds.classify("ErrorNow", None).name(), "other");
    assert_eq!(spec.times.settle_for.as_secs_f64(), 90.0);
    assert_eq!(config.accept.labels.count_max, 10);
    assert_eq!(config.web.listen_address.to_string(), "[::]:1234");
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
    fs::write(
        &file,
        "topology: {file: t.yml}\ninput: {paths: ['-', a, /b]}\n",
    )
    .expect("written");
    let config = Config::load(&file).expect("valid");
    assert_eq!(config.topology_file, Some(dir.path().join("t.yml")));
    let paths = vec![
        PathBuf::from("-"),
        dir.path().join("a"),
        PathBuf::from("/b"),
    ];
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
