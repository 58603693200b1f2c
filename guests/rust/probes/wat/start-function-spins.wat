;; Spins in its start function, so that instantiation never ends. A command, whose `run` is never reached.
(component
  (core module $probe
    (func $spin (loop $again (br $again)))
    (start $spin)
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $probe (instantiate $probe))
  (func $run (result (result)) (canon lift (core func $probe "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
