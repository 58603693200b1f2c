;; Writes to standard error, four kibibytes at a time.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $left i64)
    (memory.fill (i32.const 1024) (i32.const 0x78) (i32.const 4096))
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 4096))
    (local.set $left (i64.const {goal}))
    (loop $more
      (if (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (local.set $left (i64.sub (local.get $left) (i64.load32_u (i32.const 8))))
      (br_if $more (i64.gt_s (local.get $left) (i64.const 0))))))
