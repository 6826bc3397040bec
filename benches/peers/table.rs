//! What was measured, as a table with ratios.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::tools::{Measured, Tool};

/// Between these lines of docs/benchmarks.md stands what a run writes.
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// One run.
pub struct Row {
    pub scenario: &'static str,
    pub tool: Tool,
    pub measured: Measured,
}

/// A table a scenario: medians, and how many times as long as git-certs each takes.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut scenarios: Vec<&str> = Vec::new();
    for row in rows {
        if !scenarios.contains(&row.scenario) {
            scenarios.push(row.scenario);
        }
    }
    for scenario in scenarios {
        let mut by_tool: BTreeMap<Tool, Vec<&Measured>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.scenario == scenario) {
            by_tool.entry(row.tool).or_default().push(&row.measured);
        }
        let ours = by_tool.get(&Tool::GitCerts).and_then(|runs| median(runs));
        text += &format!(
            "### {scenario}\n\n| tool | runs (failed) | wall, s | times git-certs | memory, MB | requests a certificate |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"
        );
        for (tool, runs) in &by_tool {
            let failed = runs.iter().filter(|run| run.failed).count();
            let seconds = median(runs).unwrap_or(f64::NAN);
            let ratio = ours.map_or_else(String::new, |ours| format!("{:.1}", seconds / ours));
            let requests = runs.iter().map(|run| run.requests).fold(0.0, f64::max);
            let memory = runs.iter().map(|run| run.megabytes).max().unwrap();
            text += &format!(
                "| {} | {} ({failed}) | {seconds:.2} | {ratio} | {memory} | {requests:.1} |\n",
                tool.name(),
                runs.len()
            );
        }
        text.push('\n');
    }
    text
}

/// Of the runs that did not fail; none if all did.
fn median(runs: &[&Measured]) -> Option<f64> {
    let good = runs.iter().filter(|run| !run.failed);
    let mut seconds: Vec<f64> = good.map(|run| run.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

/// Puts the tables into docs/benchmarks.md.
pub fn write(tables: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a begin line");
    let (_, after) = rest.split_once(END).expect("the page has an end line");
    fs::write(&path, format!("{before}{BEGIN}\n{tables}\n{END}{after}")).unwrap();
}
