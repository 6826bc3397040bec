//! The lab is real: delegations, updates, transfers, git, and an end that leaves nothing.

use crate::support::lab::Lab;

#[test]
fn up() {
    let started = std::time::Instant::now();
    let lab = Lab::builder().all().start();
    println!("up in {:?}", started.elapsed());
    println!("{}", lab.logs());
    drop(lab);
    println!("down after {:?}", started.elapsed());
}
