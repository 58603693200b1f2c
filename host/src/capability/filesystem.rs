//! `wasi:filesystem`: the directories that the policy grants, each read-only or read-write.
//!
//! Threat model: a guest climbs out of its directory with `..`, absolute paths, symbolic links that it finds or makes,
//! renames and hard links across directories, or writes where it may only read. wasmtime-wasi resolves every path one
//! component at a time below an open directory and refuses all of these; this file carries each call there and counts
//! what was refused, since every error passes through one conversion. It opens files without end: each open file,
//! directory and stream counts against the limit `files`. It lists a directory of millions of entries, all of which
//! wasmtime-wasi collects at once: they are counted first and held in the invocation's memory. It fills the disk: with
//! bytes, with a length behind which there are none yet, with names of what is empty, with files that it keeps open after
//! their names are gone, or by way of another directory that it was granted. In a directory with a quota every change is
//! made by [`held`] or [`output`] and counted in an [`account`]; links and renames between two accounts are refused.
//!
//! What other programs write into a directory while an account is in use isn't seen until the next one begins. A directory
//! without a quota can be filled until the disk is full.

mod account;
mod held;
mod output;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::{Descriptor as Opened, WasiFilesystemCtxView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream,
    ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, InputStream, OutputStream, Pollable, StreamResult,
};

pub(crate) use self::account::DirAccounts;
use self::account::{Handle, Over};
pub(crate) use self::held::Directories;
use self::output::Output;
use crate::outcome::{Capability, Stop, StopReason};
use crate::policy::OnDenied;
use crate::quota::{Quota, Slot};

/// What the file system needs: wasmtime-wasi's own view, and where to count what it refuses.
pub(crate) struct FilesystemView<'a> {
    pub(crate) inner: WasiFilesystemCtxView<'a>,
    pub(crate) quota: &'a Arc<Quota>,
    /// Bytes that each open listing of a directory holds.
    pub(crate) listings: &'a mut HashMap<u32, u64>,
    pub(crate) dirs: &'a mut Directories,
    pub(crate) on_denied: OnDenied,
}

/// A stream on a file, which counts as open until it is dropped.
struct Counted<S> {
    inner: S,
    _slot: Slot,
    _handle: Option<Arc<Handle>>,
}

/// Bytes that an entry of a listing takes beside its name.
const ENTRY_BYTES: u64 = 64;

/// Marks [`FilesystemView`] for the linker.
pub(crate) struct Filesystem;

impl HasData for Filesystem {
    type Data<'a> = FilesystemView<'a>;
}

impl FilesystemView<'_> {
    fn slot(&self) -> FsResult<Slot> {
        self.quota.slot(|quota| &quota.files).map_err(FsError::trap)
    }

    /// Records a use for the audit. A file's own descriptor says nothing new, since opening it said what it is for.
    fn touched(&self, method: &str, fd: &Fd) {
        const READS: &[&str] = &["stat_at", "readlink_at", "metadata_hash_at"];
        const WRITES: &[&str] = &[
            "create_directory_at",
            "link_at",
            "remove_directory_at",
            "rename_at",
            "set_times_at",
            "symlink_at",
            "unlink_file_at",
        ];
        if READS.contains(&method) || WRITES.contains(&method) {
            self.quota.audit.touched(fd.rep(), "", WRITES.contains(&method));
        }
    }

    /// Lets a stream count as open for as long as it lives.
    fn count(&mut self, stream: &Resource<DynOutputStream>, fd: &Fd, at: Option<u64>, slot: Slot) -> FsResult<()> {
        let held = self.dirs.budget(fd).zip(self.file(fd)?);
        let place = self.inner.table.get_mut(stream)?;
        let mut inner: DynOutputStream = std::mem::replace(place, Box::new(wasmtime_wasi::p2::pipe::SinkOutputStream));
        if let Some((budget, file)) = held {
            let (quota, on_denied) = (Arc::clone(self.quota), self.on_denied);
            inner = Box::new(Output { file, budget, at, quota, on_denied, state: output::State::Ready });
        }
        *place = Box::new(Counted { inner, _slot: slot, _handle: self.dirs.handle(fd) });
        Ok(())
    }

    /// Bytes that a listing of a directory will hold, looked at only as far as there is memory for.
    async fn listing_bytes(&mut self, fd: &Fd) -> FsResult<u64> {
        let dir = match self.inner.table.get(fd)? {
            Opened::Dir(dir) => Arc::clone(&dir.dir),
            Opened::File(_) => return Ok(0),
        };
        let room = self.quota.memory.left();
        let counted = wasmtime_wasi::runtime::spawn_blocking(move || -> rustix::io::Result<u64> {
            let mut bytes = 0_u64;
            for entry in rustix::fs::Dir::read_from(&*dir)? {
                bytes = bytes.saturating_add(ENTRY_BYTES).saturating_add(entry?.file_name().count_bytes() as u64);
                if bytes > room {
                    break;
                }
            }
            Ok(bytes)
        });
        // An error of the directory's own is met again by the listing, which says it in the guest's terms.
        Ok(counted.await.unwrap_or(0))
    }
}

