//! Files on the disk that are written piece by piece.

use super::durable::{create, rename, sync_file, sync_folder, temporary_path};
use super::{Access, Unfinished};
use crate::platform::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Bytes that are collected before they go to the file.
const BUFFER_BYTES: usize = 1 << 20;

/// File on the disk under a temporary name.
pub(super) struct StreamedFile {
    temporary: PathBuf,
    target: PathBuf,
    writer: BufWriter<File>,
    written_bytes: u64,
    /// First failure. The content of the file is unknown since then.
    failed: Option<Error>,
    is_renamed: bool,
}

impl StreamedFile {
    /// Creates the file that is to be `target`. Its folder must exist.
    ///
    /// # Errors
    /// `Full`, `Io`.
    pub(super) fn begin(target: PathBuf, access: Access) -> Result<Self> {
        let temporary = temporary_path(&target);
        let file = create(&temporary, access).map_err(|e| cannot_write(&temporary, e))?;
        let writer = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(StreamedFile { temporary, target, writer, written_bytes: 0, failed: None, is_renamed: false })
    }

    /// Runs a step unless an earlier one failed. Notes its failure.
    fn step(&mut self, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.duplicate());
        }
        let done = run(self);
        self.failed = done.as_ref().err().map(Error::duplicate);
        done
    }

    fn flush_and_sync(&mut self) -> Result<()> {
        let synced = self.writer.flush().and_then(|()| sync_file(self.writer.get_ref(), self.written_bytes));
        synced.map_err(|e| cannot_write(&self.temporary, e))
    }
}

impl Unfinished for StreamedFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.step(|file| {
            file.writer.write_all(bytes).map_err(|e| cannot_write(&file.temporary, e))?;
            file.written_bytes += bytes.len() as u64;
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<()> {
        self.step(StreamedFile::flush_and_sync)
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.step(|file| {
            file.flush_and_sync()?;
            rename(&file.temporary, &file.target)?;
            file.is_renamed = true;
            file.target.parent().map_or(Ok(()), sync_folder)
        })
    }
}

impl Drop for StreamedFile {
    fn drop(&mut self) {
        if self.is_renamed {
            return;
        }
        match fs::remove_file(&self.temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let file = self.temporary.display();
                tracing::warn!(%error, %file, "an unfinished file is left behind until the next one of its name");
            }
            _ => {}
        }
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot write {}", path.display()), error)
}

#[cfg(test)]
#[path = "streamed_tests.rs"]
mod tests;
