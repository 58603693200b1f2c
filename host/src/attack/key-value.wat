;; Opens a bucket. The result says whether it got it.
(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
    (type $error-type (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $error-type)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))))
  (core module $heap-module
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $heap (instantiate $heap-module))
  (core func $open (canon lower (func $store "open")
    (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
  (core module $module
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (data (i32.const 16) "host-attack-{canary}")
    (func (export "attack") (result i32)
      (call $open (i32.const 16) (i32.const 44) (i32.const 0))
      (i32.eqz (i32.load8_u (i32.const 0)))))
  (core instance $attack (instantiate $module
    (with "host" (instance (export "open" (func $open))))
    (with "heap" (instance $heap))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
