//! `completions` and `man`: what shells and `man` want to know of the command line.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::cli::arguments::Arguments;
use crate::model::hint::Hint;
use crate::model::outside::outside;
use crate::repo::files::{READABLE, replace};
use crate::report::terminal;

/// `completions`
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// `man`
#[derive(Args, Debug)]
pub(super) struct Man {
    /// Folder for the pages, which has to be there
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
}

/// Prints a script that completes words for a shell.
pub(super) fn completions(arguments: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    let mut command = Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "git-certs", &mut script);
    let script = String::from_utf8(script)?;
    // clap_complete 4.6 takes the hyphen in our name for the end of a command's name here and there.
    terminal::print(&script.replace("git__subcmd__certs", "git__certs"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a manual page for the program, and for each command.
pub(super) fn man(arguments: Man) -> Result<ExitCode> {
    let Man { dir } = arguments;
    let pages = pages()?;
    let folder = dir.clone();
    let written = outside(move || {
        if !folder.is_dir() {
            let error = Error::new(ErrorKind::NotADirectory, "it is not a folder");
            return Err(error.into());
        }
        let mut pages = pages.iter();
        pages.try_for_each(|(name, page)| replace(&folder.join(name), page, READABLE))
    });
    written?
        .with_context(|| format!("cannot write manual pages to `{}`", dir.display()))
        .hint(|| "make the folder first; `man` finds pages in `~/.local/share/man/man1`")?;
    Ok(ExitCode::SUCCESS)
}

/// Every page, by the name of its file: `git-certs.1`, `git-certs-renew.1` and so on.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut command = Arguments::command();
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    pages.push((page.get_filename(), text));
    let below = command.get_subcommands();
    let mut below = below.filter(|below| below.get_name() != "help");
    below.try_for_each(|below| add(below, pages))
}
