//! Reading of whole text files that people write, with errors that they can act on.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Reads a UTF-8 file of bounded size. A byte order mark at its start is skipped.
///
/// # Errors
/// Why it cannot be read and what to do, to be read after the file's name.
pub fn read(file: &Path, bytes_max: u64) -> Result<String, String> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
        ErrorKind::PermissionDenied => "may not be read by this user; check its mode".to_owned(),
        ErrorKind::IsADirectory => "is a directory; name a file in it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    if file.is_dir() {
        return Err("is a directory; name a file in it".to_owned());
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("has more than {bytes_max} bytes, the maximum"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count() + 1;
        format!("is not UTF-8 text: line {line} has a byte that does not belong there")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
