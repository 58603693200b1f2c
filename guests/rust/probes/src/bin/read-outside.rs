//! `read-outside [LINK]`: tries to leave the first directory that it was given, in every way it knows, and prints one
//! line for each: `name: refused <why>`, or `name: ALLOWED`.
//!
//! `LINK` is a path inside the directory that goes through a symbolic link to the outside, made by whoever runs this.
//! The calls go to the host directly: the C library would refuse some of them on its own, and show nothing.

use std::fs;

use probes::optional;
use probes::wasi::filesystem::preopens::get_directories;
use probes::wasi::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

type Attempt = Result<(), ErrorCode>;

fn main() {
    // These two go through the C library, as an honest program's mistakes would.
    report("std-parent", fs::read_dir("..").map(drop).map_err(|error| error.kind()));
    report("std-absolute", fs::read("/etc/passwd").map(drop).map_err(|error| error.kind()));

    let directories = get_directories();
    let Some((directory, _)) = directories.first() else {
        println!("no directory");
        return;
    };
    attempt("parent", open(directory, "..", OpenFlags::DIRECTORY));
    attempt("parent-file", open(directory, "../outside.txt", OpenFlags::empty()));
    attempt("dot-parent-file", open(directory, "./../outside.txt", OpenFlags::empty()));
    attempt("absolute", open(directory, "/etc/passwd", OpenFlags::empty()));
    attempt("stat-parent", directory.stat_at(PathFlags::SYMLINK_FOLLOW, "..").map(drop));
    if let Some(link) = optional::<String>(1) {
        attempt("given-link", open(directory, &link, OpenFlags::empty()));
        attempt("stat-given-link", directory.stat_at(PathFlags::SYMLINK_FOLLOW, &link).map(drop));
    }
    attempt("create-outside", create(directory, "../probe-created"));
    attempt("directory-outside", directory.create_directory_at("../probe-directory"));
    attempt("absolute-link", directory.symlink_at("/etc/passwd", "probe-absolute-link"));
    attempt("follow-own-link", follow_own_link(directory));
    attempt("link-in", link(directory, "../outside.txt", "probe-linked"));
    attempt("file-inside", create(directory, "probe-file"));
    attempt("rename-out", directory.rename_at("probe-file", directory, "../probe-renamed"));
    attempt("link-out", link(directory, "probe-file", "../probe-linked"));
    for left in ["probe-absolute-link", "probe-own-link", "probe-linked", "probe-file"] {
        // Most of them are not there, if all is well.
        let _ = directory.unlink_file_at(left);
    }
}

fn open(directory: &Descriptor, path: &str, flags: OpenFlags) -> Attempt {
    directory.open_at(PathFlags::SYMLINK_FOLLOW, path, flags, DescriptorFlags::READ).map(drop)
}

fn create(directory: &Descriptor, path: &str) -> Attempt {
    directory.open_at(PathFlags::empty(), path, OpenFlags::CREATE, DescriptorFlags::WRITE).map(drop)
}

fn link(directory: &Descriptor, from: &str, to: &str) -> Attempt {
    directory.link_at(PathFlags::empty(), from, directory, to)
}

/// A link to the outside that is allowed to be made must still not be followed.
fn follow_own_link(directory: &Descriptor) -> Attempt {
    directory.symlink_at("../outside.txt", "probe-own-link")?;
    open(directory, "probe-own-link", OpenFlags::empty())
}

fn attempt(name: &str, result: Attempt) {
    report(name, result.map_err(|code| code.name()));
}

fn report<E: std::fmt::Display>(name: &str, result: Result<(), E>) {
    match result {
        Ok(()) => println!("{name}: ALLOWED"),
        Err(why) => println!("{name}: refused {why}"),
    }
}
