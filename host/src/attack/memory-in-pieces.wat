;; Grows four memories in turn, each of which stays far below the limit, and writes to all of it.
(component
  (core module $module
    (memory $a 0) (memory $b 0) (memory $c 0) (memory $d 0)
    (func $check (param $before i32) (result i32)
      (if (i32.eq (local.get $before) (i32.const -1)) (then (unreachable)))
      (i32.shl (local.get $before) (i32.const 16)))
    (func (export "attack")
      (loop $more
        (memory.fill $a (call $check (memory.grow $a (i32.const 4))) (i32.const 0xaa) (i32.const 0x40000))
        (memory.fill $b (call $check (memory.grow $b (i32.const 4))) (i32.const 0xaa) (i32.const 0x40000))
        (memory.fill $c (call $check (memory.grow $c (i32.const 4))) (i32.const 0xaa) (i32.const 0x40000))
        (memory.fill $d (call $check (memory.grow $d (i32.const 4))) (i32.const 0xaa) (i32.const 0x40000))
        (br_if $more (i32.lt_u (i32.shl (memory.size $d) (i32.const 2)) (i32.const {goal}))))))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
