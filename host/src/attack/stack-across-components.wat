;; Goes deep in one component, crosses into a second one within it, and there calls itself for ever.
(component
  (component $inner
    (core module $module
      (func $deeper (export "deeper") (call $deeper) (call $deeper)))
    (core instance $deep (instantiate $module))
    (func (export "deeper") (canon lift (core func $deep "deeper"))))
  (component $outer
    (import "deeper" (func $deeper))
    (core func $lowered (canon lower (func $deeper)))
    (core module $module
      (import "inner" "deeper" (func $inner))
      (func $descend (param $left i32)
        (if (local.get $left) (then (call $descend (i32.sub (local.get $left) (i32.const 1)))) (else (call $inner)))
        (if (i32.eq (local.get $left) (i32.const -1)) (then (unreachable))))
      (func (export "attack") (call $descend (i32.const 200))))
    (core instance $attack (instantiate $module
      (with "inner" (instance (export "deeper" (func $lowered))))))
    (func (export "attack") (canon lift (core func $attack "attack"))))
  (instance $a (instantiate $inner))
  (instance $b (instantiate $outer (with "deeper" (func $a "deeper"))))
  (export "attack" (func $b "attack")))
