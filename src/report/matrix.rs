//! How a run is shared out, for CI systems that start the shards.

use serde_json::json;

use crate::model::shard::Load;

/// What `strategy.matrix` of GitHub takes, in one line. GitHub takes no matrix without a job.
pub(crate) fn json(loads: &[Load]) -> String {
    let jobs = loads.iter().map(|load| {
        json!({
            "shard": load.shard.to_string(),
            "due": load.due,
        })
    });
    let jobs: Vec<_> = jobs.collect();
    format!("{}\n", json!({ "include": jobs }))
}

/// A table in Markdown.
pub(crate) fn summary(loads: &[Load]) -> String {
    let due: usize = loads.iter().map(|load| load.due).sum();
    let title = match loads.len() {
        1 => format!("### git-certs: {due} due, in 1 shard\n"),
        shards => format!("### git-certs: {due} due, in {shards} shards\n"),
    };
    if loads.is_empty() {
        return title;
    }
    let rows = loads
        .iter()
        .map(|Load { shard, due }| format!("| {shard} | {due} |\n"));
    let rows: String = rows.collect();
    format!("{title}\n| Shard | Due |\n| --- | --- |\n{rows}")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn loads() -> Vec<Load> {
        let load = |shard: &str, due| Load {
            shard: shard.parse().unwrap(),
            due,
        };
        vec![load("1/8", 12), load("5/8", 0)]
    }

    #[test]
    fn a_matrix_has_the_shards_that_have_something_to_do() {
        assert_eq!(
            json(&loads()),
            "{\"include\":[{\"shard\":\"1/8\",\"due\":12},{\"shard\":\"5/8\",\"due\":0}]}\n"
        );
        assert_eq!(json(&[]), "{\"include\":[]}\n");
    }

    #[test]
    fn the_summary_is_a_table() {
        assert_eq!(
            summary(&loads()),
            "### git-certs: 12 due, in 2 shards\n\n| Shard | Due |\n| --- | --- |\n| 1/8 | 12 |\n| 5/8 | 0 |\n"
        );
        assert_eq!(summary(&[]), "### git-certs: 0 due, in 0 shards\n");
    }
}
