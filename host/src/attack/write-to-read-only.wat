;; Makes a file in a directory that it may only read, and empties one that is there.
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "inside.txt")
  (data (i32.const 2048) "new.txt")
  (func (export "_start")
    (local $directory i32)
    ;; The last of the directories is the one that the self-test grants.
    (local.set $directory (i32.const 3))
    (loop $next
      (if (i32.eqz (call $prestat (local.get $directory) (i32.const 0))) (then
        (local.set $directory (i32.add (local.get $directory) (i32.const 1)))
        (br $next))))
    (local.set $directory (i32.sub (local.get $directory) (i32.const 1)))
    ;; Flags 1 and 8 are to create and to truncate; the rights are to read and to write.
    (drop (call $open (local.get $directory) (i32.const 0) (i32.const 2048) (i32.const 7) (i32.const 1)
      (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 8)))
    (drop (call $open (local.get $directory) (i32.const 0) (i32.const 1024) (i32.const 10) (i32.const 8)
      (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 8)))))
