//! Asks before something that cannot be undone.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result, anyhow};

use crate::model::hint::Hint;
use crate::nightly::stop::Stop;
use crate::nightly::workspaces::blocking;
use crate::report::tame::tame;

/// Goes on with `--yes`, or when `yes` is typed at a terminal. `what` says what cannot be undone.
pub(super) async fn confirm(what: String, yes: bool, stop: &Stop) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(anyhow!("{what}")).hint(|| "run it with `--yes` where nobody can be asked");
    }
    let ask = blocking(move || {
        // Nobody is left to ask when stderr is closed.
        let _ = writeln!(std::io::stderr(), "{}\ntype `yes` to go on:", tame(&what));
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .context("cannot read the answer")?;
        Ok(answer)
    });
    let answer = stop.ends(ask).await?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        Ok(())
    } else {
        Err(anyhow!("nothing was done: the answer was not `yes`"))
    }
}
