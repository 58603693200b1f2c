;; Grows a table, which no compiler does for a program that asks for it at run time.
;;
;;   probe:wat/table  grow(elements)          the size before, or -1 where it was refused
;;                    grow-or-trap(elements)  the same, but a refusal makes it trap
(component
  (core module $probe
    (table $table 0 funcref)
    (func $grow (export "grow") (param $elements i32) (result i32)
      (table.grow $table (ref.null func) (local.get $elements)))
    (func $grow-or-trap (export "grow-or-trap") (param $elements i32) (result i32)
      (local $before i32)
      (local.set $before (call $grow (local.get $elements)))
      (if (i32.eq (local.get $before) (i32.const -1)) (then (unreachable)))
      (local.get $before)))
  (core instance $probe (instantiate $probe))
  (func $grow (param "elements" u32) (result s32) (canon lift (core func $probe "grow")))
  (func $grow-or-trap (param "elements" u32) (result s32) (canon lift (core func $probe "grow-or-trap")))
  (instance $table
    (export "grow" (func $grow))
    (export "grow-or-trap" (func $grow-or-trap)))
  (export "probe:wat/table" (instance $table)))
