//! Which workload a pod belongs to, as far as its name tells.

/// Letters and digits that Kubernetes makes names of: no vowels, and none that look alike.
const SAFE: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The name of the workload that a pod belongs to, guessed from how Kubernetes names pods:
/// `orders-9b649846d-bxqfc` (deployment), `agent-x7k2p` (daemon set, job), `pg-0` (stateful set).
/// `None` when the name has none of these forms.
#[must_use]
pub fn workload_of_pod(pod: &str) -> Option<&str> {
    if let Some((rest, end)) = pod.rsplit_once('-')
        && is_random(end)
    {
        let hash = rest.rsplit_once('-').filter(|(name, hash)| !name.is_empty() && is_hash(hash));
        return Some(hash.map_or(rest, |(name, _)| name)).filter(|name| !name.is_empty());
    }
    let (name, ordinal) = pod.rsplit_once('-')?;
    let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
    Some(name).filter(|name| is_ordinal && ordinal.len() <= 5 && !name.is_empty())
}

/// The end that Kubernetes makes up for a pod. Five digits may be, and are then no ordinal.
fn is_random(end: &str) -> bool {
    end.len() == 5
        && end.bytes().all(|b| SAFE.contains(&b))
        && end.bytes().any(|b| b.is_ascii_alphabetic())
}

/// The hash of a pod template, or the time in the name of a cron job's job.
fn is_hash(text: &str) -> bool {
    let safe = text.bytes().all(|b| SAFE.contains(&b) || b.is_ascii_digit());
    (6..=10).contains(&text.len()) && safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_makes_are_taken_apart() {
        for (pod, workload) in [
            ("orders-9b649846d-bxqfc", Some("orders")),
            ("orders-api-5c44f58f6c-cmctr", Some("orders-api")),
            ("node-exporter-x7k2p", Some("node-exporter")),
            ("backup-28394820-x7k2p", Some("backup")),
            ("pg-0", Some("pg")),
            ("web-5-7d9fb8c6f5-2xkq8", Some("web-5")),
            ("alertmanager-main-12", Some("alertmanager-main")),
            ("my-redis", None),
            ("orders", None),
            ("-bxqfc", None),
            ("etcd-ip-10-0-1-7", Some("etcd-ip-10-0-1")),
            ("", None),
        ] {
            assert_eq!(workload_of_pod(pod), workload, "{pod}");
        }
    }
}
