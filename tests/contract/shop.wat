;; A component for cases: it has imports to be answered, and calls that return, count, trap and never end.
(component
  (import "demo:shop/prices@0.1.0" (instance $prices
    (export "look" (func (param "id" u32) (result u32)))
    (export "note" (func (param "sum" u32)))
  ))
  (core module $code
    (import "prices" "look" (func $look (param i32) (result i32)))
    (import "prices" "note" (func $note (param i32)))
    (global $count (mut i32) (i32.const 0))
    ;; The prices of two things that follow on each other.
    (func (export "total") (param $id i32) (result i32) (local $sum i32)
      (local.set $sum
        (i32.add (call $look (local.get $id)) (call $look (i32.add (local.get $id) (i32.const 1)))))
      (call $note (local.get $sum))
      (local.get $sum))
    (func (export "third") (param f64) (result f64) (f64.div (local.get 0) (f64.const 3)))
    (func (export "count") (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (global.get $count))
    (func (export "spin") (loop (br 0)))
    (func (export "trap") (unreachable)))
  (core func $look (canon lower (func $prices "look")))
  (core func $note (canon lower (func $prices "note")))
  (core instance $run (instantiate $code
    (with "prices" (instance (export "look" (func $look)) (export "note" (func $note))))))
  (func (export "total") (param "id" u32) (result u32) (canon lift (core func $run "total")))
  (func (export "third") (param "of" f64) (result f64) (canon lift (core func $run "third")))
  (func (export "count") (result u32) (canon lift (core func $run "count")))
  (func (export "spin") (canon lift (core func $run "spin")))
  (func (export "trap") (canon lift (core func $run "trap"))))
