;; Grows one memory, a mebibyte at a time, and writes to all of it.
(component
  (core module $module
    (memory 0)
    (func (export "attack")
      (local $before i32)
      (loop $more
        (local.set $before (memory.grow (i32.const 16)))
        (if (i32.eq (local.get $before) (i32.const -1)) (then (unreachable)))
        (memory.fill (i32.shl (local.get $before) (i32.const 16)) (i32.const 0xaa) (i32.const 0x100000))
        (br_if $more (i32.lt_u (memory.size) (i32.const {goal}))))))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
