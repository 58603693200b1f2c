;; Hands over one huge string as the argument of a call.
(component
  (import "sandbox:host/config@0.1.0" (instance $config
    (export "get" (func (param "key" string) (result (option string))))))
  (core module $heap-module
    (memory (export "memory") {pages})
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $heap (instantiate $heap-module))
  (core func $get (canon lower (func $config "get") (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
  (core module $module
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (func (export "attack")
      (call $get (i32.const 16) (i32.const {goal}) (i32.const 0))))
  (core instance $attack (instantiate $module (with "host" (instance (export "get" (func $get))))
    (with "heap" (instance $heap))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
