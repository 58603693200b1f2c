;; Logs a kibibyte at a time.
(component
{log}
  (core module $heap-module (memory (export "memory") 1))
  (core instance $heap (instantiate $heap-module))
  (core func $write (canon lower (func $log "log") (memory (core memory $heap "memory"))))
  (core module $module
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (func (export "attack")
      (local $left i64)
      (memory.fill (i32.const 0) (i32.const 0x78) (i32.const 1024))
      (local.set $left (i64.const {goal}))
      (loop $more
        (call $log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
        (local.set $left (i64.sub (local.get $left) (i64.const 1024)))
        (br_if $more (i64.gt_s (local.get $left) (i64.const 0))))))
  (core instance $attack (instantiate $module (with "host" (instance (export "log" (func $write))))
    (with "heap" (instance $heap))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
