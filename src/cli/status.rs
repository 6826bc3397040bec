//! `status`: how the certificates are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use time::OffsetDateTime;

use crate::cli::commands::{SOME_FAILED, open_status};
use crate::cli::keys::{KeyPlace, certificate};
use crate::cli::settings::whole;
use crate::cli::vault::InVault;
use crate::model::outside::outside;
use crate::model::status;
use crate::nightly::status::Look;
use crate::nightly::stop::Stop;
use crate::repo::files;
use crate::report::progress::Progress;
use crate::report::status::{html, json, junit, markdown, prometheus, text};
use crate::report::terminal;

/// `status`
#[derive(Args, Debug)]
pub(super) struct Status {
    /// Only these certificates [default: those of certs.json, and those that the repository has besides]
    #[arg(value_name = "CERT_NAME")]
    names: Vec<String>,

    /// Connect to the names, or to `endpoints` in certs.json, and say which servers still show an older certificate; exit
    /// with 1 if one that is listed does not show the certificate of the repository, or cannot be reached
    #[arg(long)]
    live: bool,

    /// Exit with 1 if a certificate cannot be used, or expires within so many days
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = whole::<u32>)]
    fail_within: Option<u32>,

    /// Form of what goes to stdout
    #[arg(long, env = "GIT_CERTS_FORMAT", value_enum, default_value_t = StatusFormat::Text)]
    format: StatusFormat,

    /// Write it to this file instead, whose folder is made if it is missing: whoever reads it sees the old one or the new one
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,

    /// Count as due what has fewer than DAYS left, as `renew` does with this
    #[arg(long, env = "GIT_CERTS_RENEW", value_name = "DAYS", allow_negative_numbers = true, value_parser = whole::<u32>)]
    renew: Option<u32>,

    /// Recursive resolvers that find the addresses of names [default: /etc/resolv.conf]
    #[arg(
        long,
        env = "GIT_CERTS_RESOLVER",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    resolver: Option<Vec<String>>,

    #[command(flatten)]
    pub(super) place: KeyPlace,

    #[command(flatten)]
    vault: InVault,
}

/// Form of the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusFormat {
    /// A table for people
    Text,
    /// Data, as docs/json.md says
    Json,
    /// A page for the summary of a job, or a wiki
    Markdown,
    /// A page in one file, such as for GitHub Pages
    Html,
    /// Metrics for the textfile collector of the node exporter
    Prometheus,
    /// A test report: a case a certificate
    Junit,
}

/// Runs the command.
pub(super) async fn run(arguments: Status, temporary: &Path) -> Result<ExitCode> {
    let names = arguments.names.iter();
    let names = names.map(|name| certificate(name, "status"));
    let names = names.collect::<Result<_>>()?;
    let stop = Stop::on_signals()?;
    let progress = Progress::new();
    let mut run = arguments.place.run_with(arguments.vault);
    run.settings.renew = arguments.renew;
    run.settings.resolver = arguments.resolver;
    let opened = open_status(&run, temporary, &progress);
    let (workspaces, job) = stop.ends(opened).await?;
    let look = Look {
        workspaces: &workspaces,
        progress: &progress,
        job: Arc::new(job),
        now: OffsetDateTime::now_utc(),
    };
    let status = if arguments.live {
        stop.ends(look.live(&names)).await?
    } else {
        stop.ends(look.status(&names)).await?
    };
    let within = arguments.fail_within;
    let page = page(&status, arguments.format, within);
    match &arguments.output {
        Some(path) => {
            let path = std::path::absolute(path)?;
            outside(move || files::replace_target(&path, page.as_bytes(), files::READABLE))??;
        }
        None => terminal::print(&page)?,
    }
    let failures = status.failures(within);
    for (name, reason) in &failures {
        terminal::print_error(&anyhow!("certificate `{name}`: {reason}"));
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(SOME_FAILED)
    })
}

fn page(status: &status::Status, format: StatusFormat, within: Option<u32>) -> String {
    match format {
        StatusFormat::Text => text(status),
        StatusFormat::Json => json(status),
        StatusFormat::Markdown => markdown(status),
        StatusFormat::Html => html(status),
        StatusFormat::Prometheus => prometheus(status),
        StatusFormat::Junit => junit(status, within),
    }
}