#[async_trait::async_trait]
impl<S: Pollable> Pollable for Counted<S> {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait::async_trait]
impl InputStream for Counted<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.read(size)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        self.inner.blocking_read(size).await
    }

    fn skip(&mut self, nelem: usize) -> StreamResult<usize> {
        self.inner.skip(nelem)
    }

    async fn blocking_skip(&mut self, nelem: usize) -> StreamResult<usize> {
        self.inner.blocking_skip(nelem).await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Counted<DynOutputStream> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.inner.blocking_write_and_flush(bytes).await
    }

    fn write_zeroes(&mut self, nelem: usize) -> StreamResult<()> {
        self.inner.write_zeroes(nelem)
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.inner.write_ready().await
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

impl preopens::Host for FilesystemView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let directories = self.inner.get_directories()?;
        self.quota.files.grow_or_stop(directories.len() as u64)?;
        for (descriptor, guest) in &directories {
            self.quota.audit.granted_dir(descriptor.rep(), guest);
        }
        self.dirs.preopened(directories.iter().map(|(fd, _)| fd.rep()));
        Ok(directories)
    }
}

impl types::Host for FilesystemView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        let code = types::Host::convert_error_code(&mut self.inner, error)?;
        let (tried, rule) = match code {
            ErrorCode::NotPermitted => (
                "outside the directory, or a write to a read-only one",
                "`access` of the `[[dir]]`, or that none is left",
            ),
            ErrorCode::ReadOnly => ("write to read-only", "`access` of the `[[dir]]`"),
            ErrorCode::Access => ("refused by the operating system", "the rights of the host's own user"),
            _ => return Ok(code),
        };
        self.quota.denied_by(Capability::Dir, tried, rule);
        if self.on_denied == OnDenied::Stop {
            let message = format!("the guest used a path that the policy doesn't grant ({tried})");
            let stop = Stop::new(StopReason::Denied(Capability::Dir), message)
                .with_hint("grant the directory with `--dir` (for writing without `::ro`), or let the guest go on with `on-denied = \"error\"`");
            return Err(stop.into());
        }
        Ok(code)
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.inner, error)
    }
}

/// Counts a quota without room as a denial, and stops the guest where the policy says so.
fn deny(quota: &Quota, on_denied: OnDenied, over: &Over) -> Result<(), Stop> {
    quota.denied(Capability::Dir, over.0);
    if on_denied == OnDenied::Error {
        return Ok(());
    }
    let message = format!("the guest wrote more than the quota of a directory ({})", over.0);
    let hint = "raise `max-bytes` or `max-files` under `[[dir]]`, or let the guest go on with `on-denied = \"error\"`";
    Err(Stop::new(StopReason::Denied(Capability::Dir), message).with_hint(hint))
}

/// What a full disk says.
fn full() -> std::io::Error {
    rustix::io::Errno::NOSPC.into()
}

/// Methods that go to one of another name with the same arguments.
macro_rules! held {
    ($($name:ident($fd:ident: $fty:ty $(, $arg:ident: $ty:ty)*) -> $result:ty = $held:ident;)*) => {
        $(async fn $name(&mut self, $fd: $fty $(, $arg: $ty)*) -> $result {
            self.touched(stringify!($name), &$fd);
            self.$held($fd $(, $arg)*).await
        })*
    };
}

/// Methods that do what wasmtime-wasi does.
macro_rules! delegate {
    ($($name:ident($fd:ident: $fty:ty $(, $arg:ident: $ty:ty)*) -> $result:ty;)*) => {
        $(async fn $name(&mut self, $fd: $fty $(, $arg: $ty)*) -> $result {
            self.touched(stringify!($name), &$fd);
            HostDescriptor::$name(&mut self.inner, $fd $(, $arg)*).await
        })*
    };
}

type Fd = Resource<Descriptor>;

