const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .wasi });
    const bindings = b.createModule(.{ .root_source_file = b.path("bindings/bindings.zig") });
    const job = b.addExecutable(.{
        .name = "my-job",
        .root_module = b.createModule(.{
            .root_source_file = b.path("src/job.zig"),
            .target = target,
            .optimize = .ReleaseSmall,
            .link_libc = true,
            // The host shows the names of functions when the job traps.
            .strip = false,
        }),
    });
    // A module without a main function.
    job.entry = .disabled;
    job.wasi_exec_model = .reactor;
    job.root_module.addImport("bindings", bindings);
    job.root_module.addCSourceFile(.{ .file = b.path("bindings/sandbox_pure.c"), .flags = &.{"-w"} });
    job.root_module.addObjectFile(b.path("bindings/sandbox_pure_component_type.o"));
    b.installArtifact(job);
}
