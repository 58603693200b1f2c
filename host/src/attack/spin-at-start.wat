;; Computes for ever before it can be called: in its start function.
(component
  (core module $module
    (func $spin (loop $again (br $again)))
    (start $spin)
    (func (export "attack")))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
