use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::*;
use crate::cli::CommonArgs;
use crate::clock;
use crate::metrics::Exposition;
use crate::outbox::Outbox;
use crate::pipeline::{Pipeline, remote};
use crate::source::http::{HttpSource, Queue, QueueLimits};

const GOOD: &str = "topology: {file: t.yml}\noutputs: [{type: webhook, url: 'https://h/a'}]\n";

/// A reloader of a running pipeline, whose input stays open.
struct World {
    dir: tempfile::TempDir,
    reloader: Arc<Reloader>,
    metrics: Metrics,
    stop: Arc<AtomicBool>,
    pipeline: Option<JoinHandle<()>>,
}

impl World {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text);
        write("c.yml", GOOD).expect("written");
        write("t.yml", "edges: [{from: a, to: b}]\n").expect("written");
        let config_file = Some(dir.path().join("c.yml"));
        let common = CommonArgs { config_file, ..CommonArgs::default() };
        let args = RunArgs { common, ..RunArgs::default() };
        let metrics = Metrics::default();
        let reloader = Reloader::new(&args, &metrics, SetLevel::default());
        assert!(reloader.reload().is_err(), "nothing runs yet");
        let config = Reloader::load(&args).expect("valid");
        let topology = check(&config, &Topology::empty()).expect("valid");
        let setup = super::super::run::setup_with(&config, topology);
        super::super::run::describe(&metrics, &setup);
        let (remote, changes) = remote();
        reloader.runs(&config, &setup, remote, None, None).expect("nobody is asked for rules");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shown) = (Arc::clone(&stop), metrics.clone());
        let pipeline = std::thread::spawn(move || {
            let mut source = HttpSource::new(Queue::new(QueueLimits::default(), clock::wall));
            let pipeline = Pipeline::new(setup, Outbox::new(Vec::new()), shown);
            pipeline.with_changes(changes).run(&mut source, &stopped).expect("it drains");
        });
        Self { dir, reloader, metrics, stop, pipeline: Some(pipeline) }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("written");
    }

    fn was_good(&self) -> bool {
        let text = self.metrics.render(Exposition::Text);
        text.contains("\nhypocenter_config_last_reload_successful 1\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.pipeline.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()));
    }
}

#[test]
fn what_is_wrong_or_cannot_be_exchanged_leaves_the_old_one_in_force() {
    let world = World::start();
    assert_eq!(world.reloader.reload(), Ok(()));
    assert!(world.was_good());
    let with = |line: &str| format!("{GOOD}{line}\n");
    for (name, text, told) in [
        ("c.yml", "outputs: 1\nnonsense: 1\n".to_owned(), &["nonsense", "outputs"][..]),
        ("c.yml", "web: {listen_address: ':1'}\n".to_owned(), &["without authentication"]),
        ("c.yml", with("web: {listen_address: 127.0.0.1:1}"), &["restart", "web (addresses"]),
        (
            "c.yml",
            with("input: {type: kafka, brokers: ['h:1'], topics: [t]}"),
            &["restart", "input ("],
        ),
        ("c.yml", with("times: {settle_for: 9m}"), &["restart", "times, grouping"]),
        ("c.yml", with("log: {format: json}"), &["restart", "log.format"]),
        (
            "c.yml",
            GOOD.replace(
                "'https://h/a'",
                "'https://h/a', http_config: {tls_config: {ca_file: no.pem}}",
            ),
            &["outputs[0]", "no.pem"],
        ),
        ("t.yml", "edges: 1\n".to_owned(), &["t.yml:1:8"]),
    ] {
        world.write("c.yml", GOOD);
        world.write("t.yml", "edges: [{from: a, to: b}]\n");
        world.write(name, &text);
        let what = world.reloader.reload().expect_err(&text);
        told.iter().for_each(|told| assert!(what.contains(told), "{told}: {what}"));
        assert!(!world.was_good(), "{what}");
    }
    // All that is wrong is told at once.
    world.write("c.yml", &with("web: {listen_address: ':1'}"));
    let what = world.reloader.reload().expect_err("both are wrong");
    assert!(what.contains("without authentication") && what.contains("t.yml:1:8"), "{what}");
    world.write("c.yml", GOOD);
    world.write("t.yml", "edges: [{from: a, to: b}]\n");
    assert_eq!(world.reloader.reload(), Ok(()), "all as before");
    assert!(world.was_good());
}

#[test]
fn what_can_be_exchanged_is_in_force_at_once() {
    let world = World::start();
    let version = |world: &World| {
        let text = world.metrics.render(Exposition::Text);
        let lines = text.lines().filter(|line| {
            line.starts_with("hypocenter_topology_") || line.starts_with("hypocenter_policy_info")
        });
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = version(&world);
    world.write("t.yml", "edges: [{from: a, to: b}, {from: b, to: c}]\n");
    assert_eq!(world.reloader.reload(), Ok(()));
    let with_c = version(&world);
    assert!(with_c.contains(&"hypocenter_topology_dependencies 2".to_owned()), "{with_c:?}");
    world.write("t.yml", "edges: [{from: a, to: b}]\n");
    assert_eq!(world.reloader.reload(), Ok(()));
    assert_eq!(version(&world), before, "an equal graph has an equal version");
    let mapping = "mapping: {rules: [{name: pod, match_any: [pod], to: '${value}'}]}\n\
                   outputs: [{type: file, path: out.jsonl}]\nlog: {level: debug}\n";
    world.write("c.yml", mapping);
    assert_eq!(world.reloader.reload(), Ok(()));
    assert_ne!(version(&world), before);
    assert!(world.dir.path().join("out.jsonl").exists());
    let text = world.metrics.render(Exposition::Text);
    assert!(text.contains("sink=\"file\""), "{text}");
    assert!(!text.contains("sink=\"webhook\""), "{text}");
    // An output that cannot be had: the old one goes on.
    world.write("c.yml", &mapping.replace("out.jsonl", "missing/out.jsonl"));
    let what = world.reloader.reload().expect_err("there is no such directory");
    assert!(what.contains("its directory does not exist"), "{what}");
    assert!(world.metrics.render(Exposition::Text).contains("sink=\"file\""));
}
