;; Logs one message that is larger than all output together may be.
(component
{log}
  (core module $heap-module (memory (export "memory") {pages}))
  (core instance $heap (instantiate $heap-module))
  (core func $write (canon lower (func $log "log") (memory (core memory $heap "memory"))))
  (core module $module
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (func (export "attack")
      (memory.fill (i32.const 0) (i32.const 0x78) (i32.const {goal}))
      (call $log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const {goal}))))
  (core instance $attack (instantiate $module (with "host" (instance (export "log" (func $write))))
    (with "heap" (instance $heap))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
