;; Connects to this machine under a grant for everything that is public. The result says whether it could.
(component
{tcp}
  (core module $module
    (import "net" "connect" (func $connect (result i32)))
    (func (export "attack") (result i32) (i32.ne (call $connect) (i32.const 0))))
  (core instance $attack (instantiate $module (with "net" (instance $net))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
