//! What can be typed of commands that know no cert repository: `print-ir` and `providers`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use crate::cli::settings::at_least_one;

/// `print-ir`
#[derive(Args, Debug)]
pub(super) struct PrintIr {
    /// DNSControl's configuration [default: dnsconfig.js]
    #[arg(long, env = "GIT_CERTS_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Read DNSControl's IR JSON instead of running JavaScript
    #[arg(long, env = "GIT_CERTS_IR", value_name = "FILE")]
    pub(super) ir: Option<PathBuf>,

    /// Global variable for dnsconfig.js; may be repeated
    #[arg(
        long,
        env = "GIT_CERTS_VARIABLE",
        value_name = "KEY=VALUE",
        value_delimiter = '\n'
    )]
    pub(super) variable: Option<Vec<String>>,

    /// Longest time, in seconds, that dnsconfig.js may run [default: 60]
    #[arg(long, env = "GIT_CERTS_JS_TIMEOUT", value_name = "SECONDS", allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) js_timeout: Option<NonZeroU32>,

    /// Most memory, in MiB, that dnsconfig.js may use [default: 1024]
    #[arg(long, env = "GIT_CERTS_JS_MEMORY", value_name = "MIB", allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) js_memory: Option<NonZeroU32>,

    /// Most stack, in MiB, that dnsconfig.js may use [default: 8]
    #[arg(long, env = "GIT_CERTS_JS_STACK", value_name = "MIB", allow_negative_numbers = true, value_parser = at_least_one)]
    pub(super) js_stack: Option<NonZeroU32>,

    /// Let dnsconfig.js use `FETCH()`
    #[arg(long, env = "GIT_CERTS_ALLOW_FETCH")]
    #[arg(num_args = 0..=1, default_missing_value = "true", require_equals = true, value_parser = BoolishValueParser::new())]
    pub(super) allow_fetch: Option<bool>,

    /// Recursive resolvers that `SPF_BUILDER` flattens with [default: /etc/resolv.conf]
    #[arg(
        long,
        env = "GIT_CERTS_RESOLVER",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub(super) resolver: Option<Vec<String>>,

    /// Over several lines, indented
    #[arg(long)]
    pub(super) pretty: bool,
}

/// `providers`
#[derive(Args, Debug)]
pub(super) struct Providers {
    /// Only this one, by its TYPE in creds.json, such as `CLOUDFLAREAPI`
    #[arg(value_name = "TYPE")]
    pub(super) kind: Option<String>,

    /// Form of what goes to stdout
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(super) format: ListFormat,
}

/// Form of the list of providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    Text,
    Markdown,
}
