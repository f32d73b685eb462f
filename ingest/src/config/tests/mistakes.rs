//! The table of mistakes.

/// Texts with one mistake each, and how it is reported.
pub(super) const MISTAKES: &[(&str, &str)] = &[
    ("groupin:\n  decay: 0.5\n", "1:1: groupin: is not a known key; did you mean \"grouping\"?"),
    ("grouping:\n  decy: 0.5\n", "2:3: grouping.decy: is not a known key; did you mean \"decay\"?"),
    ("log:\n  zzz: 1\n", "2:3: log.zzz: is not a known key; there are format, level"),
    ("grouping: [1]\n", "1:11: grouping: is a list, must be a section of keys and values"),
    ("grouping:\n  decay: high\n", "2:10: grouping.decay: is high, must be a number"),
    (
        "grouping:\n  decay: '0.5'\n",
        "2:10: grouping.decay: is \"0.5\", must be a number; take the quotes away",
    ),
    ("grouping:\n  decay: .nan\n", "2:10: grouping.decay: is .nan, must be a number"),
    ("grouping:\n  decay: inf\n", "2:10: grouping.decay: is inf, must be a number"),
    (
        "grouping:\n  decay: 1.5\n",
        "2:10: grouping.decay: is 1.5, allowed is more than 0, less than 1",
    ),
    ("grouping:\n  hops_max: 9\n", "2:13: grouping.hops_max: is 9, allowed is 1 to 8"),
    ("grouping:\n  hops_max: 300\n", "2:13: grouping.hops_max: is 300, allowed is 0 to 255"),
    (
        "grouping:\n  hops_max: 2.5\n",
        "2:13: grouping.hops_max: is 2.5, must be a whole number, 0 to 255",
    ),
    (
        "grouping:\n  window: 80\n",
        "2:11: grouping.window: is 80, which has no unit; must be a duration such as 30s, 5m or 1h30m",
    ),
    ("grouping:\n  window: 1 minute\n", "2:11: grouping.window: is 1 minute, must be a duration"),
    (
        "grouping:\n  window: 5min\n",
        "which has the unknown unit \"min\"; there are y, w, d, h, m, s, ms",
    ),
    (
        "times:\n  settle_for: 0s\n",
        "2:15: times.settle_for: is 0s, allowed is more than 0 seconds, at most 30 days",
    ),
    (
        "times:\n  merge_window: 40d\n",
        "2:17: times.merge_window: is 40d, allowed is more than 0 seconds, at most 30 days",
    ),
    ("limits:\n  alerts_max: 0\n", "2:15: limits.alerts_max: is 0, allowed is 1 to 100000000"),
    ("limits:\n  alerts_max: -1\n", "limits.alerts_max: is -1, allowed is 1 to 100000000"),
    (
        "ranking:\n  strength_by_severity:\n    critical: 0\n",
        "3:15: ranking.strength_by_severity.critical: is 0, allowed is more than 0, at most 100",
    ),
    (
        "labels:\n  replica: a\n",
        "2:12: labels.replica: is a, must be a list, as in [a, b]; put it in brackets",
    ),
    ("labels:\n  replica: [[a]]\n", "2:13: labels.replica[0]: is a list, must be text"),
    ("labels:\n  metric: ''\n", "2:11: labels.metric: is empty, must be text"),
    (
        "kinds:\n  weights:\n    error: {pull: 2}\n",
        "3:19: kinds.weights.error.pull: is 2, allowed is 0 to 1",
    ),
    (
        "kinds:\n  words:\n    error: [Error]\n",
        "3:12: kinds.words.error: has \"Error\", which no name can match",
    ),
    ("kinds:\n  words: {other: [x]}\n", "kinds.words.other: is not a known key"),
    (
        "mapping:\n  rules:\n    - {name: a, match: {job: '('}, to: x}\n",
        "3:7: mapping.rules[0]: pattern \"(\" of label \"job\": unclosed group",
    ),
    ("mapping:\n  rules:\n    - {match_any: [a], to: x}\n", "mapping.rules[0]: has no name"),
    ("mapping:\n  rules:\n    - {name: a, match_any: [a], to: '${b'}\n", "is not closed"),
    ("mapping:\n  rules:\n    - {name: a, match_any: [a], too: x}\n", "did you mean \"to\"?"),
    (
        "mapping:\n  own_rules:\n    - {name: a, match_any: [a], to: 'nod/${a}'}\n",
        "3:7: mapping.own_rules[0]: `to: nod/${a}`: \"nod\" is no kind of entity; there are service,",
    ),
    (
        "mapping:\n  own_rules:\n    - {name: a, match: {a: '.+'}, to: x}\n    \
         - {name: b, match: {a: 'c|d'}, to: y}\n",
        "4:7: mapping.own_rules[1]: can never match: rule \"a\" before it takes all that it would",
    ),
    (
        "mapping:\n  rules:\n    - {name: a, match_any: [a], action: ignore}\n",
        "must be one of map, blind, heartbeat, drop",
    ),
    ("mapping:\n  exporters: [{hides: [pod]}]\n", "2:15: mapping.exporters[0]: has no job"),
    ("mapping:\n  aliases: {node: host}\n", "2:19: mapping.aliases.node: is host, must be a list"),
    ("input:\n  type: rabbit\n", "2:9: input.type: is rabbit, must be one of kafka, http, file"),
    ("input:\n  type: kafka\n", "input.brokers: is missing; name at least one broker"),
    ("input:\n  type: kafka\n  brokers: []\n", "3:12: input.brokers: is empty"),
    (
        "input:\n  type: kafka\n  brokers: [kafka]\n",
        "3:13: input.brokers[0]: is kafka, must be host:port",
    ),
    ("input:\n  brokers: ['a:1']\n", "2:3: input.brokers: is not a known key"),
    (
        "input:\n  type: kafka\n  brokers: ['a:1']\n  dead_letter_topic: alerts\n",
        "4:22: input.dead_letter_topic: is one of the topics",
    ),
    (
        "neighbours:\n  resync:\n    urls: ['http://a:9093']\n",
        "3:11: neighbours.resync.urls: goes with input.type http alone",
    ),
    ("outputs: []\n", "1:10: outputs: is empty"),
    (
        "outputs:\n  - type: alertmanager\n",
        "2:5: outputs[0].urls: is missing; name every Alertmanager, such as [http://127.0.0.1:9093]",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a', 'http://a']}]\n",
        "outputs[0].urls[1]: is there twice; keep one",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['am:9093']}]\n",
        "outputs[0].urls[0]: must be an http or https URL with a host and no query",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a'], refresh: 0s}]\n",
        "outputs[0].refresh: is 0, must be more than 0",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a'], labels: {severity: x}}]\n",
        "outputs[0].labels.severity: is a label that is set for you",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a'], entity_labels: ['(']}]\n",
        "outputs[0].entity_labels[0]: is no regular expression: unclosed group",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a'], entity_labels: ['(.+)']}]\n",
        "outputs[0].entity_labels[0]: has no named group, such as (?<service>.+)",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a'], incident_url: 'http://h'}]\n",
        "outputs[0].incident_url: must be an http or https URL with {incident} in it",
    ),
    (
        "outputs: [{type: alertmanager, urls: ['http://a'], alertname: x, member_alertname: x}]\n",
        "outputs[0].member_alertname: is that of incidents; give it another name",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {tls_config: {cert_file: a}}}]\n",
        "http_config.tls_config.key_file: is missing; cert_file needs its key",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {basic_auth: {username: u}, \
         authorization: {credentials: c}}}]\n",
        "http_config.authorization: is given beside basic_auth; keep one of them",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {enable_http2: true}}]\n",
        "http_config.enable_http2: is true, but HTTP/1.1 is what is spoken; leave it out",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {no_proxy: b}}]\n",
        "http_config.no_proxy: is not a known key; there are allow_addresses, authorization",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {basic_auth: {username: u}, \
         oauth2: {client_id: c, client_secret: s, token_url: 'http://t'}}}]\n",
        "http_config.oauth2: is given beside basic_auth; keep one of them",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {oauth2: {client_id: c, \
         token_url: 'http://t'}}}]\n",
        "http_config.oauth2.client_secret_file: is missing; name the file",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {oauth2: {client_id: c, \
         client_secret: s, token_url: 't'}}}]\n",
        "http_config.oauth2.token_url: must be an http or https URL with a host",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {oauth2: {client_id: c, \
         client_secret: s, token_url: 'http://t', scopes: ['a b']}}}]\n",
        "http_config.oauth2.scopes: must be a list of words",
    ),
    (
        "outputs: [{type: webhook, url: 'http://a', http_config: {allow_addresses: [a]}}]\n",
        "http_config.allow_addresses[0]: is a, must be an address or a range",
    ),
    ("outputs: {type: stdout}\n", "1:10: outputs: is a section of keys and values, must be a list"),
    (
        "outputs:\n  - path: x\n",
        "2:5: outputs[0].type: is missing; one of kafka, webhook, alertmanager, file, stdout",
    ),
    ("outputs:\n  - type: file\n", "2:5: outputs[0].path: is missing"),
    (
        "outputs:\n  - type: webhook\n    url: ftp://x\n",
        "3:10: outputs[0].url: must be an http or https URL",
    ),
    ("outputs:\n  - type: stdout\n  - type: stdout\n", "outputs: has stdout more than once"),
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
        "3:3: log.level: is given twice, first in line 2; keep one",
    ),
    ("log:\n\tlevel: info\n", "2:1: is indented with a tab; YAML takes spaces only"),
    ("- a\n", "1:1: is a list, must be a section of keys and values"),
    ("just text\n", "1:1: is just text, must be a section of keys and values"),
];
