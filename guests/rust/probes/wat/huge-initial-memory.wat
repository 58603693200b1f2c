;; Declares a memory of 3 GiB that must be there before its first instruction. A command, which does nothing.
(component
  (core module $probe
    (memory (export "memory") 49152)
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $probe (instantiate $probe))
  (func $run (result (result)) (canon lift (core func $probe "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
