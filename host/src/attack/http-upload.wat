;; Sends a huge body.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "method" (func $method (param i32 i32 i32 i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "body-write" (func $body-write (param i32 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "host" "drop-output" (func $drop-output (param i32)))
    (import "host" "finish" (func $finish (param i32 i32 i32 i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (data (i32.const 1024) "/http-upload/swallow")
    (func (export "attack")
      (local $request i32) (local $body i32) (local $stream i32) (local $future i32) (local $sent i64)
      (local.set $request (call $request (call $fields) (i32.const 1024) (i32.const 20)))
      (if (call $method (local.get $request) (i32.const 2) (i32.const 0) (i32.const 0)) (then (unreachable)))
      (call $body (local.get $request) (i32.const 0))
      (local.set $body (i32.load (i32.const 4)))
      (call $body-write (local.get $body) (i32.const 0))
      (local.set $stream (i32.load (i32.const 4)))
      (local.set $future (call $send (local.get $request)))
      (loop $more
        (call $write (local.get $stream) (i32.const 0x20000) (i32.const 4096) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then (unreachable)))
        (local.set $sent (i64.add (local.get $sent) (i64.const 4096)))
        (br_if $more (i64.lt_u (local.get $sent) (i64.const {goal}))))
      ;; What is written waits to be sent; the response says that all of it was.
      (call $drop-output (local.get $stream))
      (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 0))
      (if (i32.eqz (call $wait (local.get $future))) (then (unreachable)))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
