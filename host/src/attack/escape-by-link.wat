;; Opens a file outside its directory through a symbolic link that it finds and writes what it reads to standard output.
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "link\00")
  (func (export "_start")
    (local $directory i32) (local $length i32)
    ;; The last of the directories is the one that the self-test grants.
    (local.set $directory (i32.const 3))
    (loop $next
      (if (i32.eqz (call $prestat (local.get $directory) (i32.const 0))) (then
        (local.set $directory (i32.add (local.get $directory) (i32.const 1)))
        (br $next))))
    (local.set $directory (i32.sub (local.get $directory) (i32.const 1)))
    (loop $count
      (local.set $length (i32.add (local.get $length) (i32.const 1)))
      (br_if $count (i32.load8_u (i32.add (local.get $length) (i32.const 1024)))))
    ;; Symbolic links are followed; the right is to read.
    (if (call $open (local.get $directory) (i32.const 1) (i32.const 1024) (local.get $length) (i32.const 0)
      (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 8)) (then (return)))
    (i32.store (i32.const 16) (i32.const 8192))
    (i32.store (i32.const 20) (i32.const 4096))
    (if (call $read (i32.load (i32.const 8)) (i32.const 16) (i32.const 1) (i32.const 24)) (then (return)))
    (i32.store (i32.const 20) (i32.load (i32.const 24)))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))
