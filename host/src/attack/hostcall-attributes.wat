;; Returns a job's output with very many attributes, all of which are one and the same long text.
(component
  (core module $module
    (memory (export "memory") 64)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    ;; Each attribute is a name and a value of 64 KiB that lie at the end of the memory; 16 bytes describe one.
    (func (export "run") (param i32 i32 i32 i32 i32 i32 i32) (result i32)
      (local $count i32) (local $at i32)
      (local.set $count (i32.add (i32.div_u (i32.const {goal}) (i32.const 131072)) (i32.const 1)))
      (if (i32.gt_u (local.get $count) (i32.const 200000)) (then (local.set $count (i32.const 200000))))
      (local.set $at (i32.const 4096))
      (i32.store (i32.const 24) (local.get $at))
      (i32.store (i32.const 28) (local.get $count))
      (loop $more
        (i32.store (local.get $at) (i32.const 0x3f0000))
        (i32.store offset=4 (local.get $at) (i32.const 65536))
        (i32.store offset=8 (local.get $at) (i32.const 0x3f0000))
        (i32.store offset=12 (local.get $at) (i32.const 65536))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br_if $more (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
      (i32.const 0)))
  (core instance $attack (instantiate $module))
{job})
