//! Calls that change what is in a directory with a quota, each within one's turn and with the difference counted.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::Descriptor as Opened;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, Filesize, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{FsError, FsResult};

use super::account::{Budget, Handle, Over, Seen, id, length};
use super::{Fd, FilesystemView, deny};

/// The directories with a quota, and what is open in them.
pub(crate) struct Directories {
    /// For each directory that is granted, in their order.
    granted: Vec<Option<Budget>>,
    open: HashMap<u32, Held>,
}

struct Held {
    budget: Budget,
    handle: Option<Arc<Handle>>,
}

impl Directories {
    pub(crate) fn new(granted: Vec<Option<Budget>>) -> Self {
        Self { granted, open: HashMap::new() }
    }

    /// Notes what the granted directories are known by from now on.
    pub(super) fn preopened(&mut self, descriptors: impl Iterator<Item = u32>) {
        for (rep, budget) in descriptors.zip(&self.granted) {
            if let Some(budget) = budget.clone() {
                self.open.insert(rep, Held { budget, handle: None });
            }
        }
    }

    pub(super) fn budget(&self, fd: &Fd) -> Option<Budget> {
        self.open.get(&fd.rep()).map(|held| held.budget.clone())
    }

    /// What keeps a file counted as open, for a stream on it.
    pub(super) fn handle(&self, fd: &Fd) -> Option<Arc<Handle>> {
        self.open.get(&fd.rep()).and_then(|held| held.handle.clone())
    }

    pub(super) fn closed(&mut self, rep: u32) {
        self.open.remove(&rep);
    }
}

fn borrow(fd: &Fd) -> Fd {
    Resource::new_borrow(fd.rep())
}

