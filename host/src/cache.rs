//! Compiled code on disk, shared by every process of one user that is given the same folder.
//!
//! A folder holds the key that artifacts are authenticated with and one file for each component and setting. Nothing in
//! it is trusted: what isn't authentic, whole and made by this very engine for this processor is as good as absent, and
//! is written anew. The folder must be one that only its owner writes to, since code is mapped from it after it was
//! checked; one that others can write to isn't used at all.
//!
//! A cache is only ever a help. When the disk is full or the folder can't be written, loading goes on without it, and
//! the log says so once.

mod evict;
mod lock;

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use self::lock::Lock;
use crate::artifact::{self, About, ArtifactKey, Broken, MAC, SourceId, TRAILER, Trailer};
use crate::engine::CodeId;

/// Compiled code that is kept in a folder. Clones are the same cache.
#[derive(Clone, Debug)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    key: ArtifactKey,
    max_bytes: u64,
    /// What was said already, which is said once.
    told: Mutex<HashSet<String>>,
}

/// A folder that can't be a cache.
#[derive(Debug, thiserror::Error)]
#[error("the cache `{}` can't be used: {why}", dir.display())]
pub struct CacheError {
    dir: PathBuf,
    why: String,
}

/// Code that was found: the file is open and authentic.
pub(crate) struct Found {
    pub(crate) about: About,
    pub(crate) file: File,
    pub(crate) code_bytes: u64,
}

/// What code is kept under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) source: SourceId,
    pub(crate) code: CodeId,
}

/// Bytes of code that are kept unless the caller says otherwise.
pub const CACHE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// The key's file in the folder.
const KEY: &str = "key";

/// What artifacts are called after the dot.
const ARTIFACT: &str = "aot";

/// How far the time of the last use may be off: writing it for every use would be a write for every run.
const USE_PRECISION: Duration = Duration::from_secs(60);

/// Different things that are said of one cache.
const MAX_TOLD: usize = 16;

/// Tells the temporary files of one process apart.
static WRITES: AtomicU64 = AtomicU64::new(0);

impl Cache {
    /// Opens the cache in this folder, which is made if it isn't there, readable by nobody else. At most `max_bytes` are
    /// kept; what was used longest ago goes first. Without a key of the caller's own there is one in the folder, made
    /// on first use.
    ///
    /// # Errors
    /// The folder or the key in it belongs to somebody else or can be written by others, or can't be read or made.
    pub fn open(dir: impl Into<PathBuf>, max_bytes: u64, key: Option<ArtifactKey>) -> Result<Self, CacheError> {
        let dir = dir.into();
        let opened = own_folder(&dir).and_then(|()| key.map_or_else(|| own_key(&dir), Ok));
        match opened {
            Ok(key) => Ok(Self { inner: Arc::new(Inner { dir, key, max_bytes, told: Mutex::default() }) }),
            Err(why) => Err(CacheError { dir, why }),
        }
    }

    /// What its artifacts are authenticated with.
    pub fn key(&self) -> &ArtifactKey {
        &self.inner.key
    }

    /// The code of this name, if it is here and every byte of it is ours.
    pub(crate) fn find(&self, name: Name) -> Option<Found> {
        let path = self.path(name);
        let file = match open_own(&path) {
            Ok(file) => file?,
            Err(why) => {
                self.tell(&format!("`{}`: {why}", path.display()));
                return None;
            }
        };
        match check(file, name, self.key()) {
            Ok(found) => {
                used_now(&found.file);
                Some(found)
            }
            Err(why) => {
                self.tell(&format!("`{}` is not used but compiled again: {why}", path.display()));
                None
            }
        }
    }

    /// Waits until no other process compiles what has this name, and keeps others from doing so. `None` where the file
    /// system has no locks; then it may be compiled twice, which does no harm.
    pub(crate) async fn lock(&self, name: Name) -> Option<Lock> {
        Lock::take(self.path(name).with_extension("lock")).await
    }

    /// Keeps code under this name. What others see there is the whole of it or nothing.
    pub(crate) fn store(&self, name: Name, about: &About, code: &[u8]) {
        let tail = artifact::seal(self.key(), about, name.code, name.source, code);
        if (code.len() + tail.len()) as u64 > self.inner.max_bytes {
            return self.tell("going on without the cache: the code is larger than all that it may hold");
        }
        let path = self.path(name);
        let unfinished = path.with_extension(format!("{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Relaxed)));
        let written = write_new(&unfinished, &[code, &tail]).and_then(|()| std::fs::rename(&unfinished, &path));
        if let Err(error) = written {
            // It may be what filled the disk.
            let _ = std::fs::remove_file(&unfinished);
            return self.tell(&format!("going on without the cache: it can't be written: {error}"));
        }
        evict::evict(&self.inner.dir, self.inner.max_bytes, &path);
    }

    fn path(&self, name: Name) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&name.source.0).update(&name.code.0);
        self.inner.dir.join(hasher.finalize().to_hex().as_str()).with_extension(ARTIFACT)
    }

    /// Says why the cache is of no help, once.
    fn tell(&self, why: &str) {
        let mut told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody reads more, and a folder that is full of rubbish must not fill memory.
        if told.len() < MAX_TOLD && told.insert(why.to_owned()) {
            tracing::warn!(target: "host", cache = %self.inner.dir.display(), "{why}");
        }
    }
}

