;; Grows a table, ten thousand elements at a time.
(component
  (core module $module
    (table $table 0 funcref)
    (func (export "attack")
      (local $step i32)
      (loop $more
        (local.set $step (i32.sub (i32.const {goal}) (table.size $table)))
        (if (i32.gt_u (local.get $step) (i32.const 10000)) (then (local.set $step (i32.const 10000))))
        (if (i32.eq (table.grow $table (ref.null func) (local.get $step)) (i32.const -1)) (then (unreachable)))
        (br_if $more (i32.lt_u (table.size $table) (i32.const {goal}))))))
  (core instance $attack (instantiate $module))
  (func (export "attack") (canon lift (core func $attack "attack"))))
