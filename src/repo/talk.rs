//! A conversation with a program: it is told something, and what it makes of that is read, up to a limit.

use std::io::{self, Read, Write};
use std::process::Child;
use std::thread;

use crate::model::file;

/// Most of a program's words that are kept, bytes.
const MOST_WORDS: u64 = 64 << 10;

/// Writes and reads at once: a program may begin to write before it has read everything. What it wrote, of at most
/// `most` bytes, and what it said on stderr, as far as the pipes are there.
///
/// One that writes more is killed; whoever started it waits for its end.
pub(super) fn talk(child: &mut Child, input: &[u8], most: u64) -> (io::Result<Vec<u8>>, Vec<u8>) {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        // One that ends early says why.
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input)));
        let said = scope.spawn(move || {
            let mut said = Vec::new();
            if let Some(mut pipe) = stderr {
                let _ = (&mut pipe).take(MOST_WORDS).read_to_end(&mut said);
                let _ = io::copy(&mut pipe, &mut io::sink());
            }
            said
        });
        let written = stdout.map_or_else(|| Ok(Vec::new()), |pipe| file::whole(pipe, most));
        // What is packed small can be huge.
        if written.is_err() {
            let _ = child.kill();
        }
        (written, said.join().unwrap_or_default())
    })
}
