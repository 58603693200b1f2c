;; Returns a list in which each byte of the guest becomes a value of many bytes in the host.
(component
  (core module $module
    (memory (export "memory") {pages})
    (func (export "attack") (result i32)
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.const {goal}))
      (i32.const 0)))
  (core instance $attack (instantiate $module))
  (func (export "attack") (result (list u8)) (canon lift (core func $attack "attack") (memory (core memory $attack "memory")))))
