//! `fill STEP...`: changes files and directories, one step after another, and prints what came of each. Status 1 if one
//! failed.
//!
//! Steps: `write=PATH,BYTES` (from the beginning, without shortening), `at=PATH,OFFSET,BYTES`, `append=PATH,BYTES`,
//! `size=PATH,BYTES`, `create=PATH` (shortens what is there), `new=PATH` (fails if it is there), `mkdir=PATH`,
//! `rmdir=PATH`, `remove=PATH`, `rename=PATH,PATH`, `link=PATH,PATH`, `symlink=TARGET,NAME` (in the first directory),
//! `hold=PATH` (opens and keeps it), `more=BYTES` (at the end of the last one kept), `peek=PATH` (keeps it for reading),
//! `close` (all that is kept), `direct=NAME,OFFSET,BYTES` and `stream=NAME,OFFSET,BYTES` (one call, without a stream and with
//! one, in the first directory).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};

use probes::wasi::filesystem::preopens::get_directories;
use probes::wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags, filesystem_error_code};
use probes::wasi::io::streams::StreamError;
use probes::{exit, fail};

fn parts<const N: usize>(value: &str) -> [&str; N] {
    let found: Vec<&str> = value.split(',').collect();
    found.try_into().unwrap_or_else(|_| fail(2, format_args!("`{value}` has not {N} parts")))
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|error| fail(2, format_args!("`{text}`: {error}")))
}

fn bytes(count: &str) -> Vec<u8> {
    vec![b'x'; usize::try_from(number(count)).unwrap_or(usize::MAX)]
}

fn writer() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    options
}

fn step(kept: &mut Vec<File>, name: &str, value: &str) -> io::Result<()> {
    match name {
        "write" => {
            let [path, count] = parts(value);
            writer().open(path)?.write_all(&bytes(count))
        }
        "at" => {
            let [path, offset, count] = parts(value);
            let mut file = writer().open(path)?;
            file.seek(SeekFrom::Start(number(offset)))?;
            file.write_all(&bytes(count))
        }
        "append" => {
            let [path, count] = parts(value);
            OpenOptions::new().append(true).create(true).open(path)?.write_all(&bytes(count))
        }
        "size" => {
            let [path, count] = parts(value);
            writer().open(path)?.set_len(number(count))
        }
        "create" => File::create(value).map(drop),
        "new" => File::create_new(value).map(drop),
        "mkdir" => fs::create_dir(value),
        "rmdir" => fs::remove_dir(value),
        "remove" => fs::remove_file(value),
        "rename" => {
            let [from, to] = parts(value);
            fs::rename(from, to)
        }
        "link" => {
            let [from, to] = parts(value);
            fs::hard_link(from, to)
        }
        "hold" => {
            kept.push(writer().open(value)?);
            Ok(())
        }
        "peek" => {
            kept.push(File::open(value)?);
            Ok(())
        }
        "more" => {
            let file = kept.last_mut().ok_or(io::ErrorKind::NotFound)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(&bytes(value))
        }
        "close" => {
            kept.clear();
            Ok(())
        }
        "symlink" | "direct" | "stream" => raw(name, value),
        other => fail(2, format_args!("there is no step `{other}`")),
    }
}

fn raw(name: &str, value: &str) -> io::Result<()> {
    let directories = get_directories();
    let (directory, _) = directories.first().ok_or(io::ErrorKind::NotFound)?;
    let result = match name {
        "symlink" => {
            let [target, link] = parts(value);
            directory.symlink_at(target, link)
        }
        _ => {
            let [path, offset, count] = parts(value);
            let (flags, open) = (DescriptorFlags::WRITE, OpenFlags::CREATE);
            let file = directory.open_at(PathFlags::empty(), path, open, flags);
            file.and_then(|file| match name {
                "direct" => file.write(&bytes(count), number(offset)).map(drop),
                _ => {
                    let stream = file.write_via_stream(number(offset))?;
                    stream.blocking_write_and_flush(&bytes(count)).map_err(|error| match error {
                        StreamError::LastOperationFailed(error) => {
                            filesystem_error_code(&error).unwrap_or(ErrorCode::Io)
                        }
                        StreamError::Closed => ErrorCode::Pipe,
                    })
                }
            })
        }
    };
    result.map_err(|code| io::Error::other(code.name()))
}

fn main() {
    let mut kept = Vec::new();
    let mut failed = false;
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        match step(&mut kept, name, value) {
            Ok(()) => println!("{argument}: done"),
            Err(error) => {
                println!("{argument}: {error}");
                failed = true;
            }
        }
    }
    if failed {
        exit(1)
    }
}
