;; Asks a name with two addresses, of which one leads into the operator's own network.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (data (i32.const 1024) "/http-mixed-name/empty")
    (data (i32.const 2048) "mixed.attack.example:{peer-port}")
    (func (export "attack") (result i32)
      (local $future i32) (local $request i32)
      (local.set $request (call $request (call $fields) (i32.const 1024) (i32.const 22)))
      (if (call $authority (local.get $request) (i32.const 1) (i32.const 2048) (i32.add (i32.const 21) (i32.const {peer-port-length})))
        (then (unreachable)))
      (local.set $future (call $send (local.get $request)))
      (if (i32.eqz (local.get $future)) (then (return (i32.const 0))))
      (i32.ne (call $wait (local.get $future)) (i32.const 0))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
