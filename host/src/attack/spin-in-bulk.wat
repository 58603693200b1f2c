;; Fills and copies large ranges for ever: each is one instruction, in which the engine doesn't look at the time.
(component
  (core module $module
    (memory {goal})
    (func (export "attack")
      (local $half i32)
      (local.set $half (i32.mul (i32.const {goal}) (i32.const 32768)))
      (loop $again
        (memory.fill (i32.const 0) (i32.const 1) (local.get $half))
        (memory.copy (local.get $half) (i32.const 0) (local.get $half))
        (br $again))))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
