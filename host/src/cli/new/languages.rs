//! What a project consists of in each language: files, how to build it, and where the result is.
//!
//! All of it works as it stands in `host/templates`, as a project called `my-job`: that name is the only thing that is
//! replaced, apart from the marks in the common README. What is generated from `wit/`, and which version of which tool
//! is used, is the same as for the sample guests, and a test checks that it is.

use clap::ValueEnum;

/// A language that a project can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// Rust, with cargo
    Rust,
    /// C, with make and the compiler inside zig
    C,
    /// C++, with make and the compiler inside zig
    Cpp,
    /// Go, with make
    Go,
    /// JavaScript, with npm, on the engine QuickJS or StarlingMonkey
    Js,
    /// TypeScript, with npm, on the engine QuickJS or StarlingMonkey
    Ts,
    /// Python, with make and componentize-py
    Python,
    /// Zig
    Zig,
}

/// A file of a project: its path in there, and what is in it.
#[derive(Clone, Copy)]
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) bytes: &'static [u8],
}

/// What a project in one language consists of.
pub(super) struct Template {
    /// The language's name, as people write it.
    pub(super) title: &'static str,
    /// What must be there to build it, and what the build fetches.
    pub(super) needs: &'static str,
    /// The commands that build it, one in a line.
    pub(super) build: &'static [&'static str],
    /// Where the result is.
    pub(super) component: &'static str,
    /// The file that has the job in it.
    pub(super) main: &'static str,
    /// The other files and folders that somebody should know about, with what each is.
    pub(super) parts: &'static [(&'static str, &'static str)],
    /// What the README says about the language.
    pub(super) notes: &'static str,
    /// The files in parts: of this language, and of another one that are needed too.
    pub(super) files: &'static [&'static [File]],
}

/// Files below `host/templates`, each as the path that it has in its folder and in the project.
macro_rules! template {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(File {
            path: $path,
            bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $folder, "/", $path)),
        }),*]
    };
}

macro_rules! notes {
    ($folder:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $folder, "/notes.md"))
    };
}

