//! Who holds which texts, counted anew.

use super::Engine;
use crate::subject::Subject;
use crate::symbol::Symbol;

/// How often each text is held, by the number of its symbol.
pub(crate) struct Holders(pub(crate) Vec<u32>);

impl Holders {
    /// What the tables of an engine hold.
    ///
    /// # Errors
    /// When one of them names a text that is not there.
    pub(crate) fn of(engine: &Engine) -> Result<Self, &'static str> {
        let mut holders = Self(vec![0; engine.world.symbols.slots() as usize]);
        for (_, alert) in engine.alerts.iter() {
            holders.subject(&alert.subject)?;
            holders.hold(alert.tenant)?;
        }
        for incident in engine.incidents.iter() {
            for member in &incident.members {
                holders.subject(&member.subject)?;
            }
            holders.hold(incident.tenant)?;
        }
        Ok(holders)
    }

    fn subject(&mut self, subject: &Subject) -> Result<(), &'static str> {
        subject.symbols().try_for_each(|text| self.hold(text))
    }

    fn hold(&mut self, text: Symbol) -> Result<(), &'static str> {
        let count = self.0.get_mut(text.index() as usize).ok_or("a text is in the table")?;
        *count += 1;
        Ok(())
    }
}
