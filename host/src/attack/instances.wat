;; A small file that becomes many core instances.
(component
  (core module $empty)
  {repeat (core instance (instantiate $empty))}
  (core module $module (func (export "attack")))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
