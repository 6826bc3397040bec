//! What a script could do if it broke out of the engine: write no file and start no program.
//!
//! Reading stays, as scripts read files of the DNS repository.

use crate::model::confinement::{Confinement, write_nothing};

/// Takes from this thread, for good, the right to write files and to start programs. Says what came of it.
pub(super) fn confine() -> String {
    match write_nothing() {
        Ok(confinement) => told(confinement).to_owned(),
        // Some sandboxes forbid it; the engine keeps scripts in without it.
        Err(error) => format!("the script engine is not confined: {error}"),
    }
}

fn told(confinement: Confinement) -> &'static str {
    match confinement {
        Confinement::Full => "the script engine can write no file and start no program (Landlock)",
        Confinement::Partial => {
            "the script engine can start no program and hardly write a file (Landlock of an old kernel)"
        }
        Confinement::None => {
            "the system has no Landlock: nothing but the script engine keeps scripts in"
        }
    }
}
