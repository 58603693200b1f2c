;; A component for generated calls: each function but the last ones has a bug that few values show.
(component
  (import "demo:shop/prices@0.1.0" (instance $prices
    (export "look" (func (param "id" u32) (result u32)))))
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (core module $code
    (import "imports" "look" (func $look (param i32) (result i32)))
    (import "imports" "random" (func $random (result i64)))
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3))))
    ;; `some(none)`.
    (func (export "deep") (param i32 i32 i32) (result i32)
      (if (i32.and (local.get 0) (i32.eqz (local.get 1))) (then (unreachable)))
      (local.get 2))
    ;; More than a double holds exactly.
    (func (export "exact") (param i64) (result i64)
      (if (i64.gt_s (local.get 0) (i64.const 9007199254740992)) (then (unreachable)))
      (local.get 0))
    ;; 17 parameters come in memory; the last one is at byte 64.
    (func (export "many") (param i32) (result i32)
      (if (i32.gt_u (i32.load offset=64 (local.get 0)) (i32.const 1000)) (then (unreachable)))
      (i32.load (local.get 0)))
    ;; A list of more than 300 bytes.
    (func (export "long") (param i32 i32) (result i32)
      (if (i32.gt_u (local.get 1) (i32.const 300)) (then (unreachable)))
      (local.get 1))
    ;; NUL anywhere in a text.
    (func (export "text") (param i32 i32) (local i32)
      (block $end (loop $again
        (br_if $end (i32.eq (local.get 2) (local.get 1)))
        (if (i32.eqz (i32.load8_u (i32.add (local.get 0) (local.get 2)))) (then (unreachable)))
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (br $again))))
    ;; The last case of an enum never comes back.
    (func $down (export "down") (param i32) (result i32)
      (if (i32.eq (local.get 0) (i32.const 2)) (then (return (call $down (call $down (local.get 0))))))
      (local.get 0))
    (func (export "chance") (param i32) (result i64)
      (if (i32.eqz (local.get 0)) (then (return (i64.const 0))))
      (call $random))
    ;; No bug: what is not offered answers with zero.
    (func (export "priced") (param i32) (result i32)
      (if (call $look (local.get 0)) (then (unreachable)))
      (local.get 0))
    (func (export "fine") (param f64 i32 i32) (result f64) (local.get 0)))
  (core func $look (canon lower (func $prices "look")))
  (core func $get-random (canon lower (func $random "get-random-u64")))
  (core instance $run (instantiate $code
    (with "imports" (instance (export "look" (func $look)) (export "random" (func $get-random))))))
  (alias core export $run "memory" (core memory $memory))
  (alias core export $run "realloc" (core func $realloc))
  (type $colour' (enum "red" "green" "blue"))
  (export $colour "colour" (type $colour'))
  (func (export "deep") (param "value" (option (option u32))) (result u32) (canon lift (core func $run "deep")))
  (func (export "exact") (param "value" s64) (result s64) (canon lift (core func $run "exact")))
  (func (export "many")
    (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (param "e" u32) (param "f" u32)
    (param "g" u32) (param "h" u32) (param "i" u32) (param "j" u32) (param "k" u32) (param "l" u32)
    (param "m" u32) (param "n" u32) (param "o" u32) (param "p" u32) (param "q" u32) (result u32)
    (canon lift (core func $run "many") (memory $memory) (realloc $realloc)))
  (func (export "long") (param "value" (list u8)) (result u32)
    (canon lift (core func $run "long") (memory $memory) (realloc $realloc)))
  (func (export "text") (param "value" string)
    (canon lift (core func $run "text") (memory $memory) (realloc $realloc)))
  (func (export "down") (param "value" $colour) (result u32) (canon lift (core func $run "down")))
  (func (export "chance") (param "value" bool) (result u64) (canon lift (core func $run "chance")))
  (func (export "priced") (param "id" u32) (result u32) (canon lift (core func $run "priced")))
  (func (export "fine") (param "value" f64) (param "truth" bool) (param "letter" char) (result f64)
    (canon lift (core func $run "fine"))))
