;; Does nothing; it is a component that can be called, to which zeros are added.
(component
  (core module $module (func (export "attack")))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
