;; Asks a name that led to a public address when it was looked up, and now leads to this machine. The result says whether
;; there is a response.
(component
{http}
  (import "wasi:sockets/network@0.2.0" (instance $network-types
    (export "network" (type $network (sub resource)))
    (type $error-code-type (enum
      "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
      "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
      "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $error-code-type)))
    (type $v4-type (tuple u8 u8 u8 u8))
    (export "ipv4-address" (type $v4 (eq $v4-type)))
    (type $v6-type (tuple u16 u16 u16 u16 u16 u16 u16 u16))
    (export "ipv6-address" (type $v6 (eq $v6-type)))
    (type $address-type (variant (case "ipv4" $v4) (case "ipv6" $v6)))
    (export "ip-address" (type (eq $address-type)))))
  (alias export $network-types "network" (type $network))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance
    (alias outer 1 $network (type $network))
    (export "instance-network" (func (result (own $network))))))
  (core func $network (canon lower (func $instance "instance-network")))
{names}
  (core module $module
    (import "heap" "memory" (memory 8))
    (import "names" "look-up" (func $look-up (result i32)))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "http" "request" (func $request (param i32 i32 i32) (result i32)))
    (import "http" "send" (func $send (param i32) (result i32)))
    (import "http" "wait" (func $wait (param i32) (result i32)))
    (data (i32.const 1024) "/http-rebinding/empty")
    (data (i32.const 2048) "turning.attack.example:{peer-port}")
    (func (export "attack") (result i32)
      (local $future i32) (local $request i32)
      ;; Nothing is sent to the public address.
      (if (i32.eqz (call $look-up)) (then (unreachable)))
      (local.set $request (call $request (call $fields) (i32.const 1024) (i32.const 21)))
      (if (call $authority (local.get $request) (i32.const 1) (i32.const 2048) (i32.add (i32.const 23) (i32.const {peer-port-length})))
        (then (unreachable)))
      (local.set $future (call $send (local.get $request)))
      (if (i32.eqz (local.get $future)) (then (return (i32.const 0))))
      (i32.ne (call $wait (local.get $future)) (i32.const 0))))
  (core instance $attack (instantiate $module
    (with "heap" (instance $heap)) (with "host" (instance $host)) (with "http" (instance $http))
    (with "names" (instance $look-up))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
