//! `make bench`: git-certs and its peers, side by side on one lab, into docs/benchmarks.md.
//!
//! `cargo bench --bench peers -- [git-certs lego certbot uacme dehydrated] [20x5...] [latency] [held]` measures
//! only what is named: tools, numbers of certificates and names, git-certs with slow answers, and all tools with nothing due.
#![allow(
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a benchmark may panic, and prints"
)]

mod held;
mod latency;
#[allow(dead_code, reason = "the lab offers more than the benchmark uses")]
#[path = "../../tests/it/support/mod.rs"]
mod support;
mod table;
mod tools;

use support::lab::Lab;
use support::pebble;
use table::Row;
use tools::{Scenario, Tool};

/// Measured for git-certs alone.
const MANY: &str = "200 certificates, 5 names each";

/// What stands for the measurement with slow answers.
const LATENCY: &str = "latency";

/// What stands for the measurement with nothing due.
const HELD: &str = "held";

/// Runs of the quick tools; the slow ones (minutes a run) are measured once.
const RUNS: usize = 3;

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let packaged = pebble::Settings {
        packaged: true,
        ..pebble::Settings::default()
    };
    let sizes: Vec<_> = chosen.iter().filter(|word| is_size(word)).collect();
    let names: Vec<_> = chosen.iter().filter(|word| !is_size(word)).collect();
    let lab = Lab::builder().all().pebble_with(packaged).start();
    support::peers::trust_lab(&lab);
    let mut rows = Vec::new();
    for scenario in [
        Scenario::new("1 certificate, 1 name", 1, 1),
        Scenario::new("1 certificate, 5 names", 1, 5),
        Scenario::new("1 certificate, 100 names", 1, 100),
        Scenario::new("20 certificates, 5 names each", 20, 5),
        Scenario::new(MANY, 200, 5),
    ] {
        if !sizes.is_empty() && !sizes.contains(&&scenario.size()) {
            continue;
        }
        for tool in Tool::ALL {
            // The others would take hours.
            if scenario.title == MANY && tool != Tool::GitCerts {
                continue;
            }
            if !names.is_empty() && !names.iter().any(|name| *name == tool.name()) {
                continue;
            }
            let runs = if tool.is_slow() { 1 } else { RUNS };
            for run in 0..runs {
                let measured = tool.measure(&lab, &scenario, run);
                println!(
                    "{:<30} {:<11} {:7.2} s {:5} MB {:7.1} requests a certificate",
                    scenario.title,
                    tool.name(),
                    measured.seconds,
                    measured.megabytes,
                    measured.requests
                );
                rows.push(Row {
                    scenario: scenario.title,
                    tool,
                    measured,
                });
            }
        }
    }
    let mut text = table::render(&rows);
    let is_wanted = |what: &str| chosen.is_empty() || names.iter().any(|name| *name == what);
    if is_wanted(HELD) {
        text += &held::measure(&lab);
    }
    // Last: its delay stays until the lab ends.
    if is_wanted(LATENCY) {
        text += &latency::measure(&lab);
    }
    text += &tools::versions(&lab);
    println!("\n{text}");
    if chosen.is_empty() {
        table::write(&text);
    }
}

/// Whether a word is the size of a scenario, such as `20x5`.
fn is_size(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
}
