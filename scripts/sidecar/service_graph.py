"""The monitored world: an exporter of a service graph with one fault, and who is notified."""
import http.server
import json
import threading
import time

# Who depends on whom; the fault is at keystore, below drm and ledger.
GRAPH = {
    "gateway": ["catalog", "player", "billing"],
    "catalog": ["search"],
    "player": ["drm", "edge"],
    "billing": ["ledger"],
    "drm": ["keystore"],
    "ledger": ["keystore"],
    "search": [],
    "edge": [],
    "keystore": [],
}
ROOT = "keystore"
SYMPTOMS = {"drm", "ledger", "player", "billing", "gateway"}
RULES = """
groups:
  - name: video
    interval: 1s
    rules:
      - alert: Watchdog
        expr: vector(1)
        labels: {severity: none}
      - alert: ConnectionPoolExhausted
        expr: video_pool_in_use_ratio > 0.9
        for: 1s
        labels: {severity: critical}
        annotations: {value: '{{ $value }}', threshold: '> 0.9'}
      - alert: HighErrorRate
        expr: video_error_ratio > 0.05
        labels: {severity: critical}
        annotations: {value: '{{ $value }}', threshold: '> 0.05'}
      - alert: HighLatency
        expr: video_latency_seconds > 0.5
        for: 1s
        labels: {severity: warning}
        annotations: {value: '{{ $value }}', threshold: '> 0.5'}
"""


class Exporter:
    """Metrics of all services; `is_faulty` switches the fault on and off at one moment.

    Each round has an episode of its own among the labels: Alertmanager does not wait for group_wait
    in a group that it has notified of before, and keeps groups for half a minute after their end.
    """

    def __init__(self):
        self.is_faulty, self.episode = False, 0

    def text(self):
        bad = self.is_faulty
        lines = []
        for service in GRAPH:
            hit = bad and (service in SYMPTOMS or service == ROOT)
            # The cause itself does not fail; its own alerts come a second after the symptoms.
            errors = {"drm": 0.3, "ledger": 0.25, "player": 0.12, "billing": 0.15,
                      "gateway": 0.08}.get(service, 0.001) if hit else 0.001
            latency = {"keystore": 2.5, "drm": 2.0, "ledger": 1.8, "player": 1.4, "billing": 1.2,
                       "gateway": 1.1}.get(service, 0.05) if hit else 0.05
            pool = 0.99 if bad and service == ROOT else 0.3
            for name, value in (("error_ratio", errors), ("latency_seconds", latency),
                                ("pool_in_use_ratio", pool)):
                lines.append(f'video_{name}{{service="{service}",episode="{self.episode}"}} {value}')
        return "\n".join(sorted(lines)) + "\n"


class Receiver:
    """Everything that was notified."""

    def __init__(self):
        self.notified = []
        self.lock = threading.Lock()

    def take(self, body):
        with self.lock:
            for alert in body["alerts"]:
                self.notified.append((time.time(), alert["status"], alert["labels"]))

    def since(self, start):
        with self.lock:
            return [told for told in self.notified if told[0] >= start]


def serve(exporter, receiver):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, text):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self):
            self.answer(exporter.text().encode())

        def do_POST(self):
            receiver.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b"")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
