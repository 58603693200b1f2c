;; Asks for the time for ever: a cheap call, whose work is the host's.
(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
  (core func $now (canon lower (func $clock "now")))
  (core module $module
    (import "host" "now" (func $now (result i64)))
    (func (export "attack") (loop $again (drop (call $now)) (br $again))))
  (core instance $attack (instantiate $module (with "host" (instance (export "now" (func $now))))))
  (func (export "attack") (canon lift (core func $attack "attack"))))
