//! How files are read: whole, up to a limit, and never one that has no end or waits for somebody.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Largest file as a rule, bytes. Ten thousand certificates in certs.json have about four million.
pub(crate) const LARGEST: u64 = 64 << 20;

/// Names of what the caller's shell has opened, such as `<(pass show key)`: pipes are meant there.
const GIVEN: [&str; 3] = ["/dev/stdin", "/dev/fd/", "/proc/self/fd/"];

/// Reads a file.
///
/// Fails for folders, devices, named pipes and sockets, and for files of more than [`LARGEST`] bytes.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_up_to(LARGEST, path)
}

/// The same with another limit, bytes.
pub(crate) fn read_up_to(largest: u64, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    whole(open(path.as_ref(), largest)?, largest)
}

/// The same, of UTF-8.
pub(crate) fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Reads to the end of something, of at most `largest` bytes.
pub(crate) fn whole(from: impl Read, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest {
        return Err(too_large(largest));
    }
    Ok(bytes)
}

fn open(path: &Path, largest: u64) -> io::Result<File> {
    let is_given = path
        .to_str()
        .is_some_and(|path| GIVEN.iter().any(|given| path.starts_with(given)));
    if is_given {
        return File::open(path);
    }
    // To open a named pipe would wait for who writes into it.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    // A folder is told by who reads it.
    if !found.is_file() && !found.is_dir() {
        return Err(io::Error::other("it is no file, but a device or a pipe"));
    }
    // Without reading: what is sparse takes no room on the disk, but in memory.
    if found.len() > largest {
        return Err(too_large(largest));
    }
    Ok(file)
}

fn too_large(most: u64) -> io::Error {
    let most = if most < 1 << 20 {
        format!("{} KiB", most >> 10)
    } else {
        format!("{} MiB", most >> 20)
    };
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is larger than {most}, which is the limit"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, at("pipe"), FileType::Fifo, mode, 0).unwrap();
        File::create(at("sparse"))
            .unwrap()
            .set_len(2 << 30)
            .unwrap();
        File::create(at("most")).unwrap().set_len(LARGEST).unwrap();
        let mut latin = File::create(at("latin-1")).unwrap();
        latin.write_all(b"\xe9").unwrap();
        let failed = |path: &Path| read(path).unwrap_err().to_string();
        let no_file = "it is no file, but a device or a pipe";
        assert_eq!(failed(&at("pipe")), no_file);
        assert_eq!(failed(Path::new("/dev/zero")), no_file);
        assert_eq!(failed(folder.path()), "Is a directory (os error 21)");
        let too_large = "it is larger than 64 MiB, which is the limit";
        assert_eq!(failed(&at("sparse")), too_large);
        assert_eq!(read(at("most")).unwrap().len() as u64, LARGEST);
        assert_eq!(
            failed(&at("missing")),
            "No such file or directory (os error 2)"
        );
        let text = read_text(at("latin-1")).unwrap_err();
        assert_eq!(text.to_string(), "it is not UTF-8");
        // Its length is not known before it is read.
        assert!(!read("/proc/self/status").unwrap().is_empty());
    }

    #[test]
    fn what_has_no_end_is_read_up_to_the_limit() {
        assert_eq!(whole(&b"1234"[..], 4).unwrap(), b"1234");
        let endless = whole(io::repeat(0), 2048).unwrap_err();
        assert_eq!(
            endless.to_string(),
            "it is larger than 2 KiB, which is the limit"
        );
    }
}
