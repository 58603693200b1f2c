;; Polls one pollable in a list that names it very often: each name is a handle that is lent.
(component
{poll}
  (core module $heap-module
    (memory (export "memory") {pages})
    ;; What comes back goes where the list was: it is no longer needed.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 16)))
  (core instance $heap (instantiate $heap-module))
  (core func $poll-list (canon lower (func $poll "poll")
    (memory (core memory $heap "memory")) (realloc (core func $heap "realloc"))))
  (core module $module
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "poll" (func $poll (param i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (func (export "attack")
      (local $pollable i32) (local $at i32) (local $left i32)
      (local.set $pollable (call $subscribe (i64.const 0)))
      (local.set $at (i32.const 16))
      (local.set $left (i32.const {goal}))
      (loop $fill
        (i32.store (local.get $at) (local.get $pollable))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br_if $fill (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $poll (i32.const 16) (i32.const {goal}) (i32.const 0))))
  (core instance $attack (instantiate $module
    (with "host" (instance (export "subscribe" (func $subscribe)) (export "poll" (func $poll-list))))
    (with "heap" (instance $heap))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
