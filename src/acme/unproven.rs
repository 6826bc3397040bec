//! Names whose proof failed.

use std::fmt;

use crate::acme::refusal::Refusal;
use crate::model::name::Identifier;

/// Names whose proof the CA did not accept.
#[derive(Clone, Debug)]
pub(crate) struct Unproven {
    /// Each name with what the CA says about it, in the order's sequence.
    pub(crate) names: Vec<(Identifier, Refusal)>,
}

impl std::error::Error for Unproven {}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the CA did not accept the proof for ")?;
        for (number, (name, refusal)) in self.names.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}`{name}`: {refusal}")?;
        }
        Ok(())
    }
}
