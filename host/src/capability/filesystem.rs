//! `wasi:filesystem`: the directories that the policy grants, each read-only or read-write.
//!
//! Threat model: a guest climbs out of its directory with `..`, absolute paths, symbolic links that it finds or makes,
//! renames and hard links across directories, or writes where it may only read. wasmtime-wasi resolves every path one
//! component at a time below an open directory and refuses all of these; this file carries each call there and counts
//! what was refused, since every error passes through one conversion. Quotas on bytes and files are absent: a guest
//! with a read-write directory can fill the disk that it is on.

use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream,
    ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::outcome::{Capability, Stop, StopReason};
use crate::policy::OnDenied;
use crate::quota::Quota;

/// What the file system needs: wasmtime-wasi's own view, and where to count what it refuses.
pub(crate) struct FilesystemView<'a> {
    pub(crate) inner: WasiFilesystemCtxView<'a>,
    pub(crate) quota: &'a Quota,
    pub(crate) on_denied: OnDenied,
}

/// Marks [`FilesystemView`] for the linker.
pub(crate) struct Filesystem;

impl HasData for Filesystem {
    type Data<'a> = FilesystemView<'a>;
}

impl preopens::Host for FilesystemView<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        self.inner.get_directories()
    }
}

impl types::Host for FilesystemView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        let code = types::Host::convert_error_code(&mut self.inner, error)?;
        let tried = match code {
            ErrorCode::NotPermitted => "outside the directory, or a write to a read-only one",
            ErrorCode::ReadOnly => "write to read-only",
            ErrorCode::Access => "refused by the operating system",
            _ => return Ok(code),
        };
        self.quota.denied(Capability::Dir, tried);
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

/// Methods that do what wasmtime-wasi does.
macro_rules! delegate {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $result:ty;)*) => {
        $(async fn $name(&mut self, $($arg: $ty),*) -> $result {
            HostDescriptor::$name(&mut self.inner, $($arg),*).await
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
        set_size(fd: Fd, size: Filesize) -> FsResult<()>;
        set_times(fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> FsResult<()>;
        read(fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)>;
        write(fd: Fd, buffer: Vec<u8>, offset: Filesize) -> FsResult<Filesize>;
        read_directory(fd: Fd) -> FsResult<Resource<DirectoryEntryStream>>;
        sync(fd: Fd) -> FsResult<()>;
        create_directory_at(fd: Fd, path: String) -> FsResult<()>;
        stat(fd: Fd) -> FsResult<DescriptorStat>;
        stat_at(fd: Fd, flags: PathFlags, path: String) -> FsResult<DescriptorStat>;
        set_times_at(
            fd: Fd, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp
        ) -> FsResult<()>;
        link_at(fd: Fd, flags: PathFlags, path: String, to: Fd, new_path: String) -> FsResult<()>;
        open_at(
            fd: Fd, path_flags: PathFlags, path: String, open_flags: OpenFlags, flags: DescriptorFlags
        ) -> FsResult<Fd>;
        readlink_at(fd: Fd, path: String) -> FsResult<String>;
        remove_directory_at(fd: Fd, path: String) -> FsResult<()>;
        rename_at(fd: Fd, path: String, to: Fd, new_path: String) -> FsResult<()>;
        symlink_at(fd: Fd, path: String, new_path: String) -> FsResult<()>;
        unlink_file_at(fd: Fd, path: String) -> FsResult<()>;
        is_same_object(fd: Fd, other: Fd) -> wasmtime::Result<bool>;
        metadata_hash(fd: Fd) -> FsResult<MetadataHashValue>;
        metadata_hash_at(fd: Fd, flags: PathFlags, path: String) -> FsResult<MetadataHashValue>;
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.inner.read_via_stream(fd, offset)
    }

    fn write_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynOutputStream>> {
        self.inner.write_via_stream(fd, offset)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.inner.append_via_stream(fd)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.inner, fd)
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
        HostDirectoryEntryStream::drop(&mut self.inner, stream)
    }
}
