;; Waits for a server that never answers. The result says whether the host gave up the request.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (data (i32.const 1024) "/http-silence/hold")
    (func (export "attack") (result i32)
      (i32.eqz (call $wait (call $send (call $request (call $fields) (i32.const 1024) (i32.const 18)))))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
