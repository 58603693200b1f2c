//! Programs: arguments, environment, standard streams and directories, for components and for core modules.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use crate::support::{Run, root, run_probe};

const PROGRAM: &str = r#"
use std::io::Read;
fn main() {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    println!("args {:?}", std::env::args().skip(1).collect::<Vec<_>>());
    println!("env {:?}", std::env::vars().collect::<Vec<_>>());
    println!("stdin {input:?}");
    println!("inside {:?}", std::fs::read_to_string("/data/file.txt").ok());
    for path in ["/data/../outside.txt", "/data/relative-link", "/data/absolute-link", "/etc/passwd", "../outside.txt"] {
        println!("{path} {:?}", std::fs::read_to_string(path).ok());
    }
}
"#;

/// A package as `cargo new` makes it, built for a target as plain `cargo build` does.
fn built(target: &str) -> PathBuf {
    static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
        let folder = root().join("target/tmp/plain-program");
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest = "[package]\nname = \"plain\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::write(folder.join("src/main.rs"), PROGRAM).unwrap();
        folder
    });
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--target", target])
        .current_dir(&*PACKAGE)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PACKAGE.join(format!("target/{target}/debug/plain.wasm"))
}

#[test]
fn a_plain_program_runs_for_either_target_and_stays_inside() {
    for (target, form) in [("wasm32-wasip2", "component"), ("wasm32-wasip1", "module")] {
        let program = built(target);
        let outer = tempfile::tempdir().unwrap();
        let inside = outer.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("file.txt"), "inside").unwrap();
        fs::write(outer.path().join("outside.txt"), "outside").unwrap();
        std::os::unix::fs::symlink("../outside.txt", inside.join("relative-link")).unwrap();
        std::os::unix::fs::symlink(outer.path().join("outside.txt"), inside.join("absolute-link")).unwrap();
        let ran = Run::new(program)
            .flag("--env", "A=b c")
            .flag("--dir", format!("{}::/data::ro", inside.display()))
            .stdin("in\n")
            .args(&["one", "--two", "drei vier"]);
        ran.ended("returned", 0);
        let expected = "args [\"one\", \"--two\", \"drei vier\"]\nenv [(\"A\", \"b c\")]\nstdin \"in\\n\"\ninside Some(\"inside\")\n\
                        /data/../outside.txt None\n/data/relative-link None\n/data/absolute-link None\n\
                        /etc/passwd None\n../outside.txt None\n";
        assert_eq!(ran.text(), expected, "{target}");
        assert_eq!(ran.at("/component/form").as_str(), Some(form));
        assert_eq!(ran.at("/component/world").as_str(), Some("command"));
    }
}

#[test]
fn standard_input_streams_without_being_held() {
    let input = "line of input that is not held\n".repeat(1 << 20);
    let ran = run_probe("args-env-stdin").flag("--output", "64MiB").flag("--memory", "256MiB").stdin(&input).go();
    assert!(ran.ended("returned", 0).text().ends_with("LINE OF INPUT THAT IS NOT HELD\n"));
}

#[test]
fn text_and_standard_input_are_components_too() {
    let program = "(component (core module $m (func (export \"run\") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i \"run\")))
        (instance $command (export \"run\" (func $run)))
        (export \"wasi:cli/run@0.2.3\" (instance $command)))";
    let ran = Run::new("-").stdin(program).go();
    ran.ended("failed", 1);
    assert_eq!(ran.at("/component/form").as_str(), Some("component-text"));
    let module = "(module (memory (export \"memory\") 1) (func (export \"_start\")))";
    let ran = Run::new("-").stdin(module).go();
    ran.ended("returned", 0);
    assert_eq!(ran.at("/component/form").as_str(), Some("module-text"));
}

#[test]
fn the_digest_is_the_one_of_the_file() {
    let path = crate::support::probe("clock");
    let ran = Run::new(&path).go();
    let output = Command::new("sha256sum").arg(&path).output().unwrap();
    let sum = String::from_utf8(output.stdout).unwrap();
    let expected = format!("sha256:{}", sum.split_whitespace().next().unwrap());
    assert_eq!(ran.at("/component/digest").as_str(), Some(expected.as_str()));
}

/// Two components within one, with a string between them: the engine makes code of its own for that.
#[test]
fn a_component_that_is_composed_of_others_runs() {
    let text = r#"(component
        (component $inner
          (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "length") (param i32 i32) (result i32) (local.get 1)))
          (core instance $i (instantiate $m))
          (func (export "length") (param "text" string) (result u32)
            (canon lift (core func $i "length") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
        (component $outer
          (import "length" (func $length (param "text" string) (result u32)))
          (core module $libc (memory (export "memory") 1) (data (i32.const 8) "four"))
          (core instance $libc (instantiate $libc))
          (core func $lowered (canon lower (func $length) (memory (core memory $libc "memory"))))
          (core module $m
            (import "l" "length" (func $length (param i32 i32) (result i32)))
            (func (export "measure") (result i32) (call $length (i32.const 8) (i32.const 4))))
          (core instance $i (instantiate $m (with "l" (instance (export "length" (func $lowered))))))
          (func (export "measure") (result u32) (canon lift (core func $i "measure"))))
        (instance $inner (instantiate $inner))
        (instance $outer (instantiate $outer (with "length" (func $inner "length"))))
        (export "measure" (func $outer "measure")))"#;
    let ran = Run::new("-").flag("--invoke", "measure()").stdin(text).go();
    assert_eq!(ran.ended("returned", 0).text(), "4\n");
}

/// What a caller passes on to a guest is never a flag of the host's, least of all a grant.
#[test]
fn everything_after_the_component_is_the_guests() {
    let ran = run_probe("args-env-stdin").args(&["--dir=/::/", "--memory", "1B", "-q", "--", "--help"]);
    let text = ran.ended("returned", 0).text();
    for arg in ["--dir=/::/", "--memory", "1B", "-q", "--", "--help"] {
        assert!(text.lines().any(|line| line.contains(arg)), "no `{arg}` in {text}");
    }
    assert_eq!(ran.number("/limits/memory"), 128 << 20);
    let marked = run_probe("args-env-stdin").args(&["--", "--quiet"]);
    assert!(marked.ended("returned", 0).text().contains("--quiet"));
    let output =
        crate::support::host().args(["run", "--dri", "x"]).arg(crate::support::probe("clock")).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a flag before the component is a flag");
}
