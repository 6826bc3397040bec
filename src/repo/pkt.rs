//! Packet lines and side bands, the framing of git's protocol (gitprotocol-common(5)).

use std::io::{self, Read};

/// Longest packet, its four length digits included.
pub(crate) const MAX_PACKET: usize = 65520;

/// Ends a list of packets.
pub(crate) const FLUSH: &[u8] = b"0000";

/// Longest text of the server that is kept for messages.
const MAX_SAID: usize = 64 * 1024;

/// Appends `line` as a packet. Lines of this program are far below [`MAX_PACKET`].
pub(crate) fn write(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
    out.extend_from_slice(line.as_bytes());
}

/// Reads one packet; none for a flush.
///
/// An end of the stream is an error of kind `UnexpectedEof`.
pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut digits = [0_u8; 4];
    from.read_exact(&mut digits)?;
    let length = std::str::from_utf8(&digits)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .filter(|length| *length == 0 || (4..=MAX_PACKET).contains(length))
        .ok_or_else(|| invalid("the answer is not git's protocol"))?;
    if length == 0 {
        return Ok(None);
    }
    let mut line = vec![0; length - 4];
    from.read_exact(&mut line)?;
    Ok(Some(line))
}

/// A packet as text without its final line feed.
pub(crate) fn text(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}

/// An error for an answer that breaks the protocol.
pub(crate) fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

/// Takes the side bands apart: band 1 is read, band 2 is kept as text, band 3 is an error.
pub(crate) struct SideBand<'a, R> {
    from: &'a mut R,
    packet: Vec<u8>,
    at: usize,
    ended: bool,
    said: Vec<u8>,
}

impl<'a, R: Read> SideBand<'a, R> {
    pub(crate) fn new(from: &'a mut R) -> Self {
        Self {
            from,
            packet: Vec::new(),
            at: 0,
            ended: false,
            said: Vec::new(),
        }
    }

    /// What the server printed (`remote: ...` in git), with progress overwritten by `\r` left out.
    pub(crate) fn said(&self) -> String {
        tidy(&self.said)
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.at == self.packet.len() && !self.ended {
            let Some(packet) = read(self.from)? else {
                self.ended = true;
                break;
            };
            match packet.split_first() {
                Some((1, _)) => {
                    self.packet = packet;
                    self.at = 1;
                }
                Some((2, words)) => {
                    let room = MAX_SAID.saturating_sub(self.said.len());
                    self.said.extend(words.iter().take(room));
                }
                Some((3, words)) => return Err(io::Error::other(tidy(words))),
                _ => return Err(invalid("the answer has an unknown side band")),
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for SideBand<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        let mut rest = self.packet.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// Text from a server made fit for a message: lines trimmed, control characters out, blank lines out.
pub(crate) fn tidy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .map(|line| line.rsplit('\r').next().unwrap_or_default().trim_end())
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_framed() {
        let mut bytes = Vec::new();
        write(&mut bytes, "hello\n");
        bytes.extend_from_slice(FLUSH);
        assert_eq!(bytes, b"000ahello\n0000");
        let mut from = bytes.as_slice();
        assert_eq!(text(&read(&mut from).unwrap().unwrap()), "hello");
        assert_eq!(read(&mut from).unwrap(), None);
        assert_eq!(
            read(&mut from).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        for bad in [&b"<htm"[..], b"0003", b"fff1", b"+00a"] {
            assert_eq!(
                read(&mut &*bad).unwrap_err().kind(),
                io::ErrorKind::InvalidData
            );
        }
    }

    #[test]
    fn side_bands_are_taken_apart() {
        let mut stream = &b"0007\x01ab0017\x02 50%\r100%\nno \x1bway\n0006\x01c0000rest"[..];
        let mut bands = SideBand::new(&mut stream);
        let mut data = String::new();
        bands.read_to_string(&mut data).unwrap();
        assert_eq!(data, "abc");
        assert_eq!(bands.said(), "100%\nno way");
        assert_eq!(stream, b"rest");

        let mut fatal = &b"000a\x03fatal"[..];
        let error = SideBand::new(&mut fatal).read(&mut [0; 9]).unwrap_err();
        assert_eq!(error.to_string(), "fatal");
    }
}
