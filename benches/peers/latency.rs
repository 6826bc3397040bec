//! The same with 50 ms more for every answer of the CA, of name servers and of git: what is serial shows.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::lab::{Lab, Server};
use crate::tools::{Scenario, git_certs};

/// Seconds on the way to a server, and again on the way back.
const DELAY: &str = "0.025";

/// How long the device may take to be there.
const START: Duration = Duration::from_secs(10);

const RUNS: usize = 3;

/// One run: its wall time, and what it says that it waited for.
struct Run {
    seconds: f64,
    path: Value,
}

/// Measures, from now on with the delay.
pub fn measure(lab: &Lab) -> String {
    delay(lab);
    let one = best(lab, &Scenario::new("1 certificate, 1 name", 1, 1));
    let many = best(lab, &Scenario::new("20 certificates, 5 names each", 20, 5));
    let mut text = "### With 50 ms added to every answer\n\n\
                    | stage | 1 certificate, 1 name: s | 20 certificates, 5 names each: s |\n\
                    | --- | ---: | ---: |\n"
        .to_owned();
    let stages = many.path["stages"].as_object().unwrap();
    for (stage, seconds) in stages {
        let first = one.path["stages"][stage].as_f64().unwrap_or_default();
        text += &format!(
            "| {stage} | {first:.2} | {:.2} |\n",
            seconds.as_f64().unwrap()
        );
    }
    let whole = |run: &Run| run.path["seconds"].as_f64().unwrap();
    text += &format!(
        "| critical path | {:.2} | {:.2} |\n",
        whole(&one),
        whole(&many)
    );
    text += &format!("| wall | {:.2} | {:.2} |\n\n", one.seconds, many.seconds);
    text + &format!(
        "20 certificates take {:.2} times the critical path of one.\n\n",
        many.seconds / whole(&one)
    )
}

/// A device that everything between the lab's servers goes through.
fn delay(lab: &Lab) {
    let namespace = lab.namespace();
    let script = namespace.write("delay.py", include_str!("delay.py"));
    let command = namespace.command_as_root("python3").arg(script).arg(DELAY);
    // It ends with the lab.
    std::mem::forget(command.deadline(Duration::from_hours(1)).spawn());
    let started = Instant::now();
    // The last of its rules to go is the first of the table.
    let is_there = || {
        let rules = namespace.command_as_root("ip").args(["rule"]).succeed();
        !rules.stdout.starts_with("0:")
    };
    while !is_there() {
        assert!(started.elapsed() < START, "the delay is not there");
        sleep(Duration::from_millis(20));
    }
}

/// The quickest run, as nothing but the machine's other work makes them differ.
fn best(lab: &Lab, scenario: &Scenario) -> Run {
    let runs = (0..RUNS).map(|run| {
        lab.stop(Server::Pebble);
        lab.start(Server::Pebble);
        let (prefix, certificates) = scenario.fresh("latency", run);
        let command = git_certs(lab, &prefix, &certificates).remove(0);
        let started = Instant::now();
        let output = command.args(["--format", "json"]).succeed();
        let seconds = started.elapsed().as_secs_f64();
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        let path = report["critical_path"].clone();
        println!("{:<30} latency     {seconds:7.2} s {path}", scenario.title);
        Run { seconds, path }
    });
    let runs = runs.collect::<Vec<_>>().into_iter();
    runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap()
}
