//! A project as files in memory, and writing it: all of it or nothing.
//!
//! Everything goes into a folder beside the place, which is renamed into it as the last step. The renaming fails where
//! something has come to be there in the meantime, so that nothing is ever overwritten.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::languages::{COMMON, File, README, Template, WIT};

/// The name of a project and of its folder: ASCII letters, digits, `-` and `_`, beginning with a letter. So it can
/// stand in a path, in a shell, in a makefile and in the sources of every language as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(String);

/// A project that is ready to be written.
pub(super) struct Project {
    name: Name,
    template: &'static Template,
    files: Vec<(String, Vec<u8>)>,
}

/// Why a project could not be written.
#[derive(Debug)]
pub(super) struct WriteError {
    pub(super) message: String,
    pub(super) hint: &'static str,
}

impl Name {
    /// More than this is no name, and some file systems stop at 255 for a file.
    const LONGEST: usize = 64;

    /// Reads a name.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(is_allowed) {
            return Err("a name begins with a letter and has letters, digits, `-` and `_`".to_owned());
        }
        if text.len() > Self::LONGEST {
            return Err(format!("a name has {} characters at the most", Self::LONGEST));
        }
        Ok(Self(text.to_owned()))
    }

    /// A text with this name in the place of the one that the templates have. Some languages want another spelling
    /// where the name is a part of the program.
    fn fill(&self, text: &str) -> String {
        text.replace("my-job", &self.0).replace("my_job", &self.0.to_ascii_lowercase().replace('-', "_"))
    }
}

impl Project {
    /// Puts a project together.
    pub(super) fn new(name: &Name, template: &'static Template) -> Self {
        let mut project = Self { name: name.clone(), template, files: Vec::new() };
        for file in template.files.iter().copied().flatten().chain(COMMON) {
            project.files.push((file.path.to_owned(), project.filled(file)));
        }
        // The contract is not the project's to change, whatever words it has.
        project.files.extend(WIT.iter().map(|file| (file.path.to_owned(), file.bytes.to_vec())));
        project.files.push(("README.md".to_owned(), project.readme().into_bytes()));
        project.files.sort();
        project
    }

    /// The file with the project's name in it. What is not text has no name in it.
    fn filled(&self, file: &File) -> Vec<u8> {
        std::str::from_utf8(file.bytes).map_or_else(|_| file.bytes.to_vec(), |text| self.name.fill(text).into_bytes())
    }

    /// The commands that build and run it, from within its folder.
    fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = self.template.build.iter().map(|command| self.name.fill(command)).collect();
        let component = self.name.fill(self.template.component);
        commands.push(format!(r"printf 'one two\nthree\n' | host run --config name=Ada {component}"));
        commands
    }

    fn readme(&self) -> String {
        let Template { title, needs, component, main, parts, notes, .. } = self.template;
        let mut rows = String::new();
        for (path, what) in *parts {
            // Writing to a string can't fail.
            let _ = write!(rows, "\n| [{path}]({path}) | {what} |");
        }
        let text = README
            .replace("{{language}}", title)
            .replace("{{needs}}", needs)
            .replace("{{commands}}", &self.commands().join("\n"))
            .replace("{{main}}", main)
            .replace("\n{{parts}}", &rows)
            .replace("{{component}}", component)
            .replace("{{notes}}\n", notes);
        self.name.fill(&text)
    }

    /// What was written, and what to do next.
    pub(super) fn summary(&self) -> String {
        let Name(name) = &self.name;
        let mut text = format!("Created a project in {} in `{name}`:\n", self.template.title);
        let (contract, files): (Vec<_>, Vec<_>) = self.files.iter().partition(|(path, _)| path.starts_with("wit/"));
        for (path, _) in files {
            // Writing to a string can't fail.
            let _ = writeln!(text, "  {path}");
        }
        let _ = writeln!(text, "  wit/ ({} files)\n\n{}\n\nBuild and run it:", contract.len(), self.template.needs);
        let _ = writeln!(text, "  cd {name}");
        for command in self.commands() {
            let _ = writeln!(text, "  {command}");
        }
        text
    }

    /// Writes it as a folder in a folder.
    pub(super) fn write(&self, parent: &Path) -> Result<(), WriteError> {
        let place = parent.join(&self.name.0);
        self.check(&place)?;
        let temporary = parent.join(format!(".{}.{}.tmp", self.name.0, std::process::id()));
        let written = self.write_files(&temporary).and_then(|()| match std::fs::rename(&temporary, &place) {
            // Something is there by now; that check says it best.
            Err(error) => self.check(&place).and(Err(WriteError::io(&self.name.0, &error))),
            Ok(()) => Ok(()),
        });
        if written.is_err() {
            // If it can't be removed either, the error already says where the trouble is.
            let _ = std::fs::remove_dir_all(&temporary);
        }
        written
    }

    /// Refuses a place that has something in it.
    fn check(&self, place: &Path) -> Result<(), WriteError> {
        let Name(name) = &self.name;
        let taken = match std::fs::symlink_metadata(place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(WriteError::io(name, &error)),
            Ok(meta) if !meta.is_dir() => "is no folder",
            Ok(_) => match std::fs::read_dir(place).map(|mut entries| entries.next().is_none()) {
                Ok(true) => return Ok(()),
                Ok(false) => "is not empty",
                Err(error) => return Err(WriteError::io(name, &error)),
            },
        };
        let message = format!("`{name}` is there already and {taken}");
        Err(WriteError { message, hint: "nothing was changed; choose another name, or move it away" })
    }

    fn write_files(&self, folder: &Path) -> Result<(), WriteError> {
        std::fs::create_dir(folder).map_err(|error| WriteError::io(&self.name.0, &error))?;
        for (path, bytes) in &self.files {
            let file = folder.join(path);
            let written = file.parent().map_or(Ok(()), std::fs::create_dir_all);
            written
                .and_then(|()| std::fs::write(&file, bytes))
                .map_err(|error| WriteError::io(&format!("{}/{path}", self.name.0), &error))?;
        }
        Ok(())
    }
}

