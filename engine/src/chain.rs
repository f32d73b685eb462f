//! Whether the way from an alert down to a root is attested. Trouble does not jump: what it passes
//! through mostly alerts as well, so an alert three dependencies away with nobody in between is
//! rather a coincidence.

use crate::model::{Entity, Link, Model};

/// The entities below one that alert as well, nearest first, with their distance.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    loud: Vec<(Entity, u8)>,
}

impl Chain {
    /// Of all that could explain an alert.
    pub(crate) fn of_links(links: &[Link], alerts: impl Fn(Entity) -> bool) -> Self {
        let below = links.iter().map(|link| (link.root, link.hops));
        Self { loud: below.filter(|&(entity, hops)| hops > 0 && alerts(entity)).collect() }
    }

    /// How many entities are silent on the way to `root`, `hops` below, until one alerts: what lies
    /// beyond that one is its matter.
    pub(crate) fn silent(&self, model: Model<'_>, root: Entity, hops: u8) -> u8 {
        let leads = |&&(entity, at): &&(Entity, u8)| {
            at < hops
                && entity.node().zip(root.node()).is_some_and(|(entity, root)| {
                    model.walks.hops(entity, root).is_some_and(|further| further <= hops - at)
                })
        };
        let nearest = self.loud.iter().find(leads).map_or(hops, |&(_, at)| at);
        nearest.saturating_sub(1)
    }
}
