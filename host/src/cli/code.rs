//! Where compiled code is kept, and what it is compiled with: flags that every command which runs components has.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use host::outcome::Refusal;
use host::{ArtifactKey, CACHE_BYTES, Cache, CacheError, ChildCompiler, Host, HostBuilder, Stop, escape};

use super::report;

/// The variable that says where the cache is.
const VARIABLE: &str = "HOST_CACHE";

/// What switches the cache off, in place of a folder.
const OFF: &str = "off";

#[derive(Debug, Args)]
pub(super) struct CodeFlags {
    /// Keep compiled code in this folder, or nowhere with `off` [default: $HOST_CACHE, or `host` in the user's cache folder]
    #[arg(long, value_name = "DIR", help_heading = "Compiling")]
    cache: Option<PathBuf>,

    /// How much compiled code is kept; what was used longest ago goes first [default: 2GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Compiling")]
    cache_size: Option<host::policy::Bytes>,

    /// Make and check compiled code with the key in this file, 64 hexadecimal digits, instead of the cache's own: so that
    /// one machine can compile for others. Who knows the key can make code that runs outside every limit
    #[arg(long, value_name = "FILE", help_heading = "Compiling")]
    artifact_key: Option<PathBuf>,
}

impl CodeFlags {
    /// A host that compiles in a child process and keeps the code.
    pub(super) fn host(&self) -> Result<HostBuilder<()>, Stop> {
        let key = self.key()?;
        let mut builder = Host::builder().compile_in(ChildCompiler::this_program());
        if let Some(key) = &key {
            builder = builder.artifact_key(key.clone());
        }
        Ok(match self.cache(key) {
            Some(cache) => builder.cache(cache),
            None => builder,
        })
    }

    /// The key that was given.
    pub(super) fn key(&self) -> Result<Option<ArtifactKey>, Stop> {
        self.artifact_key.as_deref().map(read_key).transpose()
    }

    /// The cache, unless there is to be none. One that can't be used is said and done without.
    pub(super) fn cache(&self, key: Option<ArtifactKey>) -> Option<Cache> {
        let opened = Cache::open(self.dir()?, self.cache_size.map_or(CACHE_BYTES, |size| size.0), key);
        let refused = |error: &CacheError| {
            report::warning(&format!("{}; going on without it", escape(&error.to_string())));
        };
        opened.inspect_err(refused).ok()
    }

    fn dir(&self) -> Option<PathBuf> {
        let asked =
            self.cache.clone().or_else(|| std::env::var_os(VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from));
        let default = || {
            let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
            Some(absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?.join("host"))
        };
        asked.or_else(default).filter(|dir| dir != Path::new(OFF))
    }
}

fn read_key(path: &Path) -> Result<ArtifactKey, Stop> {
    let shown = escape(&path.display().to_string());
    let refused = |message: String| {
        Stop::refused(Refusal::Unreadable, message, "make one with `openssl rand -hex 32`, readable by its owner alone")
    };
    // A key is one line, and what isn't a plain file could keep this waiting for ever.
    let read = || match std::fs::metadata(path)?.is_file() {
        true => {
            let mut text = String::new();
            std::fs::File::open(path)?.take(1024).read_to_string(&mut text).map(|_| text)
        }
        false => Err(std::io::Error::other("it is no plain file")),
    };
    let text = read().map_err(|error| refused(format!("the artifact key `{shown}` can't be read: {error}")))?;
    ArtifactKey::parse(&text).ok_or_else(|| refused(format!("the artifact key `{shown}` is not 64 hexadecimal digits")))
}
