"""A driver that posts bodies of alerts on one connection, and what it costs a process."""
import json
import os
import socket
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from .harness import Failed, Process, await_that, fetch, free_ports

ALERTS = 10_000  # distinct ones, which are posted again and again, as Prometheus does


def alert(number, begun):
    """One alert as large as they are."""
    return {
        "labels": {
            "alertname": "HighErrorRate", "service": f"svc{number % 200}",
            "instance": f"10.0.{number // 250}.{number % 250}:9100", "cluster": "c1",
            "namespace": f"ns{number % 20}", "severity": "critical", "job": f"job{number % 10}",
            "pod": f"pod-{number}-abcdef",
        },
        "annotations": {
            "summary": f"error rate is high on svc{number % 200} for a while now",
            "description": "The error rate of this service is above five per cent, see the runbook "
                           "for what to do about it.",
        },
        "startsAt": begun.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "endsAt": (begun + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "generatorURL": "http://prometheus:9090/graph?g0.expr=rate%28x%5B5m%5D%29",
    }


def requests(size):
    """All alerts in requests of this many, as bytes."""
    begun = datetime.now(timezone.utc)
    made = []
    for first in range(0, ALERTS, size):
        alerts = [alert(n, begun) for n in range(first, first + size)]
        # Sorted and without white space, as Prometheus writes it.
        body = json.dumps(alerts, sort_keys=True, separators=(",", ":")).encode()
        head = (f"POST /api/v2/alerts HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        made.append(head.encode() + body)
    return made


class Sender:
    """One connection, one request at a time."""

    def __init__(self, port):
        self.port = port
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request):
        """The status, and the seconds to its last byte."""
        began = time.perf_counter()
        self.socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.receive()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(l.split(b":")[1]) for l in lines if l.startswith(b"content-length")), 0)
        while len(body) < length:
            body += self.receive()
        took = time.perf_counter() - began
        if b"connection: close" in lines:
            self.socket.close()
            self.connect()
        return int(head.split(b" ")[1]), took

    def receive(self):
        part = self.socket.recv(65_536)
        if not part:
            raise Failed("the connection was closed without an answer")
        return part


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(l.split()[1]) << 10 for l in lines if l.startswith("VmRSS:"))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Hypocenter:
    def __init__(self, name, binary, folder, output):
        self.intake, web = free_ports(2)
        self.web = f"http://127.0.0.1:{web}"
        (folder / f"{name}.yml").write_text(
            f"input: {{type: http, listen_address: '127.0.0.1:{self.intake}'}}\n"
            f"web: {{listen_address: '127.0.0.1:{web}'}}\n"
            f"outputs: [{output}]\n")
        self.process = Process(name, [binary, "run", f"--config.file={name}.yml"], folder,
                                   f"{self.web}/-/ready")

    def metric(self, name):
        text = fetch(f"{self.web}/metrics") or ""
        values = [l.rsplit(" ", 1)[1] for l in text.splitlines() if l.startswith(f"{name} ")]
        if not values:
            raise Failed(f"{name} is not in /metrics")
        return float(values[0])

    def await_decided(self, seconds=60):
        await_that("everything accepted is decided",
                       lambda: self.metric("hypocenter_http_queue_bodies") == 0, seconds)


def make_alertmanager(folder):
    port = free_ports(1)[0]
    # No member of a cluster: no gossip costs it anything.
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: nobody, group_by: [cluster]}\nreceivers: [{name: nobody}]\n")
    process = Process("alertmanager", [
        "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alertmanager",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn",
    ], folder, f"http://127.0.0.1:{port}/-/ready")
    return process, port
