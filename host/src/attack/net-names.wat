;; Looks up a name. The result says whether there is an answer to wait for.
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
    (data (i32.const 16) "localhost")
    (func (export "attack") (result i32)
      (call $resolve (call $network) (i32.const 16) (i32.const 9) (i32.const 0))
      (i32.eqz (i32.load8_u (i32.const 0)))))
  (core instance $attack (instantiate $module
    (with "host" (instance (export "network" (func $network)) (export "resolve" (func $resolve))))
    (with "heap" (instance $heap))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