impl WriteError {
    fn io(path: &str, error: &io::Error) -> Self {
        let message = format!("failed to create `{path}`: {error}");
        Self { message, hint: "nothing was left behind; go to a folder that you may write to, with room on its disk" }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::ValueEnum as _;

    use super::super::languages::Language;
    use super::*;

    fn project(name: &str) -> Project {
        Project::new(&Name::parse(name).unwrap(), Language::C.template())
    }

    #[test]
    fn a_name_is_safe_wherever_it_stands() {
        for name in ["a", "Job", "word-count", "word_count-2", &"n".repeat(64)] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "-a", "_a", ".", "..", "a.b", "a/b", "a b", "a$b", "jörg", "a\n", &"n".repeat(65)] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn every_language_has_a_whole_project_and_no_mark_is_left() {
        for language in Language::value_variants() {
            let template = language.template();
            let project = Project::new(&Name::parse("Some-Name").unwrap(), template);
            let paths: Vec<&str> = project.files.iter().map(|(path, _)| &**path).collect();
            assert!(paths.windows(2).all(|pair| pair[0] != pair[1]), "{language:?}: {paths:?}");
            assert!(paths.contains(&template.main), "{language:?}");
            for (part, _) in template.parts {
                assert!(paths.iter().any(|path| Path::new(path).starts_with(part)), "{language:?}: {part}");
            }
            for (path, bytes) in project.files.iter().filter(|(path, _)| !path.starts_with("wit/")) {
                let text = String::from_utf8_lossy(bytes);
                assert!(!["my-job", "my_job", "{{"].iter().any(|mark| text.contains(mark)), "{language:?}: {path}");
            }
            let readme = project.readme();
            assert!(readme.lines().count() <= 80, "{language:?}: the README is longer than a page");
            for command in project.commands() {
                assert!(readme.contains(&command) && project.summary().contains(&command), "{language:?}");
            }
        }
    }

    #[test]
    fn a_folder_that_has_something_in_it_stays_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("full")).unwrap();
        fs::write(parent.path().join("full/kept"), "kept").unwrap();
        let error = project("full").write(parent.path()).unwrap_err();
        assert_eq!(error.message, "`full` is there already and is not empty");
        fs::write(parent.path().join("file"), "kept").unwrap();
        let error = project("file").write(parent.path()).unwrap_err();
        assert_eq!(error.message, "`file` is there already and is no folder");
        std::os::unix::fs::symlink("nowhere", parent.path().join("link")).unwrap();
        assert!(project("link").write(parent.path()).is_err());
        assert_eq!(fs::read_dir(parent.path().join("full")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_empty_folder_is_filled_and_nothing_else_is_left() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("empty")).unwrap();
        project("empty").write(parent.path()).unwrap();
        assert!(parent.path().join("empty/src/job.c").is_file());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_comes_to_be_there_while_files_are_written_is_not_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("race");
        let project = project("race");
        project.check(&place).unwrap();
        project.write_files(&parent.path().join("other")).unwrap();
        fs::create_dir(&place).unwrap();
        fs::write(place.join("kept"), "kept").unwrap();
        assert!(fs::rename(parent.path().join("other"), &place).is_err());
        assert_eq!(fs::read(place.join("kept")).unwrap(), b"kept");
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let error = project("a").write(&parent.path().join("gone")).unwrap_err();
        assert!(error.message.starts_with("failed to create `a`: "), "{}", error.message);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
