;; Asks for random numbers, eight bytes at a time.
(component
  (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
  (core func $get (canon lower (func $random "get-random-u64")))
  (core module $module
    (import "host" "get" (func $get (result i64)))
    (func (export "attack")
      (local $left i64)
      (local.set $left (i64.const {goal}))
      (loop $more
        (drop (call $get))
        (local.set $left (i64.sub (local.get $left) (i64.const 8)))
        (br_if $more (i64.gt_s (local.get $left) (i64.const 0))))))
  (core instance $attack (instantiate $module (with "host" (instance (export "get" (func $get))))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
