;; Asks for more random bytes in one call than it may have altogether.
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core module $heap-module
    (memory (export "memory") {pages})
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8)))
  (core instance $heap (instantiate $heap-module))
  (core func $get (canon lower (func $random "get-random-bytes")
    (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
  (core module $module
    (import "host" "get" (func $get (param i64 i32)))
    (func (export "attack") (call $get (i64.const {goal}) (i32.const 0))))
  (core instance $attack (instantiate $module (with "host" (instance (export "get" (func $get))))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