/// Files at the root of the repository, each as the path that it has there.
macro_rules! repository {
    ($($path:literal),* $(,)?) => {
        &[$(File { path: $path, bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../", $path)) }),*]
    };
}

/// The README, with marks in it that are replaced by what a [`Template`] says.
pub(super) const README: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/common/README.md"));

/// In every project. git would take this folder's own `.gitignore` at its word, so it has another name there.
pub(super) const COMMON: &[File] = &[
    File {
        path: ".gitignore",
        bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/common/gitignore")),
    },
    File {
        path: "cases.toml",
        bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/common/cases.toml")),
    },
];

/// The contract, with what it refers to.
pub(super) const WIT: &[File] = repository![
    "wit/budget.wit",
    "wit/config.wit",
    "wit/deps/cli/cli.wit",
    "wit/deps/clocks/clocks.wit",
    "wit/deps/config/store.wit",
    "wit/deps/config/world.wit",
    "wit/deps/filesystem/filesystem.wit",
    "wit/deps/http/http.wit",
    "wit/deps/io/io.wit",
    "wit/deps/keyvalue/atomic.wit",
    "wit/deps/keyvalue/batch.wit",
    "wit/deps/keyvalue/store.wit",
    "wit/deps/keyvalue/watch.wit",
    "wit/deps/keyvalue/world.wit",
    "wit/deps/logging/logging.wit",
    "wit/deps/logging/world.wit",
    "wit/deps/random/random.wit",
    "wit/deps/sockets/sockets.wit",
    "wit/job.wit",
    "wit/log.wit",
    "wit/world.wit",
];

impl Language {
    /// What a project in this language consists of.
    pub(super) fn template(self) -> &'static Template {
        match self {
            Self::Rust => &RUST,
            Self::C => &C,
            Self::Cpp => &CPP,
            Self::Go => &GO,
            Self::Js => &JS,
            Self::Ts => &TS,
            Self::Python => &PYTHON,
            Self::Zig => &ZIG,
        }
    }
}

const RUST: Template = Template {
    title: "Rust",
    needs: "You need Rust from rustup. The build fetches the crate wit-bindgen.",
    build: &["rustup target add wasm32-unknown-unknown", "cargo build --release --target wasm32-unknown-unknown"],
    component: "target/wasm32-unknown-unknown/release/my_job.wasm",
    main: "src/lib.rs",
    parts: &[],
    notes: notes!("rust"),
    files: &[template!("rust": "Cargo.toml", "src/lib.rs")],
};

const C: Template = Template {
    title: "C",
    needs: "You need make and Python with venv (Debian: make, python3-venv). The build fetches zig from \
            PyPI into .venv.",
    build: &["make"],
    component: "build/my-job.wasm",
    main: "src/job.c",
    parts: &[("bindings", "the contract in C, generated from `wit`")],
    notes: notes!("c"),
    files: &[template!("c": "Makefile", "requirements.txt", "src/job.c"), C_BINDINGS],
};

const C_BINDINGS: &[File] = template!("c":
    "bindings/sandbox_pure.c",
    "bindings/sandbox_pure.h",
    "bindings/sandbox_pure_component_type.o",
);

const CPP: Template = Template {
    title: "C++",
    needs: "You need make and Python with venv (Debian: make, python3-venv). The build fetches zig from \
            PyPI into .venv.",
    build: &["make"],
    component: "build/my-job.wasm",
    main: "src/job.cpp",
    parts: &[("bindings", "the contract in C++, generated from `wit`")],
    notes: notes!("cpp"),
    files: &[template!("cpp":
        "Makefile",
        "bindings/sandbox_pure.cpp",
        "bindings/sandbox_pure_component_type.o",
        "bindings/sandbox_pure_cpp.h",
        "bindings/wit.h",
        "requirements.txt",
        "src/job.cpp",
    )],
};

const GO: Template = Template {
    title: "Go",
    needs: "You need make and Python with venv (Debian: make, python3-venv). The build fetches Go from \
            PyPI into .venv.",
    build: &["make"],
    component: "build/my-job.wasm",
    main: "export_sandbox_host_job/run.go",
    parts: &[
        ("sandbox_host_config", "and so on: the contract in Go, generated from `wit`"),
        ("pkg", "what the generated code needs, from its generator"),
        ("component-type.section", "the contract once more, as the build appends it to the module"),
    ],
    notes: notes!("go"),
    files: &[
        template!("go":
            "Makefile",
            "component-type.section",
            "export_sandbox_host_job/run.go",
            "go.mod",
            "pkg/go.mod",
            "pkg/wit/async/async.go",
            "pkg/wit/async/empty.s",
            "pkg/wit/runtime/empty.s",
            "pkg/wit/runtime/runtime.go",
            "pkg/wit/types/future.go",
            "pkg/wit/types/option.go",
            "pkg/wit/types/result.go",
            "pkg/wit/types/stream.go",
            "pkg/wit/types/tuple.go",
            "pkg/wit/types/unit.go",
            "requirements.txt",
            "sandbox_host_budget/empty.s",
            "sandbox_host_budget/wit_bindings.go",
            "sandbox_host_config/empty.s",
            "sandbox_host_config/wit_bindings.go",
            "sandbox_host_job/empty.s",
            "sandbox_host_job/wit_bindings.go",
            "sandbox_host_log/empty.s",
            "sandbox_host_log/wit_bindings.go",
            "wit_exports.go",
        ),
        // The package is under the same licence as this program.
        &[File { path: "pkg/LICENSE", bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../LICENSE")) }],
    ],
};

const JS: Template = Template {
    title: "JavaScript",
    needs: "You need Node.js 20 or newer with npm. `npm install` fetches the tools that make a component, 340 MB.",
    build: &["npm install", "npm run build"],
    component: "build/my-job.wasm",
    main: "job.js",
    parts: &[("bundle.mjs", "what the build leaves to the host")],
    notes: notes!("js"),
    files: &[template!("js": "bundle.mjs", "job.js", "package.json")],
};

const TS: Template = Template {
    title: "TypeScript",
    needs: "You need Node.js 20 or newer with npm. `npm install` fetches the tools that make a component, 340 MB.",
    build: &["npm install", "npm run build"],
    component: "build/my-job.wasm",
    main: "job.ts",
    parts: &[("bundle.mjs", "what the build leaves to the host"), ("tsconfig.json", "what the compiler checks")],
    notes: notes!("ts"),
    files: &[template!("ts": "bundle.mjs", "job.ts", "package.json", "tsconfig.json")],
};

const PYTHON: Template = Template {
    title: "Python",
    needs: "You need make and Python with venv (Debian: make, python3-venv). The build fetches componentize-py from \
            PyPI into .venv.",
    build: &["make"],
    component: "build/my-job.wasm",
    main: "app.py",
    parts: &[],
    notes: notes!("python"),
    files: &[template!("python": "Makefile", "app.py", "requirements.txt")],
};

const ZIG: Template = Template {
    title: "Zig",
    needs: "You need Python with venv (Debian: python3-venv), which fetches zig from PyPI into .venv; or a zig 0.17 \
            of your own, for the last step.",
    build: &[
        "python3 -m venv .venv",
        ".venv/bin/python -m pip install --requirement requirements.txt",
        ".venv/bin/python -m ziglang build",
    ],
    component: "zig-out/bin/my-job.wasm",
    main: "src/job.zig",
    parts: &[("bindings", "the contract in C and Zig, generated from `wit`")],
    notes: notes!("zig"),
    files: &[template!("zig": "bindings/bindings.zig", "build.zig", "requirements.txt", "src/job.zig"), C_BINDINGS],
};
