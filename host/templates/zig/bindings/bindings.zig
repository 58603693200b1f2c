// The C header sandbox_pure.h, translated by zig, without what comes from the C library's headers.

const __root = @This();
pub const struct_sandbox_pure_string_t = extern struct {
    ptr: [*c]u8 = null,
    len: usize = 0,
    pub const sandbox_host_config_get = __root.sandbox_host_config_get;
    pub const sandbox_pure_string_set = __root.sandbox_pure_string_set;
    pub const sandbox_pure_string_dup = __root.sandbox_pure_string_dup;
    pub const sandbox_pure_string_dup_n = __root.sandbox_pure_string_dup_n;
    pub const sandbox_pure_string_free = __root.sandbox_pure_string_free;
    pub const get = __root.sandbox_host_config_get;
    pub const set = __root.sandbox_pure_string_set;
    pub const dup = __root.sandbox_pure_string_dup;
    pub const n = __root.sandbox_pure_string_dup_n;
    pub const free = __root.sandbox_pure_string_free;
};
pub const sandbox_pure_string_t = struct_sandbox_pure_string_t;
pub const sandbox_pure_option_u64_t = extern struct {
    is_some: bool = false,
    val: u64 = 0,
    pub const sandbox_pure_option_u64_free = __root.sandbox_pure_option_u64_free;
    pub const free = __root.sandbox_pure_option_u64_free;
};
pub const struct_sandbox_host_budget_allowance_t = extern struct {
    memory_bytes: u64 = 0,
    wall_nanoseconds: u64 = 0,
    cpu_nanoseconds: u64 = 0,
    fuel: sandbox_pure_option_u64_t = @import("std").mem.zeroes(sandbox_pure_option_u64_t),
    output_bytes: u64 = 0,
    pub const sandbox_host_budget_remaining = __root.sandbox_host_budget_remaining;
    pub const sandbox_host_budget_allowance_free = __root.sandbox_host_budget_allowance_free;
    pub const remaining = __root.sandbox_host_budget_remaining;
    pub const free = __root.sandbox_host_budget_allowance_free;
};
pub const sandbox_host_budget_allowance_t = struct_sandbox_host_budget_allowance_t;
pub const sandbox_pure_option_string_t = extern struct {
    is_some: bool = false,
    val: sandbox_pure_string_t = @import("std").mem.zeroes(sandbox_pure_string_t),
    pub const sandbox_pure_option_string_free = __root.sandbox_pure_option_string_free;
    pub const free = __root.sandbox_pure_option_string_free;
};
pub const sandbox_pure_tuple2_string_string_t = extern struct {
    f0: sandbox_pure_string_t = @import("std").mem.zeroes(sandbox_pure_string_t),
    f1: sandbox_pure_string_t = @import("std").mem.zeroes(sandbox_pure_string_t),
    pub const sandbox_pure_tuple2_string_string_free = __root.sandbox_pure_tuple2_string_string_free;
    pub const free = __root.sandbox_pure_tuple2_string_string_free;
};
pub const sandbox_pure_list_tuple2_string_string_t = extern struct {
    ptr: [*c]sandbox_pure_tuple2_string_string_t = null,
    len: usize = 0,
    pub const sandbox_host_config_get_all = __root.sandbox_host_config_get_all;
    pub const sandbox_pure_list_tuple2_string_string_free = __root.sandbox_pure_list_tuple2_string_string_free;
    pub const all = __root.sandbox_host_config_get_all;
    pub const free = __root.sandbox_pure_list_tuple2_string_string_free;
};
pub const sandbox_host_log_level_t = u8;
pub const sandbox_pure_list_u8_t = extern struct {
    ptr: [*c]u8 = null,
    len: usize = 0,
    pub const sandbox_pure_list_u8_free = __root.sandbox_pure_list_u8_free;
    pub const free = __root.sandbox_pure_list_u8_free;
};
pub const struct_exports_sandbox_host_job_input_t = extern struct {
    body: sandbox_pure_list_u8_t = @import("std").mem.zeroes(sandbox_pure_list_u8_t),
    content_type: sandbox_pure_option_string_t = @import("std").mem.zeroes(sandbox_pure_option_string_t),
    attributes: sandbox_pure_list_tuple2_string_string_t = @import("std").mem.zeroes(sandbox_pure_list_tuple2_string_string_t),
    pub const exports_sandbox_host_job_run = __root.exports_sandbox_host_job_run;
    pub const exports_sandbox_host_job_input_free = __root.exports_sandbox_host_job_input_free;
    pub const run = __root.exports_sandbox_host_job_run;
    pub const free = __root.exports_sandbox_host_job_input_free;
};
pub const exports_sandbox_host_job_input_t = struct_exports_sandbox_host_job_input_t;
pub const struct_exports_sandbox_host_job_output_t = extern struct {
    body: sandbox_pure_list_u8_t = @import("std").mem.zeroes(sandbox_pure_list_u8_t),
    content_type: sandbox_pure_option_string_t = @import("std").mem.zeroes(sandbox_pure_option_string_t),
    attributes: sandbox_pure_list_tuple2_string_string_t = @import("std").mem.zeroes(sandbox_pure_list_tuple2_string_string_t),
    pub const exports_sandbox_host_job_output_free = __root.exports_sandbox_host_job_output_free;
    pub const free = __root.exports_sandbox_host_job_output_free;
};
pub const exports_sandbox_host_job_output_t = struct_exports_sandbox_host_job_output_t;
const union_unnamed_1 = extern union {
    invalid_input: sandbox_pure_string_t,
    invalid_config: sandbox_pure_string_t,
    other: sandbox_pure_string_t,
};
pub const struct_exports_sandbox_host_job_failure_t = extern struct {
    tag: u8 = 0,
    val: union_unnamed_1 = @import("std").mem.zeroes(union_unnamed_1),
    pub const exports_sandbox_host_job_failure_free = __root.exports_sandbox_host_job_failure_free;
    pub const free = __root.exports_sandbox_host_job_failure_free;
};
pub const exports_sandbox_host_job_failure_t = struct_exports_sandbox_host_job_failure_t;
const union_unnamed_2 = extern union {
    ok: exports_sandbox_host_job_output_t,
    err: exports_sandbox_host_job_failure_t,
};
pub const exports_sandbox_host_job_result_output_failure_t = extern struct {
    is_err: bool = false,
    val: union_unnamed_2 = @import("std").mem.zeroes(union_unnamed_2),
    pub const exports_sandbox_host_job_result_output_failure_free = __root.exports_sandbox_host_job_result_output_failure_free;
    pub const free = __root.exports_sandbox_host_job_result_output_failure_free;
};
pub extern fn sandbox_host_budget_remaining(ret: [*c]sandbox_host_budget_allowance_t) void;
pub extern fn sandbox_host_config_get(key: [*c]sandbox_pure_string_t, ret: [*c]sandbox_pure_string_t) bool;
pub extern fn sandbox_host_config_get_all(ret: [*c]sandbox_pure_list_tuple2_string_string_t) void;
pub extern fn sandbox_host_log_log(level: sandbox_host_log_level_t, context: [*c]sandbox_pure_string_t, message: [*c]sandbox_pure_string_t) void;
pub extern fn exports_sandbox_host_job_run(input: [*c]exports_sandbox_host_job_input_t, ret: [*c]exports_sandbox_host_job_output_t, err: [*c]exports_sandbox_host_job_failure_t) bool;
pub extern fn sandbox_pure_option_u64_free(ptr: [*c]sandbox_pure_option_u64_t) void;
pub extern fn sandbox_host_budget_allowance_free(ptr: [*c]sandbox_host_budget_allowance_t) void;
pub extern fn sandbox_pure_option_string_free(ptr: [*c]sandbox_pure_option_string_t) void;
pub extern fn sandbox_pure_tuple2_string_string_free(ptr: [*c]sandbox_pure_tuple2_string_string_t) void;
pub extern fn sandbox_pure_list_tuple2_string_string_free(ptr: [*c]sandbox_pure_list_tuple2_string_string_t) void;
pub extern fn sandbox_pure_list_u8_free(ptr: [*c]sandbox_pure_list_u8_t) void;
pub extern fn exports_sandbox_host_job_input_free(ptr: [*c]exports_sandbox_host_job_input_t) void;
pub extern fn exports_sandbox_host_job_output_free(ptr: [*c]exports_sandbox_host_job_output_t) void;
pub extern fn exports_sandbox_host_job_failure_free(ptr: [*c]exports_sandbox_host_job_failure_t) void;
pub extern fn exports_sandbox_host_job_result_output_failure_free(ptr: [*c]exports_sandbox_host_job_result_output_failure_t) void;
pub extern fn sandbox_pure_string_set(ret: [*c]sandbox_pure_string_t, s: [*c]const u8) void;
pub extern fn sandbox_pure_string_dup(ret: [*c]sandbox_pure_string_t, s: [*c]const u8) void;
pub extern fn sandbox_pure_string_dup_n(ret: [*c]sandbox_pure_string_t, s: [*c]const u8, len: usize) void;
pub extern fn sandbox_pure_string_free(ret: [*c]sandbox_pure_string_t) void;
pub const SANDBOX_HOST_LOG_LEVEL_TRACE = @as(c_int, 0);
pub const SANDBOX_HOST_LOG_LEVEL_DEBUG = @as(c_int, 1);
pub const SANDBOX_HOST_LOG_LEVEL_INFO = @as(c_int, 2);
pub const SANDBOX_HOST_LOG_LEVEL_WARN = @as(c_int, 3);
pub const SANDBOX_HOST_LOG_LEVEL_ERROR = @as(c_int, 4);
pub const SANDBOX_HOST_LOG_LEVEL_CRITICAL = @as(c_int, 5);
pub const EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_INPUT = @as(c_int, 0);
pub const EXPORTS_SANDBOX_HOST_JOB_FAILURE_INVALID_CONFIG = @as(c_int, 1);
pub const EXPORTS_SANDBOX_HOST_JOB_FAILURE_OTHER = @as(c_int, 2);
