;; Opens standard output again and again, and drops nothing.
(component
  (import "wasi:io/streams@0.2.0" (instance $streams (export "output-stream" (type (sub resource)))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-stream (type $output-stream))
    (export "get-stdout" (func (result (own $output-stream))))))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core module $module
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (func (export "attack")
      (local $left i32)
      (local.set $left (i32.const {goal}))
      (loop $more
        (drop (call $get-stdout))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $attack (instantiate $module (with "host" (instance (export "get-stdout" (func $get-stdout))))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