/// Makes the folder, or sees to it that it is the user's alone.
fn own_folder(dir: &Path) -> Result<(), String> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| error.to_string())?;
    let metadata = std::fs::metadata(dir).map_err(|error| error.to_string())?;
    owned(&metadata, 0o022)
}

/// Whether the user that runs this process owns it, and others have none of these rights.
fn owned(metadata: &std::fs::Metadata, others: u32) -> Result<(), String> {
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(format!("it belongs to the user {}, and this process runs as {user}", metadata.uid()));
    }
    if metadata.mode() & others != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(format!("others can get at it (mode {mode:o}); take that away with `chmod go-rwx`"));
    }
    Ok(())
}

/// Reads the folder's key; makes it if there is none. Of several processes that do so at once one makes it.
fn own_key(dir: &Path) -> Result<ArtifactKey, String> {
    let path = dir.join(KEY);
    let shown = |why: String| format!("its key `{}`: {why}", path.display());
    if let Some(key) = read_key(&path).map_err(shown)? {
        return Ok(key);
    }
    let unfinished = dir.join(format!("{KEY}.{}-{}.tmp", std::process::id(), WRITES.fetch_add(1, Relaxed)));
    let text = format!("{}\n", ArtifactKey::generate().to_secret_text());
    let made = write_new(&unfinished, &[text.as_bytes()]).and_then(|()| std::fs::hard_link(&unfinished, &path));
    let _ = std::fs::remove_file(&unfinished);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(shown(error.to_string())),
        _ => {}
    }
    read_key(&path).map_err(shown)?.ok_or_else(|| shown("it went away".to_owned()))
}

fn read_key(path: &Path) -> Result<Option<ArtifactKey>, String> {
    let Some(file) = open_file(path)? else { return Ok(None) };
    owned(&file.metadata().map_err(|error| error.to_string())?, 0o077)?;
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text).map_err(|error| error.to_string())?;
    ArtifactKey::parse(&text).map(Some).ok_or_else(|| "it is not 64 hexadecimal digits; remove it".to_owned())
}

/// Opens a file of the user's own that others can't write to; `None` if there is none.
fn open_own(path: &Path) -> Result<Option<File>, String> {
    let Some(file) = open_file(path)? else { return Ok(None) };
    owned(&file.metadata().map_err(|error| error.to_string())?, 0o022)?;
    Ok(Some(file))
}

/// Opens a plain file, and nothing that a link points to or that would make the open wait.
fn open_file(path: &Path) -> Result<Option<File>, String> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    match OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path) {
        Ok(file) if file.metadata().is_ok_and(|metadata| metadata.is_file()) => Ok(Some(file)),
        Ok(_) => Err("it is no plain file".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Goes through the whole file once and keeps none of it in memory.
fn check(mut file: File, name: Name, key: &ArtifactKey) -> Result<Found, String> {
    let failed = |error: std::io::Error| error.to_string();
    let broken = |broken: Broken| broken.to_string();
    let length = file.metadata().map_err(failed)?.len();
    let body = length.checked_sub(TRAILER as u64).ok_or_else(|| broken(Broken::Truncated))?;
    let mut trailer = [0; TRAILER];
    file.seek(SeekFrom::Start(body)).and_then(|_| file.read_exact(&mut trailer)).map_err(failed)?;
    let trailer = Trailer::read(&trailer, key).map_err(broken)?;
    let mut hasher = key.hasher();
    file.rewind().map_err(failed)?;
    hash_file(&mut file, length - MAC as u64, &mut hasher).map_err(failed)?;
    let parts = trailer.check(&hasher, body).map_err(broken)?;
    if (trailer.source, trailer.code_id) != (name.source, name.code) {
        return Err("it was made from another component or for another engine".to_owned());
    }
    let mut facts = Vec::new();
    file.seek(SeekFrom::Start(parts.code)).map_err(failed)?;
    (&mut file).take(parts.facts).read_to_end(&mut facts).map_err(failed)?;
    let about = About::read(&facts).map_err(broken)?;
    Ok(Found { about, file, code_bytes: parts.code })
}

fn hash_file(file: &mut File, mut left: u64, hasher: &mut blake3::Hasher) -> std::io::Result<()> {
    let mut buffer = vec![0; 512 * 1024];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..most).unwrap_or_default();
        file.read_exact(part)?;
        hasher.update(part);
        left -= most as u64;
    }
    Ok(())
}

/// Notes that the file was used, for what is thrown away first. Where that can't be noted it is thrown away sooner.
fn used_now(file: &File) {
    let now = SystemTime::now();
    let noted = file.metadata().and_then(|metadata| metadata.modified());
    let recent = noted.is_ok_and(|noted| match now.duration_since(noted) {
        Ok(age) => age < USE_PRECISION,
        // A time to come: the clock was set back.
        Err(ahead) => ahead.duration() < USE_PRECISION,
    });
    if !recent {
        let _ = file.set_modified(now);
    }
}

/// Writes a file that must not be there yet and that nobody else can read.
fn write_new(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

#[cfg(test)]
mod tests;
