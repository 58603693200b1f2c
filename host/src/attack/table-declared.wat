;; Declares a table that must be there before its first instruction.
(component
  (core module $module
    (table {goal} funcref)
    (func (export "attack")))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
