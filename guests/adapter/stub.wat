;; A stand-in for WASI preview 1, for guests of worlds without WASI.
;;
;; The C library of zig and the runtime of Go are made for preview 1: they ask for arguments, the time, random bytes and
;; file descriptors even where the program doesn't. `cargo xtask build-guests` links this module in the place of the
;; usual adapter when it makes a component (`ComponentEncoder::adapter("wasi_snapshot_preview1", …)`), so that the
;; component imports nothing from `wasi:`. What a guest doesn't call is left out of its component.
;;
;; Every answer is the same on every run:
;;   - there are no arguments and no environment variables;
;;   - every clock stands still at one nanosecond (not zero, which Go takes for a broken clock);
;;   - random bytes come from a fixed sequence, because Go doesn't start without any. NEVER make keys or tokens of them;
;;   - what is written to standard output and error is swallowed;
;;   - there are no other files, no sockets and no waiting: an error number says so;
;;   - leaving the program, as C's `exit` and Go's `os.Exit` do, is a trap.
;;
;; Names and signatures are those of preview 1 (`wasi_snapshot_preview1`), and the error numbers too: 8 is `badf`, 52
;; is `nosys`, 0 is success. The module has no memory of its own: it reads and writes the guest's, where the guest says.
(module
  (import "env" "memory" (memory 0))

  ;; ---- arguments and environment: none

  (func (export "args_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_sizes_get") (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  ;; ---- time: stands still

  (func (export "clock_res_get") (param $clock i32) (param $resolution i32) (result i32)
    (i64.store (local.get $resolution) (i64.const 1))
    (i32.const 0))
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $time i32) (result i32)
    (i64.store (local.get $time) (i64.const 1))
    (i32.const 0))
  ;; Not preview 1: Go's bindings ask the adapter to hold the clock while they allocate. It does anyway.
  (func (export "adapter_monotonic_clock_set_paused") (param i32))

  ;; ---- random: a fixed sequence, the upper bytes of the multiples of an odd number

  (func (export "random_get") (param $buffer i32) (param $length i32) (result i32)
    (local $k i32)
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $k) (local.get $length)))
        (i32.store8
          (i32.add (local.get $buffer) (local.get $k))
          (i32.shr_u (i32.mul (i32.add (local.get $k) (i32.const 1)) (i32.const 0x9e3779b1)) (i32.const 24)))
        (local.set $k (i32.add (local.get $k) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; ---- the program's end, and its turns

  (func (export "proc_exit") (param i32) unreachable)
  (func (export "proc_raise") (param i32) (result i32) unreachable)
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) (i32.const 52))

  ;; ---- file descriptors: 0, 1 and 2 are there and swallow what is written to them

  (func $std (param $fd i32) (result i32)
    (select (i32.const 0) (i32.const 8) (i32.lt_u (local.get $fd) (i32.const 3))))
  (func (export "fd_write") (param $fd i32) (param $vectors i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (call $std (local.get $fd)) (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $vectors))))
        (local.set $vectors (i32.add (local.get $vectors) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (i32.const 0))
  ;; Standard input is at its end.
  (func (export "fd_read") (param $fd i32) (param $vectors i32) (param $count i32) (param $read i32) (result i32)
    (if (call $std (local.get $fd)) (then (return (i32.const 8))))
    (i32.store (local.get $read) (i32.const 0))
    (i32.const 0))
  ;; A character device without rights or flags: `filetype` is 2, the other 23 bytes are zero.
  (func (export "fd_fdstat_get") (param $fd i32) (param $stat i32) (result i32)
    (if (call $std (local.get $fd)) (then (return (i32.const 8))))
    (i64.store (local.get $stat) (i64.const 2))
    (i64.store offset=8 (local.get $stat) (i64.const 0))
    (i64.store offset=16 (local.get $stat) (i64.const 0))
    (i32.const 0))
  (func (export "fd_fdstat_set_flags") (param $fd i32) (param i32) (result i32) (call $std (local.get $fd)))
  (func (export "fd_close") (param $fd i32) (result i32) (call $std (local.get $fd)))

  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))

  ;; ---- paths: no directory is open, so every descriptor they start from is a bad one

  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))

  ;; ---- sockets: none

  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 52)))
