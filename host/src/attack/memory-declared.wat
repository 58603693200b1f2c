;; Declares a memory that must be there before its first instruction.
(component
  (core module $module
    (memory {goal})
    (func (export "attack")))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
