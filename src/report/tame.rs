//! Words of others, made harmless for terminals and CI logs.

use std::io::{self, Write};

/// Longest line that is shown, in characters; a configuration can throw megabytes.
const LONGEST_LINE: usize = 4_000;

/// Escapes control characters, takes the meaning from workflow commands and cuts long lines.
///
/// GitHub's runner obeys lines that begin with `::` or `##[`, wherever they come from.
pub(crate) fn tame(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

fn line(line: &str) -> String {
    let start = line.trim_start();
    let command = start.starts_with("::") || start.starts_with("##[");
    let mut tamed = String::with_capacity(line.len());
    if command {
        tamed.push('\\');
    }
    for (count, character) in line.chars().enumerate() {
        if count == LONGEST_LINE {
            tamed.push_str("...");
            break;
        }
        if character.is_control() && character != '\t' {
            tamed.extend(character.escape_default());
        } else {
            tamed.push(character);
        }
    }
    tamed
}

/// Writes what is written to it tamed, to standard error.
pub(crate) struct TameStderr;

impl Write for TameStderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(tame(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_and_runners_obey_nothing() {
        assert_eq!(tame("a\u{1b}[2Jb\rc\n\td"), "a\\u{1b}[2Jb\\rc\n\td");
        assert_eq!(tame("x\n  ::stop-commands::t"), "x\n\\  ::stop-commands::t");
        assert_eq!(tame("##[error]x"), "\\##[error]x");
        assert_eq!(tame("2001:db8::1 b\u{fc}cher"), "2001:db8::1 b\u{fc}cher");
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(tame(&"a".repeat(5_000)).len(), LONGEST_LINE + 3);
    }
}
