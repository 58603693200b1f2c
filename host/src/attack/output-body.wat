;; Returns a job's output whose body is larger than all output together may be.
(component
  (core module $module
    (memory (export "memory") {pages})
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "run") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 4) (i32.const 64))
      (i32.store (i32.const 8) (i32.const {goal}))
      (i32.const 0)))
  (core instance $attack (instantiate $module))
{job})
