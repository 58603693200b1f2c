;; Makes many requests at once, to a server that answers none.
(component
{http}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "host" "fields" (func $fields (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (data (i32.const 1024) "/http-in-flight/hold")
    (func (export "attack")
      (local $left i32)
      (local.set $left (i32.const {goal}))
      (loop $more
        (if (i32.eqz (call $send (call $request (call $fields) (i32.const 1024) (i32.const 20)))) (then (unreachable)))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
