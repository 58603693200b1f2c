  (import "wasi:sockets/network@0.2.0" (instance $network-types
    (export "network" (type $network (sub resource)))
    (type $error-code-type (enum
      "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
      "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
      "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type $error-code (eq $error-code-type)))
    (type $family-type (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $ip-address-family (eq $family-type)))))
  (alias export $network-types "network" (type $network))
  (alias export $network-types "error-code" (type $error-code))
  (alias export $network-types "ip-address-family" (type $family))