impl FilesystemView<'_> {
    /// The error for a quota without room, which is counted as a denial.
    fn over(&self, over: &Over) -> FsError {
        match deny(self.quota, self.on_denied, over) {
            Ok(()) => ErrorCode::InsufficientSpace.into(),
            Err(stop) => FsError::trap(stop),
        }
    }

    pub(super) fn file(&self, fd: &Fd) -> FsResult<Option<Arc<File>>> {
        Ok(match self.inner.table.get(fd)? {
            Opened::File(file) => Some(Arc::clone(&file.file)),
            Opened::Dir(_) => None,
        })
    }

    pub(super) async fn write_held(&mut self, fd: Fd, buffer: Vec<u8>, at: Filesize) -> FsResult<Filesize> {
        let (Some(budget), Some(file)) = (self.dirs.budget(&fd), self.file(&fd)?) else {
            return self.inner.write(fd, buffer, at).await;
        };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        let growth = turn.grow(&file, at.saturating_add(buffer.len() as u64)).map_err(|over| self.over(&over))?;
        let written = self.inner.write(fd, buffer, at).await;
        growth.settle();
        written
    }

    pub(super) async fn set_size_held(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let (Some(budget), Some(file)) = (self.dirs.budget(&fd), self.file(&fd)?) else {
            return self.inner.set_size(fd, size).await;
        };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        let growth = turn.grow(&file, size).map_err(|over| self.over(&over))?;
        let set = self.inner.set_size(fd, size).await;
        growth.settle();
        set
    }

    /// Opens, and makes where that is asked for. Whoever opens takes a turn too, so that a file can't be opened while its
    /// name goes away.
    pub(super) async fn open_held(
        &mut self,
        fd: Fd,
        paths: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let Some(budget) = self.dirs.budget(&fd) else { return self.inner.open_at(fd, paths, path, open, flags).await };
        let (create, truncate) = (open.contains(OpenFlags::CREATE), open.contains(OpenFlags::TRUNCATE));
        let turn = match create || truncate {
            true => budget.begin().await.map_err(|over| self.over(&over))?,
            false => budget.turn().await,
        };
        let before = match create || truncate {
            true => self.inner.stat_at(borrow(&fd), paths, path.clone()).await.ok(),
            false => None,
        };
        let made = create && before.is_none();
        if made {
            turn.add_name().map_err(|over| self.over(&over))?;
        }
        let opened = match self.inner.open_at(fd, paths, path, open, flags).await {
            Ok(opened) => opened,
            Err(error) => {
                if made {
                    turn.give_name();
                }
                return Err(error);
            }
        };
        let file = self.file(&opened)?;
        if let (true, Some(before), Some(file)) = (truncate, before, &file)
            && before.type_ == DescriptorType::RegularFile
        {
            turn.shrunk(before.size.saturating_sub(length(file)));
        }
        let handle = file.and_then(|file| budget.opened(&file).ok()).map(Arc::new);
        self.dirs.open.insert(opened.rep(), Held { budget: budget.clone(), handle });
        Ok(opened)
    }

    pub(super) async fn create_directory_held(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some(budget) = self.dirs.budget(&fd) else { return self.inner.create_directory_at(fd, path).await };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        turn.add_name().map_err(|over| self.over(&over))?;
        self.inner.create_directory_at(fd, path).await.inspect_err(|_| turn.give_name())
    }

    pub(super) async fn symlink_held(&mut self, fd: Fd, path: String, new: String) -> FsResult<()> {
        let Some(budget) = self.dirs.budget(&fd) else { return self.inner.symlink_at(fd, path, new).await };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        turn.add_name().map_err(|over| self.over(&over))?;
        let bytes = path.len() as u64;
        if let Err(over) = turn.add_link(bytes) {
            turn.give_name();
            return Err(self.over(&over));
        }
        self.inner.symlink_at(fd, path, new).await.inspect_err(|_| {
            turn.give_name();
            turn.shrunk(bytes);
        })
    }

    /// Between directories that count apart, as between two disks: a program copies then, and that is counted.
    fn apart(&self, fd: &Fd, to: &Fd) -> FsResult<Option<Budget>> {
        match (self.dirs.budget(fd), self.dirs.budget(to)) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) if from.same(&to) => Ok(Some(to)),
            _ => Err(ErrorCode::CrossDevice.into()),
        }
    }

    pub(super) async fn link_held(
        &mut self,
        fd: Fd,
        paths: PathFlags,
        path: String,
        to: Fd,
        new: String,
    ) -> FsResult<()> {
        let Some(budget) = self.apart(&fd, &to)? else { return self.inner.link_at(fd, paths, path, to, new).await };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        turn.add_name().map_err(|over| self.over(&over))?;
        self.inner.link_at(fd, paths, path, to, new).await.inspect_err(|_| turn.give_name())
    }

    pub(super) async fn rename_held(&mut self, fd: Fd, path: String, to: Fd, new: String) -> FsResult<()> {
        let Some(budget) = self.apart(&fd, &to)? else { return self.inner.rename_at(fd, path, to, new).await };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        let replaced = self.seen(&to, &new).await?;
        let from = borrow(&fd);
        self.inner.rename_at(fd, path.clone(), to, new).await?;
        // Two names of one file stay what they are, and nothing was replaced.
        let still = self.inner.stat_at(from, PathFlags::empty(), path).await.is_ok();
        if let (Some(replaced), false) = (replaced, still) {
            turn.gone(&replaced);
        }
        Ok(())
    }

    pub(super) async fn unlink_held(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some(budget) = self.dirs.budget(&fd) else { return self.inner.unlink_file_at(fd, path).await };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        let seen = self.seen(&fd, &path).await?;
        self.inner.unlink_file_at(fd, path).await?;
        if let Some(seen) = seen {
            turn.gone(&seen);
        }
        Ok(())
    }

    pub(super) async fn remove_directory_held(&mut self, fd: Fd, path: String) -> FsResult<()> {
        let Some(budget) = self.dirs.budget(&fd) else { return self.inner.remove_directory_at(fd, path).await };
        let turn = budget.begin().await.map_err(|over| self.over(&over))?;
        self.inner.remove_directory_at(fd, path).await?;
        turn.give_name();
        Ok(())
    }

    /// What a name stands for, before it goes away; none where it stands for nothing.
    async fn seen(&mut self, fd: &Fd, path: &str) -> FsResult<Option<Seen>> {
        let Ok(stat) = self.inner.stat_at(borrow(fd), PathFlags::empty(), path.to_owned()).await else {
            return Ok(None);
        };
        if stat.type_ != DescriptorType::RegularFile || stat.link_count > 1 {
            let link = if stat.type_ == DescriptorType::SymbolicLink && stat.link_count == 1 { stat.size } else { 0 };
            return Ok(Some(Seen { only: None, link }));
        }
        // Only an open file says what it is known by. It is one that is regular, so opening it waits for nobody.
        let (none, read) = (OpenFlags::empty(), DescriptorFlags::READ);
        let opened = self.inner.open_at(borrow(fd), PathFlags::empty(), path.to_owned(), none, read).await;
        let id = match opened {
            Ok(opened) => {
                let file = self.file(&opened)?;
                HostDescriptor::drop(&mut self.inner, opened).map_err(FsError::trap)?;
                file.and_then(|file| id(&file).ok())
            }
            Err(_) => None,
        };
        Ok(Some(Seen { only: Some((id, stat.size)), link: 0 }))
    }
}
