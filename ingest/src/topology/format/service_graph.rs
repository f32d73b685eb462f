//! Service graphs of OpenTelemetry's connector and of Tempo, by way of Prometheus.

use hypocenter_engine::{EdgeKind, EntityKind};

use super::{Draft, FormatError, vector};
use crate::topology::layer::is_placeholder;

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), FormatError> {
    for sample in vector::read(bytes)? {
        if !sample.flows() {
            draft.skipped.idle += 1;
            continue;
        }
        let namespace = |end: &str| {
            let names = ["service_namespace", "k8s_namespace_name", "namespace"];
            let found = names.iter().map(|name| sample.get(&format!("{end}_{name}")));
            found.into_iter().find(|found| !found.is_empty()).unwrap_or_default().to_owned()
        };
        let connection = sample.get("connection_type");
        let is_client =
            sample.get("virtual_node") == "client" || is_placeholder(sample.get("client"));
        let kind = match connection {
            "database" => Some(EntityKind::Database),
            // Who sends no spans of its own is outside, as far as is known; unless it is the caller.
            "virtual_node" if !is_client => Some(EntityKind::External),
            _ => None,
        };
        let client = draft.peer(("", &namespace("client")), sample.get("client"), None);
        // A database's or stranger's name is an address or its own, and holds everywhere.
        let server = draft.peer(("", &namespace("server")), sample.get("server"), kind);
        match connection {
            "database" => draft.edge(client, server, EdgeKind::StoresIn),
            // The consumer waits for what the producer sends.
            "messaging_system" => draft.edge(server, client, EdgeKind::Calls),
            _ => draft.edge(client, server, EdgeKind::Calls),
        }
    }
    Ok(())
}
