;; Looks up a name twice, which leads to a public address and then to this machine, and connects to this machine. The result
;; says whether it could.
(component
{tcp}
{names}
  (core module $module
    (import "names" "look-up" (func $look-up (result i32)))
    (import "net" "connect" (func $connect (result i32)))
    (func (export "attack") (result i32)
      ;; Without a first answer there is nothing that could be turned.
      (if (i32.eqz (call $look-up)) (then (unreachable)))
      (drop (call $look-up))
      (i32.ne (call $connect) (i32.const 0))))
  (core instance $attack (instantiate $module
    (with "names" (instance $look-up)) (with "net" (instance $net))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
