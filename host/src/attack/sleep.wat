;; Waits for centuries.
(component
{poll}
  (core module $module
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (func (export "attack") (call $block (call $subscribe (i64.const -1)))))
  (core instance $attack (instantiate $module
    (with "host" (instance (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