impl HostDescriptor for FilesystemView<'_> {
    delegate! {
        advise(fd: Fd, offset: Filesize, len: Filesize, advice: Advice) -> FsResult<()>;
        sync_data(fd: Fd) -> FsResult<()>;
        get_flags(fd: Fd) -> FsResult<DescriptorFlags>;
        get_type(fd: Fd) -> FsResult<DescriptorType>;
        set_times(fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()>;
        read(fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)>;
        sync(fd: Fd) -> FsResult<()>;
        stat(fd: Fd) -> FsResult<DescriptorStat>;
        stat_at(fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat>;
        set_times_at(
            fd: Fd, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp
        ) -> FsResult<()>;
        readlink_at(fd: Fd, path: String) -> FsResult<String>;
        is_same_object(fd: Fd, other: Fd) -> wasmtime::Result<bool>;
        metadata_hash(fd: Fd) -> FsResult<MetadataHashValue>;
        metadata_hash_at(fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue>;
    }

    held! {
        set_size(fd: Fd, size: Filesize) -> FsResult<()> = set_size_held;
        write(fd: Fd, buffer: Vec<u8>, offset: Filesize) -> FsResult<Filesize> = write_held;
        create_directory_at(fd: Fd, path: String) -> FsResult<()> = create_directory_held;
        remove_directory_at(fd: Fd, path: String) -> FsResult<()> = remove_directory_held;
        symlink_at(fd: Fd, path: String, new_path: String) -> FsResult<()> = symlink_held;
        unlink_file_at(fd: Fd, path: String) -> FsResult<()> = unlink_held;
    }

    async fn link_at(&mut self, fd: Fd, flags: PathFlags, path: String, to: Fd, new_path: String) -> FsResult<()> {
        self.touched("link_at", &fd);
        self.touched("link_at", &to);
        self.link_held(fd, flags, path, to, new_path).await
    }

    async fn rename_at(&mut self, fd: Fd, path: String, to: Fd, new_path: String) -> FsResult<()> {
        self.touched("rename_at", &fd);
        self.touched("rename_at", &to);
        self.rename_held(fd, path, to, new_path).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        self.quota.files.grow_or_stop(1).map_err(FsError::trap)?;
        let (parent, audited) = (fd.rep(), self.quota.audit.is_on().then(|| path.clone()));
        let opened = self.open_held(fd, path_flags, path, open_flags, flags).await;
        if let Some(path) = audited {
            let write = open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
                || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY);
            self.quota.audit.touched(parent, &path, write);
            if let Ok(opened) = &opened {
                self.quota.audit.opened(parent, &path, opened.rep());
            }
        }
        if opened.is_err() {
            self.quota.files.shrink(1);
        }
        opened
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        self.quota.audit.touched(fd.rep(), "", false);
        let slot = self.slot()?;
        let bytes = self.listing_bytes(&fd).await?;
        self.quota.memory.grow_or_stop(bytes).map_err(FsError::trap)?;
        match self.inner.read_directory(fd).await {
            Ok(stream) => {
                // Counted as open until `drop` below, like a descriptor.
                slot.keep();
                self.listings.insert(stream.rep(), bytes);
                Ok(stream)
            }
            Err(error) => {
                self.quota.memory.shrink(bytes);
                Err(error)
            }
        }
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        let slot = self.slot()?;
        let handle = self.dirs.handle(&fd);
        let stream = self.inner.read_via_stream(fd, offset)?;
        let place = self.inner.table.get_mut(&stream)?;
        let inner = std::mem::replace(place, Box::new(wasmtime_wasi::p2::pipe::ClosedInputStream));
        *place = Box::new(Counted { inner, _slot: slot, _handle: handle });
        Ok(stream)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.slot()?;
        let same = Resource::new_borrow(fd.rep());
        let stream = self.inner.write_via_stream(fd, offset)?;
        self.count(&stream, &same, Some(offset), slot)?;
        Ok(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let slot = self.slot()?;
        let same = Resource::new_borrow(fd.rep());
        let stream = self.inner.append_via_stream(fd)?;
        self.count(&stream, &same, None, slot)?;
        Ok(stream)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        let rep = fd.rep();
        HostDescriptor::drop(&mut self.inner, fd)?;
        self.quota.audit.closed(rep);
        self.dirs.closed(rep);
        self.quota.files.shrink(1);
        Ok(())
    }
}

impl HostDirectoryEntryStream for FilesystemView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.inner.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let rep = stream.rep();
        HostDirectoryEntryStream::drop(&mut self.inner, stream)?;
        self.quota.memory.shrink(self.listings.remove(&rep).unwrap_or(0));
        self.quota.files.shrink(1);
        Ok(())
    }
}
