;; Computes for ever.
(component
  (core module $module
    (func (export "attack") (loop $again (br $again))))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
