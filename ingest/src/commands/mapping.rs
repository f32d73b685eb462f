//! `mapping test` and `mapping suggest`: which entity alerts are about.

pub mod suggest;
pub mod test;

use hypocenter_engine::{LabelError, LabelLimits, Labels};

/// The labels of one alert, of its own.
pub(crate) type Pairs = Vec<(String, String)>;

/// Looks at labels in their canonical form.
///
/// # Errors
/// What is wrong with them.
fn canonical<R>(
    pairs: &Pairs,
    limits: &LabelLimits,
    look: impl FnOnce(Labels<'_>) -> R,
) -> Result<R, LabelError> {
    let mut borrowed: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(look(Labels::canonical(&mut borrowed, limits)?))
}
