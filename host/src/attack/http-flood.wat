;; Makes one request after the other.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (import "http" "drain" (func $drain (param i32) (result i64)))
    (data (i32.const 1024) "/http-flood/empty")
    (func (export "attack")
      (local $left i32)
      (local.set $left (i32.const {goal}))
      (loop $more
        (drop (call $drain (call $wait (call $send (call $request (call $fields) (i32.const 1024) (i32.const 17))))))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
