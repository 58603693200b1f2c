//! Running the `host` program, like any user does: the xtask links nothing of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::cargo;

/// The program, built.
pub(crate) struct Host {
    root: PathBuf,
    program: PathBuf,
}

/// What became of one case.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) name: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) problems: Vec<Problem>,
}

/// One thing that is wrong in a case.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Problem {
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) lines: Vec<String>,
}

impl Verdict {
    pub(crate) fn passed(&self) -> bool {
        self.status == "passed"
    }

    /// What is wrong, on one line.
    pub(crate) fn text(&self) -> String {
        let problems = self.problems.iter().map(|problem| {
            let lines: Vec<&str> = problem.lines.iter().map(|line| line.trim()).collect();
            if lines.is_empty() {
                problem.message.clone()
            } else {
                format!("{}: {}", problem.message, lines.join(" | "))
            }
        });
        problems.collect::<Vec<_>>().join("; ")
    }
}

impl Host {
    /// Builds the program.
    pub(crate) fn built(root: &Path) -> Result<Self> {
        // With the features that tests of the whole workspace build it with, so that nothing is compiled twice.
        cargo::run(root, &["build", "--workspace", "--bin", "host"])?;
        let program =
            cargo::target_directory(root)?.join("debug").join(format!("host{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { root: root.to_owned(), program })
    }

    fn run(&self, args: &[&Path]) -> Result<(Option<i32>, String, String)> {
        let output = Command::new(&self.program)
            .current_dir(&self.root)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("failed to start `{}`", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }

    /// Runs a component. Returns the exit status, and what it printed on standard output and then on standard error.
    pub(super) fn invoke(&self, component: &Path, flags: &[String], input: &str) -> Result<(Option<i32>, String)> {
        use std::io::Write as _;
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).arg("run").args(flags).arg(component);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("failed to start `{}`", self.program.display()))?;
        // Inputs are a few bytes, which fit into the pipe; a guest that reads none of them is no error.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().context("failed to wait for the host")?;
        let text = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
    }

    /// The verdicts of all cases of some files on a component.
    pub(crate) fn test(&self, component: &Path, cases: &[PathBuf]) -> Result<Vec<Verdict>> {
        #[derive(Deserialize)]
        struct File {
            cases: Vec<Verdict>,
        }
        let mut args = vec![Path::new("test"), Path::new("--json"), component];
        args.extend(cases.iter().map(PathBuf::as_path));
        let (status, out, err) = self.run(&args)?;
        if !matches!(status, Some(0 | 1)) {
            bail!("`host test` can't try `{}`: {}", component.display(), err.trim());
        }
        let files: Vec<File> = serde_json::from_str(&out).context("failed to read what `host test` printed")?;
        Ok(files.into_iter().flat_map(|file| file.cases).collect())
    }

    /// The codes of all errors with which a component doesn't fit a world.
    pub(crate) fn check(&self, component: &Path, world: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Report {
            findings: Vec<Finding>,
        }
        #[derive(Deserialize)]
        struct Finding {
            severity: String,
            code: String,
        }
        let (status, out, err) =
            self.run(&[Path::new("check"), Path::new("--json"), Path::new("--world"), Path::new(world), component])?;
        if !matches!(status, Some(0 | 1)) {
            bail!("`host check` can't read `{}`: {}", component.display(), err.trim());
        }
        let report: Report = serde_json::from_str(&out).context("failed to read what `host check` printed")?;
        Ok(report.findings.into_iter().filter(|finding| finding.severity == "error").map(|found| found.code).collect())
    }
}
