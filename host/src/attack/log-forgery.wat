;; Logs a message that ends its line, begins one that looks like the host's own, drives the terminal and turns the
;; direction of reading.
(component
{log}
  (core module $heap-module (memory (export "memory") 1))
  (core instance $heap (instantiate $heap-module))
  (core func $write (canon lower (func $log "log") (memory (core memory $heap "memory"))))
  (core module $module
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (data (i32.const 0) "{canary}\n ERROR host: {canary}\r\1b[2J\1b]0;{canary}\07\e2\80\ae{canary}\c2\9b31m\e2\80\a8{canary}\08\0b ")
    (func (export "attack")
      (call $log (i32.const 4) (i32.const 0) (i32.const 160) (i32.const 0) (i32.const 160))))
  (core instance $attack (instantiate $module (with "host" (instance (export "log" (func $write))))
    (with "heap" (instance $heap))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
