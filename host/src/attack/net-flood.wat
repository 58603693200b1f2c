;; Connects and sends without end.
(component
{tcp}
  (core module $module
    (import "heap" "memory" (memory 2))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "net" "connect" (func $connect (result i32)))
    (data (i32.const 0x10000) "POST /net-flood/swallow HTTP/1.1\0d\0acontent-length: {goal}\0d\0a\0d\0a")
    (func (export "attack")
      (local $stream i32) (local $sent i64)
      (local.set $stream (call $connect))
      (if (i32.eqz (local.get $stream)) (then (unreachable)))
      (loop $more
        (call $write (local.get $stream) (i32.const 0x10000) (i32.const 4096) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then (unreachable)))
        (local.set $sent (i64.add (local.get $sent) (i64.const 4096)))
        (br_if $more (i64.lt_u (local.get $sent) (i64.const {goal}))))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "net" (instance $net))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
