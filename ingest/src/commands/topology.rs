//! `topology`: graphs in any format, looked at, merged, compared, and written for others.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Exit, Failure, print};
use crate::cli::{ImportArgs, MergeArgs, PlacesArgs, TopologyCommand, TopologyFormat};
use crate::clock;
use crate::topology::merge::{Difference, builder};
use crate::topology::source::{From, SourceSpec, read_file};
use crate::topology::{Format, Layer, Layers, Merged, Places, detect, export};
use crate::topology_file::findings;

/// Does what was asked for.
///
/// # Errors
/// [`Failure`] with the exit code.
pub fn topology(command: &TopologyCommand) -> Result<(), Failure> {
    match command {
        TopologyCommand::Lint(args) => lint(&args.files, &args.places),
        TopologyCommand::Merge(args) => merge(args),
        TopologyCommand::Export(args) => {
            let (_, layer) = load(&args.file, &args.places)?;
            print(&written(&layer, args.format))
        }
        TopologyCommand::Diff(args) => {
            let [a, b] = [&args.a, &args.b].map(|file| load(file, &args.places));
            let difference = Difference::between(&a?.1, &b?.1);
            print(&difference.to_string())?;
            match difference.is_empty() {
                true => Ok(()),
                false => Err(Failure::new(Exit::Gate, "the graphs differ")),
            }
        }
        TopologyCommand::Import(args) => import(args),
    }
}

fn written(layer: &Layer, format: TopologyFormat) -> String {
    match format {
        TopologyFormat::Json => export::json(layer),
        TopologyFormat::Dot => export::dot(layer),
        TopologyFormat::Mermaid => export::mermaid(layer),
    }
}

fn places(args: &PlacesArgs) -> Places {
    Places {
        cluster: args.cluster.clone(),
        namespace: args.namespace.clone(),
        clusters: args.clusters,
    }
}

/// Reads a file, `-`, or `FORMAT:FILE` where its format cannot be told.
fn load(file: &Path, args: &PlacesArgs) -> Result<(Format, Layer), Failure> {
    let text = file.to_string_lossy();
    let named = text.split_once(':').and_then(|(name, rest)| Some((Format::named(name)?, rest)));
    let (format, path) = match named {
        Some((format, rest)) => (Some(format), PathBuf::from(rest)),
        None => (None, file.to_owned()),
    };
    let shown = path.display();
    let bytes =
        read_file(&path).map_err(|what| Failure::new(Exit::Invalid, format!("{shown}: {what}")))?;
    let format = format.or_else(|| detect(&text, &bytes)).ok_or_else(|| {
        let known = Format::ALL.map(Format::name).join(", ");
        let what = "is in no format that is known; name it, as in jaeger:FILE; there are";
        Failure::new(Exit::Invalid, format!("{shown}: {what} {known}"))
    })?;
    let layer = format.read(&bytes, &places(args)).map_err(|error| {
        Failure::new(Exit::Invalid, format!("{shown}: as {}: {error}", format.name()))
    })?;
    Ok((format, layer))
}

fn lint(files: &[PathBuf], args: &PlacesArgs) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for file in files {
        let name = file.display();
        match load(file, args) {
            Ok((format, layer)) => {
                let (graph, report) = builder(&layer).build();
                let mut text = format!(
                    "{name}: {}, {} entities, {} dependencies, version {:016x}\n",
                    format.name(),
                    graph.len(),
                    graph.edges(),
                    graph.version()
                );
                if layer.skipped.all() > 0 {
                    text.push_str(&format!("  note: left out: {}\n", layer.skipped));
                }
                text.push_str(&findings(&report, &graph));
                print(&text)?;
            }
            Err(failure) => errors.push(failure.to_string()),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::new(Exit::Invalid, errors.join("\n"))) }
}

fn merge(args: &MergeArgs) -> Result<(), Failure> {
    let mut layers = Layers::default();
    for file in &args.files {
        let (_, layer) = load(file, &args.places)?;
        let name = file.display().to_string();
        layers.update(&name, layer, crate::topology::merge::Trust::default(), 0).map_err(
            |refusal| Failure::new(Exit::Usage, format!("{name} is named twice: {refusal}")),
        )?;
    }
    let merged = layers.merged();
    tell(&merged);
    print(&written(&merged.layer, args.format))
}

/// What was found when layers were merged, for people.
fn tell(merged: &Merged) {
    for (name, several) in &merged.ambiguous {
        let several: Vec<&str> = several.iter().map(|name| &**name).collect();
        eprintln!("note: {name} may be any of {}: kept apart", several.join(", "));
    }
    for (service, workload) in &merged.by_name {
        eprintln!("note: {service} runs on {workload}, by its name alone");
    }
}

fn import(args: &ImportArgs) -> Result<(), Failure> {
    let unknown = || {
        let known = Format::ALL.map(Format::name).join(", ");
        Failure::new(Exit::Usage, format!("unknown source {:?}; there are {known}", args.source))
    };
    let format = Format::named(&args.source).ok_or_else(unknown)?;
    let from = match (&args.url, &args.file) {
        (Some(url), _) => From::Url(url.clone()),
        (None, Some(file)) => From::File(file.clone()),
        (None, None) => From::File("-".into()),
    };
    let mut spec = SourceSpec::new(format, from);
    spec.queries.clone_from(&args.query);
    spec.namespaces.clone_from(&args.namespaces);
    spec.places = places(&args.places);
    if let Some(lookback) = args.lookback {
        spec.lookback = lookback;
    }
    if let Some(file) = &args.http_config_file {
        spec.http = crate::config::HttpConfig::load(file)?;
    }
    let unavailable = |what: String| {
        Failure::new(Exit::Unavailable, format!("{} at {}: {what}", format.name(), spec.place()))
    };
    let client = spec.client().map_err(unavailable)?;
    let now = clock::wall().as_millis();
    let layer = spec.fetch(client.as_ref(), now).map_err(unavailable)?;
    if layer.skipped.all() > 0 {
        eprintln!("note: left out: {}", layer.skipped);
    }
    let text = export::json(&layer);
    let Some(file) = &args.output else {
        return print(&text);
    };
    if !args.force {
        check_shrink(file, &layer)?;
    }
    let failed =
        |error: std::io::Error| Failure::new(Exit::Runtime, format!("{}: {error}", file.display()));
    let new = file.with_extension("new");
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, file)).map_err(failed)
}

/// A file with a graph is not replaced by one that is half empty.
fn check_shrink(file: &Path, layer: &Layer) -> Result<(), Failure> {
    let before = match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Failure::new(Exit::Runtime, format!("{}: {error}", file.display())));
        }
        Ok(bytes) => bytes,
    };
    let wrong = |error| Failure::new(Exit::Invalid, format!("{}: {error}", file.display()));
    let before = Format::Native.read(&before, &Places::default()).map_err(wrong)?;
    let trust = crate::topology::merge::Trust::default();
    let mut layers = Layers::default();
    let kept = layers.update("file", before, trust, 0);
    kept.and_then(|()| layers.update("file", layer.clone(), trust, 1)).map_err(|refusal| {
        let what = refusal.to_string().replace("raise max_shrink", "use --force");
        Failure::new(Exit::Gate, format!("{}: {what}", file.display()))
    })
}
