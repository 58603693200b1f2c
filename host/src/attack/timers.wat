;; Subscribes to a far time again and again, and drops nothing.
(component
{poll}
  (core module $module
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (func (export "attack")
      (local $left i32)
      (local.set $left (i32.const {goal}))
      (loop $more
        (drop (call $subscribe (i64.const -1)))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $attack (instantiate $module (with "host" (instance (export "subscribe" (func $subscribe))))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
