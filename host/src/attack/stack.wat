;; Calls itself for ever.
(component
  (core module $module
    (func $deeper (export "attack") (call $deeper) (call $deeper)))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
