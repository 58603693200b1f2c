;; A job that takes its input and returns nothing: what attacks is the input.
(component
  (core module $module
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $before i32)
      (local.set $before (memory.grow (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 1))))
      (if (i32.eq (local.get $before) (i32.const -1)) (then (unreachable)))
      (i32.shl (local.get $before) (i32.const 16)))
    (func (export "run") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))
  (core instance $attack (instantiate $module))
{job})
