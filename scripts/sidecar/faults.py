"""One fault after the other, and what must hold while something is killed."""
import time

from .harness import Failed, await_that
from .service_graph import ROOT, SYMPTOMS
from .world import GROUP_WAIT, LIFE, seconds

WITHIN = 2.0  # seconds from the first alert to the right candidate


def roots(alerts):
    return sorted(a["labels"]["entity"] for a in alerts or []
                  if a["labels"]["alertname"] == "IncidentRootCause")


class Round:
    """One fault from its beginning to its end, with something killed at some point of it."""

    def __init__(self, world, name, victim=None, moment=None):
        self.world, self.name, self.victim, self.moment = world, name, victim, moment
        self.figures = {}

    def kill(self, moment):
        if self.victim is None or self.moment != moment:
            return
        self.victim.kill()
        # What it missed must be more than a blink: several evaluations and repeats.
        time.sleep(2)
        if self.victim is self.world.hypocenter:
            self.lives_since = time.time()
        self.victim.start()
        self.victim.await_ready()

    def run(self):
        world = self.world
        self.begun = self.lives_since = time.time()
        world.exporter.episode += 1
        self.kill("before")
        world.exporter.is_faulty = True
        at = self.fault_at = time.time()
        if self.moment == "beginning":
            await_that("a first alert", lambda: self.first_alert(at))
            self.kill("beginning")
        await_that("both Alertmanagers show the incident's alert alone",
                   lambda: all(roots(world.amtool(n)) == [ROOT] for n in (0, 1)), 30)
        self.figures["shown"] = time.time() - at
        self.check_candidate(at)
        self.check_standing("the fault stands", 1 if self.moment == "standing" else LIFE + 1)
        self.kill("standing")
        if self.moment == "standing":
            await_that("both Alertmanagers show the incident's alert again",
                       lambda: all(roots(world.amtool(n)) == [ROOT] for n in (0, 1)), 30)
            self.check_standing("it stands again", LIFE + 1)
        # Every group has had its first notification then, by either of the two: the second one lets
        # the first go ahead for a second (--cluster.peer-timeout).
        time.sleep(max(0.0, at + GROUP_WAIT + 4 - time.time()))
        self.check_notified()
        self.heal()
        return self.figures

    def first_alert(self, at):
        """Whether Hypocenter or, while it is down, an Alertmanager knows of a symptom."""
        return self.world.versions(at) or any(
            a["labels"].get("service") for a in self.world.amtool(0) or [])

    def check_candidate(self, at):
        """The candidate is right within 2 s of the first alert; of one that was killed meanwhile,
        within 2 s of the first alert that it saw again."""
        # The same incident may have records of both lives, under the same id.
        versions = self.world.versions(max(at, self.lives_since))
        incidents = {}
        for record in versions:
            incidents.setdefault(record["incident"], []).append(record)
        # The last to be told of that is not part of another one.
        last = [i for i in incidents.values() if i[-1]["phase"] != "merged"][-1]
        right = [r for r in last if r["root_cause"]["entity"] == ROOT]
        if not right:
            raise Failed(f"the candidate is {last[-1]['root_cause']['entity']}, not {ROOT}")
        # From when on it stays right.
        wrong = [n for n, r in enumerate(last) if r["root_cause"]["entity"] != ROOT]
        stays = last[wrong[-1] + 1 if wrong else 0]
        took = seconds(stays["updated"]) - seconds(last[0]["opened"])
        self.figures["candidate"] = took
        if took > WITHIN:
            raise Failed(f"the right candidate took {took:.2f} s")
        for record in last[-1:]:
            if record["root_cause"]["low_confidence"]:
                raise Failed("the confidence is low")
        self.figures["confidence"] = last[-1]["root_cause"]["confidence"]

    def check_standing(self, what, lasts):
        """One open incident that has all alerting services, and symptoms inhibited."""
        def is_so():
            latest = {r["incident"]: r for r in self.world.versions(self.begun)}
            # A Hypocenter that was killed leaves the records of its incidents as they were.
            is_open = [r for r in latest.values() if r["phase"] in ("open", "settled")
                       and seconds(r["updated"]) >= self.lives_since]
            return len(is_open) == 1 and all(
                self.inhibited(n) == SYMPTOMS for n in (0, 1)
            ) and set(is_open[0]["impact"]["affected"]) == SYMPTOMS | {ROOT}

        await_that(f"{what}: one incident of all, and its symptoms inhibited", is_so, 30)
        # Longer than an alert lives that nobody repeats.
        until = time.time() + lasts
        while time.time() < until:
            for number in (0, 1):
                if roots(self.world.amtool(number)) != [ROOT]:
                    raise Failed(f"{what}: Alertmanager {number} shows "
                                 f"{roots(self.world.amtool(number))}")
            time.sleep(0.5)

    def inhibited(self, number):
        found = set()
        for alert in self.world.amtool(number, "--inhibited") or []:
            if alert["status"]["inhibitedBy"]:
                found.add(alert["labels"]["service"])
        return found

    def check_notified(self):
        told = self.world.receiver.since(self.begun)
        names = [(l["alertname"], l.get("entity", l.get("service"))) for _, _, l in told]
        strangers = [f"{name} of {entity} ({status}) {at - self.fault_at:.1f} s after the fault"
                     for (at, status, _), (name, entity) in zip(told, names)
                     if entity != ROOT or name == "IncidentMember"]
        if strangers:
            raise Failed(f"people were notified of symptoms: {'; '.join(strangers)}")
        for wanted in ("IncidentRootCause", "ConnectionPoolExhausted"):
            if (wanted, ROOT) not in names:
                raise Failed(f"people were not notified of {wanted}")
        self.figures["notified"] = len(told)

    def heal(self):
        world = self.world
        world.exporter.is_faulty = False
        at = time.time()
        is_quiet = lambda n: {a["labels"]["alertname"] for a in world.amtool(n) or [{"labels": {
            "alertname": "no answer"}}]} <= {"Watchdog"}
        await_that("nothing but Watchdog in both Alertmanagers",
                   lambda: all(is_quiet(n) for n in (0, 1)), 40)
        await_that("the incident is resolved",
                   lambda: any(r["phase"] == "resolved" for r in world.versions(at)))
        await_that("people were told that it is over", lambda: any(
            status == "resolved" and l["alertname"] == "IncidentRootCause"
            for _, status, l in world.receiver.since(at)))
        self.check_notified()
        self.figures["over"] = time.time() - at
        # What a group still has to say must not be taken for the next round's.
        time.sleep(3)


def rounds(world, full):
    yield Round(world, "undisturbed")
    victims = [world.prometheus[0], world.alertmanagers[0], world.hypocenter]
    moments = ["beginning", "standing"]
    if full:
        victims = world.all
        moments = ["before", *moments]
    for moment in moments:
        for victim in victims:
            yield Round(world, f"{victim.name} killed, {moment}", victim, moment)
