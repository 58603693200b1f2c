;; Sends a secret to a path that it isn't for. The result says whether there is a response.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (data (i32.const 1024) "/secret-elsewhere/empty")
    (data (i32.const 2048) "authorization")
    (data (i32.const 2176) "{{secret:host-attack}}")
    (func (export "attack") (result i32)
      (local $set i32) (local $future i32)
      (local.set $set (call $fields))
      (call $append (local.get $set) (i32.const 2048) (i32.const 13) (i32.const 2176) (i32.const 22) (i32.const 0))
      (local.set $future (call $send (call $request (local.get $set) (i32.const 1024) (i32.const 23))))
      (if (i32.eqz (local.get $future)) (then (return (i32.const 0))))
      (i32.ne (call $wait (local.get $future)) (i32.const 0))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
