;; Uses a secret as it may, and then searches its memory. The result says whether it is there.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "status" (func $status (param i32) (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (import "http" "drain" (func $drain (param i32) (result i64)))
    (data (i32.const 1024) "/secret-in-memory/granted/secret")
    (data (i32.const 3072) "{canary-complement}")
    (data (i32.const 2048) "authorization")
    (data (i32.const 2176) "{{secret:host-attack}}")
    (func (export "attack") (result i32)
      (local $set i32) (local $response i32) (local $at i32) (local $same i32)
      (local.set $set (call $fields))
      (call $append (local.get $set) (i32.const 2048) (i32.const 13) (i32.const 2176) (i32.const 22) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then (unreachable)))
      (local.set $response
        (call $wait (call $send (call $request (local.get $set) (i32.const 1024) (i32.const 32)))))
      ;; The server says that it was sent the secret; otherwise there was nothing to find.
      (if (i32.ne (call $status (local.get $response)) (i32.const 200)) (then (unreachable)))
      (drop (call $drain (local.get $response)))
      ;; The secret is looked for with the help of its complement, since this component must not have it itself.
      (loop $next
        (local.set $same (i32.const 0))
        (block $other
          (loop $byte
            (br_if $other (i32.ne
              (i32.load8_u (i32.add (local.get $at) (local.get $same)))
              (i32.xor (i32.load8_u offset=3072 (local.get $same)) (i32.const 255))))
            (br_if $byte (i32.lt_u (local.tee $same (i32.add (local.get $same) (i32.const 1))) (i32.const 32))))
          (return (i32.const 1)))
        (br_if $next
          (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 0x7ffe0))))
      (i32.const 0)))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
