;; Opens a listing of a directory that is granted again and again, and drops nothing. The result says whether the operating system
;; was the one that refused.
(component
{files}
  (core module $module
    (import "host" "get-directories" (func $get-directories (param i32)))
    (import "host" "read-directory" (func $read-directory (param i32 i32)))
    (import "heap" "memory" (memory 1))
    (func (export "attack") (result i32)
      (local $left i32) (local $directory i32)
      (call $get-directories (i32.const 0))
      ;; The last of the list is the one that the self-test grants; an entry has 12 bytes.
      (local.set $directory (i32.load (i32.add (i32.load (i32.const 0))
        (i32.mul (i32.sub (i32.load (i32.const 4)) (i32.const 1)) (i32.const 12)))))
      (local.set $left (i32.const {goal}))
      (loop $more
        (call $read-directory (local.get $directory) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then (return (i32.const 1))))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $attack (instantiate $module
    (with "host" (instance (export "get-directories" (func $get-directories)) (export "read-directory" (func $read-directory))))
    (with "heap" (instance $heap))))
  (func (export "attack") (result bool) (canon lift (core func $attack "attack"))))
