;; A resource whose destructor makes another one and drops it: it recurses through the engine, not through a call.
(component
  (core module $table-module
    (table (export "table") 1 funcref)
    (type $destructor (func (param i32)))
    (func (export "destructor") (param i32) (call_indirect (type $destructor) (local.get 0) (i32.const 0))))
  (core instance $indirect (instantiate $table-module))
  (type $thing (resource (rep i32) (dtor (core func $indirect "destructor"))))
  (core func $new (canon resource.new $thing))
  (core func $drop (canon resource.drop $thing))
  (core module $module
    (import "thing" "new" (func $new (param i32) (result i32)))
    (import "thing" "drop" (func $drop (param i32)))
    (import "indirect" "table" (table 1 funcref))
    (func $again (param i32)
      (call $drop (call $new (i32.const 0)))
      (call $drop (call $new (i32.const 0))))
    (elem (i32.const 0) func $again)
    (func (export "attack") (call $again (i32.const 0))))
  (core instance $attack (instantiate $module
    (with "thing" (instance (export "new" (func $new)) (export "drop" (func $drop))))
    (with "indirect" (instance $indirect))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
