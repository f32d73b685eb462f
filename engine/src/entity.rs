//! What sort of thing an entity is, and what it is called.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

/// What sort of thing an entity is.
///
/// The full name of a typed entity begins with its kind, as in `pod/shop/orders-0`: kind, then the
/// cluster and the namespace as far as they are known, then the name. A name that begins otherwise
/// is a service's.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    BorshDeserialize,
    BorshSerialize,
)]
pub enum EntityKind {
    /// What others call: the logical service.
    #[default]
    Service,
    /// What runs it: a deployment, stateful set, daemon set, job or the like.
    Workload,
    /// One running copy of a workload.
    Pod,
    /// A machine, physical or virtual.
    Node,
    /// Where machines stand that may fail together.
    Zone,
    /// A cluster as a whole.
    Cluster,
    /// Stores data by itself.
    Database,
    /// Hands messages on.
    Queue,
    /// A disk, or a claim to one.
    Volume,
    /// A part of a cluster that is administered as one.
    Namespace,
    /// Run by somebody else.
    External,
}

impl EntityKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Service,
        Self::Workload,
        Self::Pod,
        Self::Node,
        Self::Zone,
        Self::Cluster,
        Self::Database,
        Self::Queue,
        Self::Volume,
        Self::Namespace,
        Self::External,
    ];

    /// Name in records, in configuration, and before the name of an entity.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Workload => "workload",
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Cluster => "cluster",
            Self::Database => "database",
            Self::Queue => "queue",
            Self::Volume => "volume",
            Self::Namespace => "namespace",
            Self::External => "external",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind that the full name of an entity begins with, and the rest of the name; `None` when
    /// it begins with none.
    #[must_use]
    pub fn prefix(name: &str) -> Option<(Self, &str)> {
        let (kind, rest) = name.split_once('/')?;
        Some((Self::named(kind)?, rest)).filter(|_| !rest.is_empty())
    }

    /// The kind of an entity by its full name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self::prefix(name).map_or(Self::Service, |(kind, _)| kind)
    }

    /// Whether it is something on which many workloads run side by side, related or not.
    #[must_use]
    pub const fn is_host(self) -> bool {
        matches!(self, Self::Node | Self::Zone | Self::Cluster)
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an entity is called: its kind, where its name holds, and the name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntityName {
    /// Its kind.
    pub kind: EntityKind,
    /// Cluster and namespace as far as they are known, as in `east/shop`; may be empty.
    pub scope: String,
    /// Its name within these.
    pub name: String,
}

impl EntityName {
    /// Takes a full name apart. What stands before the last slash is the scope.
    #[must_use]
    pub fn parse(full: &str) -> Self {
        let (kind, rest) = EntityKind::prefix(full).unwrap_or((EntityKind::Service, full));
        let (scope, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        Self { kind, scope: scope.to_owned(), name: name.to_owned() }
    }

    /// The last part of the scope, which is the namespace where there is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let last = self.scope.rsplit('/').next()?;
        Some(last).filter(|last| !last.is_empty() && *last != "-")
    }
}

impl fmt::Display for EntityName {
    /// The full name. That of a service without scope is its plain name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, scope, name } = self;
        let plain = *kind == EntityKind::Service && EntityKind::prefix(name).is_none();
        match (scope.as_str(), plain) {
            ("", true) => f.write_str(name),
            ("", false) => write!(f, "{kind}/{name}"),
            (scope, _) => write!(f, "{kind}/{scope}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_begins_with_its_kind() {
        for kind in EntityKind::ALL {
            assert_eq!(EntityKind::named(kind.name()), Some(kind));
            assert_eq!(EntityKind::prefix(&format!("{kind}/a/b")), Some((kind, "a/b")));
        }
        for plain in ["orders", "pods/a", "pod/", "pod", "a/b", "/pod/a", ""] {
            assert_eq!(EntityKind::prefix(plain), None, "{plain:?}");
            assert_eq!(EntityKind::of(plain), EntityKind::Service);
        }
    }

    #[test]
    fn full_names_are_taken_apart_and_put_together() {
        let table = [
            ("orders", EntityKind::Service, "", "orders"),
            ("service/shop/orders", EntityKind::Service, "shop", "orders"),
            ("pod/east/shop/orders-0", EntityKind::Pod, "east/shop", "orders-0"),
            ("node/w1", EntityKind::Node, "", "w1"),
        ];
        for (full, kind, scope, name) in table {
            let parsed = EntityName::parse(full);
            assert_eq!((parsed.kind, &*parsed.scope, &*parsed.name), (kind, scope, name));
            assert_eq!(parsed.to_string(), full);
        }
        let odd = EntityName { name: "pod/x".to_owned(), ..EntityName::default() };
        assert_eq!(odd.to_string(), "service/pod/x", "no service is taken for a pod");
        assert_eq!(EntityName::parse("pod/east/-/x").namespace(), None);
        assert_eq!(EntityName::parse("pod/east/shop/x").namespace(), Some("shop"));
    }
}
