;; Computes for ever, which uses up the fuel where it is metered.
(component
  (core module $module
    (func (export "attack") (loop $again (br $again))))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
