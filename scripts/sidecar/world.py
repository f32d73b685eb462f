"""Two Prometheus, two clustered Alertmanagers and one Hypocenter around the service graph."""
import json
import re
import subprocess
from datetime import datetime, timezone

from .harness import Process, fetch, free_ports
from .service_graph import GRAPH, RULES, Exporter, Receiver, serve

RESEND = 2  # seconds; Prometheus' default is a minute
REFRESH = 4  # seconds; Hypocenter's default is a minute
LIFE = 4 * REFRESH  # seconds that an alert of ours lives in Alertmanager when nobody repeats it
# Seconds; Alertmanager's default is 30. Less than LIFE: a Hypocenter that is killed while a candidate
# still changes leaves an alert with the candidate of that moment, and the next one must end it.
GROUP_WAIT = 10


def seconds(text):
    """A time of a record as seconds since 1970."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    at = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    return at + float(f"0.{fraction or 0}")


class World:
    def __init__(self, binary, folder):
        self.folder = folder
        self.exporter, self.receiver = Exporter(), Receiver()
        self.server = serve(self.exporter, self.receiver)
        ports = free_ports(8)
        self.prometheus_ports, self.alertmanager_ports = ports[:2], ports[2:4]
        self.gossip_ports, self.intake_port, self.web_port = ports[4:6], ports[6], ports[7]
        self.records = folder / "incidents.jsonl"
        self.write_files()
        self.prometheus = [self.make_prometheus(n) for n in (0, 1)]
        self.alertmanagers = [self.make_alertmanager(n) for n in (0, 1)]
        web = f"http://127.0.0.1:{self.web_port}"
        self.hypocenter = Process(
            "hypocenter", [binary, "run", "--config.file=hypocenter.yml"], folder, f"{web}/-/ready")
        self.all = [*self.alertmanagers, self.hypocenter, *self.prometheus]

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def write_files(self):
        own = self.server.server_address[1]
        self.write("rules.yml", RULES)
        edges = "".join(f"  - {{from: {a}, to: {b}}}\n" for a, bs in GRAPH.items() for b in bs)
        self.write("topology.yml", f"edges:\n{edges}")
        targets = [f"127.0.0.1:{p}" for p in (*self.alertmanager_ports, self.intake_port)]
        for replica in (0, 1):
            self.write(f"prometheus-{replica}.yml", f"""
global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: {{cluster: test, replica: r{replica}}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: video
    honor_labels: true
    static_configs: [{{targets: ['127.0.0.1:{own}']}}]
alerting:
  alert_relabel_configs: [{{action: labeldrop, regex: replica}}]
  alertmanagers: [{{static_configs: [{{targets: {json.dumps(targets)}}}]}}]
""")
        self.write("alertmanager.yml", f"""
route:
  receiver: pager
  group_by: [incident_id, alertname, service, episode]
  group_wait: {GROUP_WAIT}s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - receiver: nobody
      matchers: [alertname=~"IncidentMember|Watchdog"]
    - receiver: back
      matchers: [alertname="IncidentRootCause"]
      group_wait: 0s
      continue: true
    - receiver: pager
      matchers: [alertname="IncidentRootCause"]
# As in docs/alertmanager-output.md.
inhibit_rules:
  - source_matchers: [alertname="IncidentMember"]
    target_matchers: [generated_by!="hypocenter", service!=""]
    equal: [service]
receivers:
  - name: pager
    webhook_configs: [{{url: 'http://127.0.0.1:{own}/'}}]
  - name: nobody
  # Our own alerts come back here: they must make no incident.
  - name: back
    webhook_configs: [{{url: 'http://127.0.0.1:{self.intake_port}/webhook'}}]
""")
        peers = json.dumps([f"http://127.0.0.1:{p}" for p in self.alertmanager_ports])
        servers = json.dumps([f"http://127.0.0.1:{p}" for p in self.prometheus_ports])
        self.write("hypocenter.yml", f"""
input: {{type: http, listen_address: '127.0.0.1:{self.intake_port}'}}
web: {{listen_address: '127.0.0.1:{self.web_port}'}}
topology: {{file: topology.yml}}
outputs:
  - {{type: file, path: incidents.jsonl}}
  - type: alertmanager
    urls: {peers}
    refresh: {REFRESH}s
    members: true
    incident_url: http://127.0.0.1:{self.web_port}/api/v1/incidents/{{incident}}
neighbours:
  rules: {{urls: {servers}, refresh: 5s, file: rules-known.yml}}
  resync: {{urls: {peers}}}
# Shorter than the defaults, so that rounds are.
times: {{settle_for: 3s, quiet_for: 3s, flap_window: 1s, merge_window: 1m, resolve_timeout: 30s}}
""")

    def make_prometheus(self, number):
        port = self.prometheus_ports[number]
        return Process(f"prometheus-{number}", [
            "prometheus", f"--config.file=prometheus-{number}.yml",
            f"--storage.tsdb.path=tsdb-{number}", f"--web.listen-address=127.0.0.1:{port}",
            f"--rules.alert.resend-delay={RESEND}s", "--log.level=warn",
        ], self.folder, f"http://127.0.0.1:{port}/-/ready")

    def make_alertmanager(self, number):
        port, gossip = self.alertmanager_ports[number], self.gossip_ports
        return Process(f"alertmanager-{number}", [
            "prometheus-alertmanager", "--config.file=alertmanager.yml",
            f"--storage.path=alertmanager-{number}", f"--web.listen-address=127.0.0.1:{port}",
            f"--cluster.listen-address=127.0.0.1:{gossip[number]}",
            f"--cluster.peer=127.0.0.1:{gossip[1 - number]}", "--cluster.peer-timeout=1s",
            "--cluster.settle-timeout=6s", "--log.level=warn",
        ], self.folder, f"http://127.0.0.1:{port}/-/ready")

    def start(self):
        for process in self.all:
            process.start()
        for process in self.all:
            process.await_ready()

    def amtool(self, number, *matchers):
        """The alerts that an Alertmanager shows; None when it does not answer."""
        url = f"http://127.0.0.1:{self.alertmanager_ports[number]}"
        done = subprocess.run(
            ["amtool", f"--alertmanager.url={url}", "alert", "query", "--output=json", *matchers],
            capture_output=True, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def versions(self, start):
        """Incident records since a moment, in order."""
        found = []
        if self.records.exists():
            for line in self.records.read_text().splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue  # being written
                if seconds(record["updated"]) >= start:
                    found.append(record)
        return found

    def metric(self, pattern):
        text = fetch(f"http://127.0.0.1:{self.web_port}/metrics") or ""
        values = re.findall(rf"^{pattern} ([0-9.e+]+)$", text, re.M)
        return sum(float(value) for value in values)
