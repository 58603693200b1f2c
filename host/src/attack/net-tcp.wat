;; Makes a TCP socket. The result says whether there is one.
(component
{network}
  (import "wasi:sockets/tcp@0.2.0" (instance $sockets (export "tcp-socket" (type (sub resource)))))
  (alias export $sockets "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $make
    (alias outer 1 $socket (type $socket))
    (alias outer 1 $error-code (type $error-code-type))
    (export "error-code" (type $error-code (eq $error-code-type)))
    (alias outer 1 $family (type $family-type))
    (export "ip-address-family" (type $family (eq $family-type)))
    (export "create-tcp-socket" (func (param "address-family" $family)
      (result (result (own $socket) (error $error-code)))))))
  (core module $heap-module (memory (export "memory") 1))
  (core instance $heap (instantiate $heap-module))
  (core func $create (canon lower (func $make "create-tcp-socket") (memory (core memory $heap "memory"))))
  (core module $module
    (import "host" "create" (func $create (param i32 i32)))
    (import "heap" "memory" (memory 1))
    (func (export "attack") (result i32)
      (call $create (i32.const 0) (i32.const 0))
      (i32.eqz (i32.load8_u (i32.const 0)))))
  (core instance $attack (instantiate $module (with "host" (instance (export "create" (func $create))))
    (with "heap" (instance $heap))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
