"""Processes of ours on ports that are free, and waiting for what they do."""
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


class Failed(Exception):
    pass


def free_ports(number):
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Process:
    """One process of ours, by its pid."""

    def __init__(self, name, command, folder, ready):
        self.name, self.command, self.folder, self.ready = name, command, folder, ready
        self.log = folder / f"{name}.log"
        self.child = None

    def start(self):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(self.command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=subprocess.STDOUT)

    def await_ready(self):
        def is_ready():
            if self.child.poll() is not None:
                raise Failed(f"{self.name} ended with {self.child.returncode}")
            return fetch(self.ready) is not None

        await_that(f"{self.name} is ready", is_ready, 30)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        if self.child is None or self.child.poll() is not None:
            return None
        self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            return None


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return answer.read().decode()
    except (OSError, urllib.error.URLError):
        return None


def await_that(what, is_so, seconds=20.0):
    deadline = time.time() + seconds
    while True:
        found = is_so()
        if found:
            return found
        if time.time() > deadline:
            raise Failed(f"within {seconds:g} s: {what}")
        time.sleep(0.05)
