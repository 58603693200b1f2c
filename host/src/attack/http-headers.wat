;; Has a server send it many large headers.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (import "http" "drain" (func $drain (param i32) (result i64)))
    (data (i32.const 1024) "/http-headers/headers")
    (func (export "attack")
      (local $had i32)
      (loop $more
        (drop (call $drain (call $wait (call $send (call $request (call $fields) (i32.const 1024) (i32.const 21))))))
        ;; The server sends 16 KiB of them each time.
        (local.set $had (i32.add (local.get $had) (i32.const 16384)))
        (br_if $more (i32.lt_u (local.get $had) (i32.const {goal}))))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
